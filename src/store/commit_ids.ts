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
import type { Scan, View } from "./views.ts";

const PRUNE_EVERY = 1024;
const KEEP = 2048;
const HEX = /^[0-9a-f]{32}$/;

/** Bytes of entropy drawn at a time, and bytes of it in one id. */
const DRAWN = 4096;
const RANDOM_BYTES = 10;

const scratch = new Uint8Array(16);
/** Characters of a byte's two hex digits. */
const HIGH: readonly number[] = Array.from({ length: 256 }, (_, byte) => "0123456789abcdef".charCodeAt(byte >>> 4));
const LOW: readonly number[] = Array.from({ length: 256 }, (_, byte) => "0123456789abcdef".charCodeAt(byte & 15));

/** One id: the frame number, then 80 random bits in five pieces. Small numbers only, because every commit has one. */
export class CommitId {
  readonly #frame: number;
  readonly #a: number;
  readonly #b: number;
  readonly #c: number;
  readonly #d: number;
  readonly #e: number;
  #text: string | undefined;

  constructor(frame: number, a: number, b: number, c: number, d: number, e: number) {
    this.#frame = frame;
    this.#a = a;
    this.#b = b;
    this.#c = c;
    this.#d = d;
    this.#e = e;
  }

  /** Writes its 16 bytes. */
  write(into: Uint8Array, at: number): void {
    const high = Math.floor(this.#frame / 0x1_0000_0000);
    into[at] = high >>> 8;
    into[at + 1] = high;
    into[at + 2] = this.#frame >>> 24;
    into[at + 3] = this.#frame >>> 16;
    into[at + 4] = this.#frame >>> 8;
    into[at + 5] = this.#frame;
    into[at + 6] = this.#a >>> 8;
    into[at + 7] = this.#a;
    into[at + 8] = this.#b >>> 8;
    into[at + 9] = this.#b;
    into[at + 10] = this.#c >>> 8;
    into[at + 11] = this.#c;
    into[at + 12] = this.#d >>> 8;
    into[at + 13] = this.#d;
    into[at + 14] = this.#e >>> 8;
    into[at + 15] = this.#e;
  }

  /** 32 hex digits. */
  toString(): string {
    if (this.#text !== undefined) return this.#text;
    const b = scratch, h = HIGH, l = LOW;
    this.write(b, 0);
    // Every receipt has one. Made in one piece: put together bit by bit it would leave fifteen strings behind.
    // deno-fmt-ignore
    return this.#text = String.fromCharCode(
      h[b[0]!]!, l[b[0]!]!, h[b[1]!]!, l[b[1]!]!, h[b[2]!]!, l[b[2]!]!, h[b[3]!]!, l[b[3]!]!,
      h[b[4]!]!, l[b[4]!]!, h[b[5]!]!, l[b[5]!]!, h[b[6]!]!, l[b[6]!]!, h[b[7]!]!, l[b[7]!]!,
      h[b[8]!]!, l[b[8]!]!, h[b[9]!]!, l[b[9]!]!, h[b[10]!]!, l[b[10]!]!, h[b[11]!]!, l[b[11]!]!,
      h[b[12]!]!, l[b[12]!]!, h[b[13]!]!, l[b[13]!]!, h[b[14]!]!, l[b[14]!]!, h[b[15]!]!, l[b[15]!]!,
    );
  }
}

/** Makes ids for one store. */
export class CommitIds {
  readonly #core: Core;
  readonly #drawn = new Uint8Array(DRAWN);
  #next = DRAWN;

  constructor(core: Core) {
    this.#core = core;
  }

  /** A new id. */
  next(): CommitId {
    if (this.#next + RANDOM_BYTES > DRAWN) {
      this.#core.environment.random(this.#drawn);
      this.#next = 0;
    }
    const from = this.#drawn;
    const i = this.#next;
    this.#next += RANDOM_BYTES;
    return new CommitId(
      this.#core.durableFrame,
      from[i]! << 8 | from[i + 1]!,
      from[i + 2]! << 8 | from[i + 3]!,
      from[i + 4]! << 8 | from[i + 5]!,
      from[i + 6]! << 8 | from[i + 7]!,
      from[i + 8]! << 8 | from[i + 9]!,
    );
  }
}

/** The id in hex digits. */
export function parseCommitId(text: string): CommitId {
  if (typeof text !== "string" || !HEX.test(text)) failType("Cannot use a commit id: it is not 32 lower-case hex digits");
  const piece = (i: number): number => parseInt(text.slice(i, i + 4), 16);
  return new CommitId(parseInt(text.slice(0, 12), 16), piece(12), piece(16), piece(20), piece(24), piece(28));
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
  const scan = view.tree(TABLE_ID_COMMITS).scan({ lower: bigEndian(base), lowerExclusive: true });
  try {
    return find(scan, text) ?? { state: base + 1 >= floorOf(view.frame) ? "not_applied" : "expired" };
  } finally {
    scan.close();
  }
}

function find(scan: Scan, text: string): Resolution | undefined {
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
  return undefined;
}
