// Operation records with raw keys and values, laid into the kernel's arena.
import { EFFECT_DELETE, EFFECT_DELETE_RANGE, EFFECT_DROP_TABLE, EFFECT_HIDDEN, EFFECT_PUT, OP_WORDS } from "../../assembly/format.ts";
import { fail } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Staged } from "./types.ts";
import { ARENA_START } from "./views.ts";

/** One operation on encoded keys and values. */
export interface RawOp {
  readonly kind: "put" | "delete" | "deleteRange" | "dropTable";
  readonly table: number;
  /** The key; of a range the inclusive lower bound. */
  readonly key?: Uint8Array;
  /** The value; of a range the exclusive upper bound. */
  readonly value?: Uint8Array;
  /** Bookkeeping, not shown to consumers. */
  readonly hidden?: boolean;
  /** The host's operation name. */
  readonly tag?: number;
}

const KINDS = { put: EFFECT_PUT, delete: EFFECT_DELETE, deleteRange: EFFECT_DELETE_RANGE, dropTable: EFFECT_DROP_TABLE } as const;
const NOTHING = new Uint8Array(0);

/** Lays operations, then extra bytes, into the arena. */
export function stageRaw(kernel: Kernel, ops: readonly RawOp[], extra: Uint8Array = NOTHING): Staged {
  let bytes = ARENA_START + ops.length * OP_WORDS * 4 + extra.length;
  for (const op of ops) bytes += (op.key?.length ?? 0) + (op.value?.length ?? 0);
  const base = kernel.exports.arena(bytes) >>> 0;
  if (base === 0) fail("UNAVAILABLE", "Cannot commit: the kernel's memory cannot grow", { detail: { length: bytes } });
  const u8 = kernel.u8;
  const u32 = kernel.u32;
  let at = ARENA_START + ops.length * OP_WORDS * 4;
  const put = (data: Uint8Array): number => {
    u8.set(data, base + at);
    at += data.length;
    return at - data.length;
  };
  ops.forEach((op, i) => {
    const word = ((base + ARENA_START) >>> 2) + i * OP_WORDS;
    const key = op.key ?? NOTHING;
    const value = op.value ?? NOTHING;
    u32[word] = KINDS[op.kind] | (op.hidden ? EFFECT_HIDDEN : 0) | ((op.tag ?? 0) << 8);
    u32[word + 1] = op.table;
    u32[word + 2] = 0;
    u32[word + 3] = put(key);
    u32[word + 4] = key.length;
    u32[word + 5] = 0;
    u32[word + 6] = put(value);
    u32[word + 7] = value.length;
    u32[word + 8] = 0;
  });
  const extraAt = put(extra);
  return { at: ARENA_START, count: ops.length, extraAt, extraLength: extra.length };
}

/** A number as 8 big-endian bytes: the key of rows by sequence or frame. */
export function bigEndian(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(value / 0x1_0000_0000));
  view.setUint32(4, value >>> 0);
  return bytes;
}
