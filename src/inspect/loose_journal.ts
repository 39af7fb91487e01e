// Journal groups of a file whose meta slots are gone: found by looking at every block, the unbroken chain that ends with the newest one.
//
// Effects are blind and resolved, so applying again what a tree already holds does no harm as long as nothing newer is left out: a chain counts only when it reaches beyond the tree.
import {
  BLOCK_SIZE,
  BODY_FLAGS,
  BODY_IS_CHANGE,
  CTRL_OUT_AT,
  CTRL_OUT_COUNT,
  CTRL_OUT_PAGE,
  META_BYTES,
  OK,
} from "../../assembly/format.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Meta } from "../store/meta.ts";
import type { Inspection } from "./inspection.ts";
import { Overlay } from "./overlay.ts";

const CHUNK = 1 << 20;
/** A group has at most 65,534 data blocks; one that claims more room than this is not read. */
const GROUP_MOST = 256 << 20;

/** What such a journal says. */
export interface LooseJournal {
  readonly overlay: Overlay;
  readonly groups: number;
  readonly frames: number;
  /** Number of the last frame; 0: there is none. */
  readonly lastFrame: number;
  /** Changes behind the frame that the tree holds. */
  readonly changes: number;
}

interface Placed {
  readonly offset: number;
  readonly blocks: number;
}

/** Looks for journal groups everywhere in a file. `treeFrame`: the last frame that the tree holds. */
export async function findJournal(inspection: Inspection, meta: Meta, treeFrame: number): Promise<LooseJournal> {
  const kernel = inspection.kernelFor(meta);
  const { epoch, placed } = await lookForBlocks(inspection, kernel);
  let newest = -1;
  for (const group of placed.keys()) newest = Math.max(newest, group);
  let first = newest;
  while (placed.has(first - 1)) first--;
  let journal: LooseJournal = { overlay: new Overlay(), groups: 0, frames: 0, lastFrame: 0, changes: 0 };
  for (let group = first; group >= 0 && group <= newest; group++) {
    await inspection.step();
    const read = readGroup(inspection, kernel, placed.get(group)!, epoch, group);
    // A chain that is broken begins again behind the break.
    if (read === undefined || (journal.frames > 0 && read.firstFrame !== journal.lastFrame + 1)) {
      journal = { overlay: new Overlay(), groups: 0, frames: 0, lastFrame: 0, changes: 0 };
      if (read === undefined) continue;
    }
    const { overlay } = journal;
    let changes = journal.changes;
    for (let i = 0; i < read.frames && kernel.exports.frameAt(i) === OK; i++) {
      const at = kernel.word(CTRL_OUT_AT);
      if (read.firstFrame + i > treeFrame && (kernel.u8[at + BODY_FLAGS]! & BODY_IS_CHANGE) !== 0) changes++;
      overlay.take(kernel, at, kernel.word(CTRL_OUT_COUNT));
    }
    journal = {
      overlay,
      groups: journal.groups + 1,
      frames: journal.frames + read.frames,
      lastFrame: read.firstFrame + read.frames - 1,
      changes,
    };
    if (read.torn) break;
  }
  kernel.exports.journalBuffer(0);
  return journal.lastFrame > treeFrame ? journal : { overlay: new Overlay(), groups: 0, frames: 0, lastFrame: 0, changes: 0 };
}

/** Where the groups of the newest epoch lie, as far as whole blocks tell. */
async function lookForBlocks(inspection: Inspection, kernel: Kernel): Promise<{ epoch: number; placed: Map<number, Placed> }> {
  const { source } = inspection;
  const x = kernel.exports;
  let epoch = -1;
  let placed = new Map<number, Placed>();
  const chunk = new Uint8Array(CHUNK);
  const size = source.size();
  for (let offset = META_BYTES; offset < size; offset += CHUNK) {
    await inspection.pause();
    const part = chunk.subarray(0, Math.min(CHUNK, size - offset));
    const whole = source.take(offset, part);
    const at = x.journalBuffer(CHUNK) >>> 0;
    for (let within = 0; within + BLOCK_SIZE <= part.length; within += BLOCK_SIZE) {
      const block = part.subarray(within, within + BLOCK_SIZE);
      if (!whole && !source.take(offset + within, block)) continue;
      kernel.u8.set(block, at);
      if (x.blockPeek(at) !== OK) continue;
      const found = kernel.word(CTRL_OUT_PAGE);
      if (found < epoch) continue;
      if (found > epoch) placed = new Map();
      epoch = found;
      placed.set(x.peekGroup(), {
        offset: offset + within - kernel.word(CTRL_OUT_AT) * BLOCK_SIZE,
        blocks: kernel.word(CTRL_OUT_COUNT) + 1,
      });
    }
  }
  return { epoch, placed };
}

/** Parses a group; undefined when nothing of it can be used. Its frames are in the kernel. */
function readGroup(
  { source }: Inspection,
  kernel: Kernel,
  { offset, blocks }: Placed,
  epoch: number,
  group: number,
): { firstFrame: number; frames: number; torn: boolean } | undefined {
  const bytes = blocks * BLOCK_SIZE;
  if (offset < META_BYTES || bytes > GROUP_MOST) return undefined;
  const x = kernel.exports;
  const at = x.journalBuffer(bytes) >>> 0;
  if (at === 0) return undefined;
  const into = new Uint8Array(bytes);
  if (!source.take(offset, into)) {
    for (let within = 0; within < bytes; within += BLOCK_SIZE) source.take(offset + within, into.subarray(within, within + BLOCK_SIZE));
  }
  kernel.u8.set(into, at);
  if (x.groupParse(at, blocks, epoch, group) !== OK) return undefined;
  const frames = x.parsedCount();
  return frames === 0 ? undefined : { firstFrame: x.parsedFirstFrame(), frames, torn: x.parsedTorn() === 1 };
}
