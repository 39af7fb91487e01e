// The journal behind one meta generation, group by group: what is whole, rebuilt, torn, damaged; and its frames for whoever wants them.
import { BLOCK_SIZE, BODY_COMMITTED_AT, BODY_FLAGS, BODY_IS_CHANGE, CTRL_OUT_AT, CTRL_OUT_COUNT, OK } from "../../assembly/format.ts";
import { isManifestError } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { type FoundGroup, GroupReader } from "../store/groups.ts";
import { Journal } from "../store/journal.ts";
import type { Meta } from "../store/meta.ts";
import type { JournalSummary } from "./check_types.ts";
import type { Finding } from "./finding.ts";
import { type Inspection, Replaced } from "./inspection.ts";

/** Looks again this often at what may be a group that is being written. */
const LOOKS = 8;

/** What a walk through a journal gives. */
export interface WalkedJournal extends JournalSummary {
  /** Last change, frame and time, those of the tree included. */
  readonly sequence: number;
  readonly frame: number;
  readonly committedAt: number;
}

/** How to walk through a journal. */
export interface JournalWalkOptions {
  /** Hears what is wrong. */
  found: (finding: Finding) => void;
  /** Gets each frame body, in kernel memory, in order. */
  frame?: (kernel: Kernel, at: number, length: number) => void;
  /** The state is, or may be, not the file's newest: that another one is newer proves nothing, and groups behind it may have been written over in order. */
  older?: boolean;
}

/** Walks through the groups behind a state. Throws Replaced when a writer has gone on to another state meanwhile. */
export function walkJournal(inspection: Inspection, meta: Meta, options: JournalWalkOptions): Promise<WalkedJournal> {
  return new JournalWalk(inspection, meta, options).run();
}

class JournalWalk {
  readonly #inspection: Inspection;
  readonly #meta: Meta;
  readonly #options: JournalWalkOptions;
  readonly #kernel: Kernel;
  readonly #journal: Journal;
  readonly #groups: GroupReader;
  readonly #sum = { groups: 0, whole: 0, rebuilt: 0, torn: 0, damaged: 0, frames: 0 };
  #sequence: number;
  #frame: number;
  #committedAt: number;

  constructor(inspection: Inspection, meta: Meta, options: JournalWalkOptions) {
    this.#inspection = inspection;
    this.#meta = meta;
    this.#options = options;
    this.#kernel = inspection.kernelFor(meta);
    const { source } = inspection;
    // What lies behind the end of the file is not looked for, however much of it the slot names.
    const filePages = Math.floor(source.size() / 2 ** meta.pageShift);
    const extents = meta.extents.map(({ page, pages }) => ({ page, pages: Math.max(0, Math.min(pages, filePages - page)) }));
    this.#journal = new Journal(meta.pageShift, extents, meta);
    const read = (at: number, into: Uint8Array): void => {
      const count = source.read(at, into);
      if (count < into.length) into.fill(0, count);
    };
    this.#groups = new GroupReader({ kernel: this.#kernel, file: { read }, journal: this.#journal, meta });
    this.#sequence = meta.sequence;
    this.#frame = meta.frame;
    this.#committedAt = meta.committedAt;
  }

  async run(): Promise<WalkedJournal> {
    const { pages, filePages } = this.#size();
    // Extents that overlap are named by the walk through the pages; reading them all again and again helps nobody.
    if (!this.#meta.clean && pages <= filePages) {
      while (await this.#next()) await this.#inspection.step();
    }
    this.#groups.end();
    return {
      bytes: this.#journal.capacity * BLOCK_SIZE,
      ...this.#sum,
      sequence: this.#sequence,
      frame: this.#frame,
      committedAt: this.#committedAt,
    };
  }

  #size(): { pages: number; filePages: number } {
    const pages = this.#journal.extents.reduce((sum, extent) => sum + extent.pages, 0);
    return { pages, filePages: Math.ceil(this.#inspection.source.size() / 2 ** this.#meta.pageShift) };
  }

  /** Takes the next group; false behind the last. */
  async #next(): Promise<boolean> {
    let found: FoundGroup | undefined;
    let damage: string | undefined;
    let rolledBack = false;
    for (let look = 0; look < LOOKS; look++) {
      if (look > 0) await this.#again();
      damage = undefined;
      found = undefined;
      try {
        found = this.#groups.find(this.#frame + 1);
        if (found !== undefined && !found.torn && found.rebuilt < 0) break;
        if (found !== undefined && !found.torn) continue;
        this.#groups.refuseLaterGroups(this.#journal.nextGroup);
        if (found === undefined) break;
      } catch (error) {
        if (!isManifestError(error) || error.kind !== "data") throw error;
        rolledBack = error.code === "ROLLED_BACK";
        damage = error.message.replace(/^Cannot [^:]*: ./, (start) => start.slice(-1).toUpperCase());
      }
    }
    // Looking around uses the buffer: what is kept of the group is parsed again.
    if (found !== undefined && damage === undefined) found = this.#groups.find(this.#frame + 1) ?? undefined;
    if (damage === undefined && found === undefined) return false;
    this.#sum.groups++;
    const { found: tell } = this.#options;
    const group = this.#journal.nextGroup;
    const offset = this.#journal.offset(found ?? this.#journal.mark());
    if (damage !== undefined && this.#options.older === true) {
      this.#sum.groups--;
      tell({
        severity: "info",
        code: "INCOMPLETE",
        reason: "journal",
        message: `The journal behind meta generation ${this.#meta.generation} is there only up to group ${group - 1}.`,
        advice: "Later groups were written over where a newer generation holds them, or are damaged.",
        group,
      });
      return false;
    }
    if (damage !== undefined) {
      this.#sum.damaged++;
      const advice = "Keep a copy of the file, then salvage it into a new one: everything before the group is kept.";
      const code = rolledBack ? "ROLLED_BACK" : "CORRUPT_JOURNAL";
      tell({ severity: "error", code, reason: rolledBack ? "epoch" : "acknowledged", message: `${damage}.`, advice, group, offset });
      return false;
    }
    this.#take(found!.frames);
    this.#journal.add(found!, found!.blocks);
    if (found!.torn) {
      this.#sum.torn++;
      const message = `Journal group ${group}, the newest, is not whole: ${found!.frames} frames of it are kept. A crash leaves that.`;
      tell({
        severity: "warning",
        code: "JOURNAL_TORN",
        reason: "torn",
        message,
        advice: "Open the file for writing: it is cut.",
        group,
        offset,
      });
      return false;
    }
    if (found!.rebuilt < 0) this.#sum.whole++;
    else {
      this.#sum.rebuilt++;
      tell({
        severity: "warning",
        code: "JOURNAL_BLOCK_REBUILT",
        reason: "parity",
        message: `Block ${found!.rebuilt} of journal group ${group} is damaged; parity makes it good.`,
        advice: "Open the file for writing: everything is written again.",
        group,
        offset: offset + found!.rebuilt * BLOCK_SIZE,
      });
    }
    return true;
  }

  /** A writer may be between two writes. */
  async #again(): Promise<void> {
    this.#groups.forget();
    await this.#inspection.pause();
    if (this.#options.older === true) return;
    const { newest } = await this.#inspection.header();
    if (newest !== undefined && newest.generation > this.#meta.generation) throw new Replaced();
  }

  /** Takes the frames of the group that was parsed. */
  #take(frames: number): void {
    const kernel = this.#kernel;
    for (let i = 0; i < frames; i++) {
      if (kernel.exports.frameAt(i) !== OK) break;
      const at = kernel.word(CTRL_OUT_AT);
      const length = kernel.word(CTRL_OUT_COUNT);
      const { u8 } = kernel;
      this.#frame++;
      this.#sum.frames++;
      if (length >= BODY_COMMITTED_AT + 6) {
        if ((u8[at + BODY_FLAGS]! & BODY_IS_CHANGE) !== 0) this.#sequence++;
        const view = new DataView(u8.buffer, at + BODY_COMMITTED_AT, 6);
        this.#committedAt = Math.max(this.#committedAt, view.getUint32(0, true) + view.getUint16(4, true) * 0x1_0000_0000);
      }
      this.#options.frame?.(kernel, at, length);
    }
  }
}
