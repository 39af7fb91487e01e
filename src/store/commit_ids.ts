// Commit ids: made before a commit, kept with it, and asked about after a crash.
//
// 48 bits of the newest durable frame number when it was made, then 80 random bits. Its commit has a later frame, so looking one up is a short scan. Rows of
// TABLE_ID_COMMITS, by frame number, hold the newest commits; the store deletes older ones itself, every so many frames, inside the group of a commit.
import { TABLE_ID_COMMITS } from "../../assembly/format.ts";
import { failType } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Core } from "./core.ts";
import { toHex } from "./meta.ts";
import { bigEndian, stageRaw } from "./raw_ops.ts";
import type { Resolution, Staged } from "./types.ts";
import type { View } from "./views.ts";

const PRUNE_EVERY = 1024;
const KEEP = 2048;
const HEX = /^[0-9a-f]{32}$/;

/** A new id. */
export function newCommitId(core: Core): Uint8Array {
  const id = new Uint8Array(16);
  core.environment.random(id);
  id.set(bigEndian(core.durableFrame).subarray(2), 0);
  return id;
}

/** The bytes of an id in hex digits. */
export function parseCommitId(text: string): Uint8Array {
  if (typeof text !== "string" || !HEX.test(text)) failType("Cannot use a commit id: it is not 32 lower-case hex digits");
  return Uint8Array.from({ length: 16 }, (_, i) => parseInt(text.slice(i * 2, i * 2 + 2), 16));
}

/** Whether old rows are deleted with this frame. */
export function needsPruning(frame: number): boolean {
  return frame % PRUNE_EVERY === 0 && frame > KEEP;
}

/** Rows with smaller frame numbers are gone, or will be soon, when `frame` is the newest. */
function floorOf(frame: number): number {
  return Math.max(0, Math.floor(frame / PRUNE_EVERY) * PRUNE_EVERY - KEEP);
}

/** Stages the deletion of rows that are old at this frame. */
export function pruneCommits(kernel: Kernel, frame: number): Staged {
  return stageRaw(kernel, [{
    kind: "deleteRange",
    table: TABLE_ID_COMMITS,
    key: bigEndian(0),
    value: bigEndian(floorOf(frame)),
    hidden: true,
  }]);
}

/** Looks an id up in a state. */
export function resolveCommit(view: View, text: string): Resolution {
  parseCommitId(text);
  const base = parseInt(text.slice(0, 12), 16);
  using scan = view.tree(TABLE_ID_COMMITS).scan({ lower: bigEndian(base), lowerExclusive: true });
  while (scan.next(512, 1 << 16) > 0) {
    for (let row = 0; row < scan.rows; row++) {
      const value = scan.value(row);
      if (toHex(value.subarray(0, 16)) !== text) continue;
      const key = scan.key(row);
      const frame = new DataView(key.buffer, key.byteOffset).getBigUint64(0);
      const sequence = new DataView(value.buffer, value.byteOffset).getBigUint64(16, true);
      return { state: "applied", sequence: Number(sequence), frame: Number(frame) };
    }
  }
  return { state: base + 1 >= floorOf(view.frame) ? "not_applied" : "expired" };
}
