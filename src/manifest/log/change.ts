// Changes: what the change log holds, decoded with the tables' schemas.
import {
  BODY_COMMIT_ID,
  BODY_COMMITTED_AT,
  CTRL_DATA_AT,
  CTRL_DATA_LENGTH,
  CTRL_ROWS,
  CTRL_ROWS_AT,
  EFFECT_DELETE,
  EFFECT_DELETE_RANGE,
  EFFECT_HIDDEN,
  EFFECT_KEY_AT_WORD,
  EFFECT_KEY_LENGTH_WORD,
  EFFECT_KIND_WORD,
  EFFECT_PUT,
  EFFECT_TABLE_WORD,
  EFFECT_TAG_WORD,
  EFFECT_VALUE_AT_WORD,
  EFFECT_VALUE_LENGTH_WORD,
  EFFECT_WORDS,
  OK,
} from "../../../assembly/format.ts";
import { fail } from "../../errors.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { defineTable, list, optional, record, type Table, text, u53, u8 } from "../../schema/schema.ts";
import type { View } from "../../store/store.ts";
import type { AnyCodec, Bindings, Bound } from "../bindings.ts";
import type { ChangeOperation } from "./change_operation.ts";
import { OPERATION_NAMES } from "../write/operation.ts";
import { TableCodec } from "../../schema/codec.ts";

/** Generations by component. */
export type Generations = Readonly<Record<number, number>>;

/** One commit, as consumers of the change log see it. */
export interface Change {
  /** Its number: strictly rising without gaps. */
  readonly sequence: number;
  /** Id of the transaction, 32 hex digits. */
  readonly commitId: string;
  /** Milliseconds since 1970. */
  readonly committedAt: number;
  /** What `begin({ origin })` was given. */
  readonly origin?: string;
  /** Generations that it bumped. */
  readonly generations: Generations;
  /** Its operations, in order. */
  readonly operations: readonly ChangeOperation[];
}

/** What a change record holds beyond its effects. */
export interface ChangeExtra {
  origin?: string;
  generations?: { component: number; generation: number }[];
}

/** The codec of {@linkcode ChangeExtra}; there is no such table. */
const CHANGE_EXTRA: Table<[none: number], ChangeExtra> = defineTable({
  name: "change_extra",
  key: [u8("none")],
  value: { origin: optional(text()), generations: optional(list(record({ component: u53(), generation: u53() }))) },
});

/** No generations. */
export const NO_GENERATIONS: Generations = Object.freeze({});

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Reads and writes change records. */
export class ChangeCodec {
  readonly #kernel: Kernel;
  readonly #bindings: Bindings;
  readonly #extra: TableCodec<[number], ChangeExtra>;

  constructor(kernel: Kernel, bindings: Bindings) {
    this.#kernel = kernel;
    this.#bindings = bindings;
    this.#extra = new TableCodec(kernel, bindings.arena, CHANGE_EXTRA);
  }

  /** Encodes what a change holds beyond its effects. */
  encodeExtra(extra: ChangeExtra): Uint8Array {
    return this.#extra.encodeValue(extra);
  }

  /** Decodes a change record in kernel memory. `tables` keeps tables that were looked up; the view knows them. */
  decode(view: View, tables: Map<number, Bound | undefined>, sequence: number, at: number, length: number): Change {
    const kernel = this.#kernel;
    if (kernel.exports.bodyRead(at, length) !== OK) {
      fail("CORRUPT_LOG", `Cannot read change ${sequence}: its record is damaged`, { detail: { sequence } });
    }
    const u8 = kernel.u8;
    let commitId = "";
    for (let i = at + BODY_COMMIT_ID; i < at + BODY_COMMIT_ID + 16; i++) commitId += HEX[u8[i]!];
    const time = at + BODY_COMMITTED_AT;
    const committedAt = u8[time]! + u8[time + 1]! * 0x100 + u8[time + 2]! * 0x1_0000 + u8[time + 3]! * 0x100_0000 +
      u8[time + 4]! * 0x1_0000_0000 + u8[time + 5]! * 0x100_0000_0000;
    const count = kernel.word(CTRL_ROWS);
    const index = kernel.word(CTRL_ROWS_AT) >>> 2;
    const extraAt = kernel.word(CTRL_DATA_AT);
    const extraLength = kernel.word(CTRL_DATA_LENGTH);
    const operations: ChangeOperation[] = [];
    for (let i = 0; i < count; i++) {
      const words = kernel.u32;
      const row = index + i * EFFECT_WORDS;
      const kind = words[row + EFFECT_KIND_WORD]!;
      if ((kind & EFFECT_HIDDEN) !== 0) continue;
      operations.push(this.#operation(view, tables, kind, words, row));
    }
    if (extraLength === 0) return { sequence, commitId, committedAt, generations: NO_GENERATIONS, operations };
    const extra = this.#extra.decodeValue(extraAt, extraLength);
    const generations = extra.generations === undefined
      ? NO_GENERATIONS
      : Object.fromEntries(extra.generations.map(({ component, generation }) => [component, generation]));
    return extra.origin === undefined
      ? { sequence, commitId, committedAt, generations, operations }
      : { sequence, commitId, committedAt, origin: extra.origin, generations, operations };
  }

  #operation(view: View, tables: Map<number, Bound | undefined>, kind: number, words: Uint32Array, row: number): ChangeOperation {
    const id = words[row + EFFECT_TABLE_WORD]!;
    const tag = words[row + EFFECT_TAG_WORD]!;
    const keyAt = words[row + EFFECT_KEY_AT_WORD]!;
    const keyLength = words[row + EFFECT_KEY_LENGTH_WORD]!;
    const valueAt = words[row + EFFECT_VALUE_AT_WORD]!;
    const valueLength = words[row + EFFECT_VALUE_LENGTH_WORD]!;
    let bound = tables.get(id);
    if (bound === undefined && !tables.has(id)) tables.set(id, bound = this.#bindings.byId(view, id));
    if (bound === undefined || tag >= OPERATION_NAMES.length) {
      const effect = kind === EFFECT_PUT ? "put" : kind === EFFECT_DELETE ? "delete" : "deleteRange";
      return { op: "unreadable", tableId: id, effect, key: this.#bytes(keyAt, keyLength), value: this.#bytes(valueAt, valueLength) };
    }
    const codec: AnyCodec = bound.codec;
    const table = bound.info.name;
    if (kind === EFFECT_DELETE_RANGE) {
      return { op: "deleteRange", table, from: this.#bytes(keyAt, keyLength), until: this.#bytes(valueAt, valueLength) };
    }
    const key = codec.decodeKey(keyAt, keyLength);
    if (kind === EFFECT_DELETE) return { op: tag === 0 ? "delete" : OPERATION_NAMES[tag]!, table, key } as ChangeOperation;
    const value = codec.decodeValue(valueAt, valueLength);
    return { op: OPERATION_NAMES[tag]!, table, key, value } as ChangeOperation;
  }

  #bytes(at: number, length: number): Uint8Array {
    return this.#kernel.u8.slice(at, at + length);
  }
}
