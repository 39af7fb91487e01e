// A table definition bound to a kernel: keys and records from JavaScript values to what kernel calls take, and back.
//
// Writing puts a tape into the arena and returns its offset; the kernel encodes it when the operation or look-up runs. Reading takes tapes that the
// kernel has decoded. The kernel checks everything it decodes, so reading a tape cannot fail.
import {
  CODEC_KEY,
  CTRL_ERROR_A,
  CTRL_ERROR_FIELD,
  CTRL_ERROR_OP,
  CTRL_ERROR_REASON,
  CTRL_TAPE_AT,
  CTRL_TAPE_VALUES_AT,
  FIELD_NAN,
  INVALID_FIELD,
  KEY_MAX,
  KEY_TOO_LONG,
  KIND_BYTES,
  KIND_TEXT,
  LIMIT_BODY,
  OK,
  OUT_OF_MEMORY,
  PREFIX_OPEN,
  VALUE_TOO_LONG,
} from "../../assembly/format.ts";
import { unreadable } from "../arguments.ts";
import { fail, failLimit, failRange, failType } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Arena } from "./arena.ts";
import { type FixedField, fixedFieldOf } from "./fixed.ts";
import { type Plan, planOf } from "./plan.ts";
import { programOf } from "./program.ts";
import type { AnyTable, KeyInput, KeyPrefix, Table } from "./table.ts";
import { Memory, readRecord, readTuple } from "./tape_read.ts";
import { writeRecord, writeTuple } from "./tape_write.ts";

/** Bounds of a range of encoded keys: from `lower` (inclusive) to `upper` (exclusive; undefined = the end). */
export interface KeyRange {
  /** First key. */
  readonly lower: Uint8Array;
  /** First key behind the range. */
  readonly upper: Uint8Array | undefined;
}

/** Where a decoded chunk of rows lies: addresses of the first key and value tape. */
export interface RowTapes {
  /** First key tape; the next ones follow every `keyTapeBytes`. */
  keys: number;
  /** First value tape; the next ones follow every `valueTapeBytes`. */
  values: number;
}

/** What follows from a definition alone, whatever manifest it is used with. */
interface Layout {
  readonly key: Plan;
  readonly value: Plan;
  readonly keyProgram: Uint8Array;
  readonly valueProgram: Uint8Array;
}

const layouts = new WeakMap<object, Layout>();

/** Worked out once for each definition: a manifest opens two dozen tables. */
function layoutOf(table: AnyTable): Layout {
  let layout = layouts.get(table);
  if (layout === undefined) {
    layout = {
      key: planOf(table.name, table.key, true),
      value: planOf(table.name, table.value, false),
      keyProgram: programOf("key", table.key),
      valueProgram: programOf("record", table.value),
    };
    layouts.set(table, layout);
  }
  return layout;
}

/** A table's codecs in one kernel. */
export class TableCodec<K extends readonly unknown[], V> {
  /** The table. */
  readonly table: Table<K, V>;
  /** The kernel's id of the key codec. */
  readonly keyCodec: number;
  /** The kernel's id of the record codec. */
  readonly valueCodec: number;
  /** Bytes of a key tape. */
  readonly keyTapeBytes: number;
  /** Bytes of a record tape. */
  readonly valueTapeBytes: number;
  #kernel: Kernel;
  #arena: Arena;
  #memory: Memory;
  #key: Plan;
  #value: Plan;
  /** The bare value of a key with one component is accepted, unless that is itself a tuple. */
  #bare: boolean;
  #tapes: RowTapes = { keys: 0, values: 0 };
  /** Plans of some of the record's fields. */
  readonly #parts = new Map<readonly string[], Plan>();

  /** Registers the table's programs. The arena is used for small things at its top; what is staged in it stays. */
  constructor(kernel: Kernel, arena: Arena, table: Table<K, V>) {
    this.table = table;
    this.#kernel = kernel;
    this.#arena = arena;
    this.#memory = new Memory(kernel);
    const { key, value, keyProgram, valueProgram } = layoutOf(table);
    this.#key = key;
    this.#value = value;
    this.#bare = table.key.length === 1 && table.key[0]!.type.is !== "tuple";
    this.keyTapeBytes = this.#key.slots * 8;
    this.valueTapeBytes = this.#value.slots * 8;
    this.keyCodec = this.#register(keyProgram);
    this.valueCodec = this.#register(valueProgram);
  }

  #register(program: Uint8Array): number {
    const arena = this.#arena;
    arena.renew();
    const top = arena.top;
    const at = arena.put(program);
    arena.top = top;
    const id = this.#kernel.exports.codecRegister(arena.base + at, program.length);
    if (id > 0) return id;
    if (id === -OUT_OF_MEMORY) fail("UNAVAILABLE", `Cannot open "${this.table.name}": out of memory`);
    fail(
      "INVARIANT",
      `Cannot open "${this.table.name}": the kernel refused its ${program[0] === CODEC_KEY ? "key" : "record"} program at byte ${
        this.#kernel.word(CTRL_ERROR_FIELD)
      }`,
    );
  }

  /** Gives the kernel's codecs back. */
  release(): void {
    this.#kernel.exports.codecRelease(this.keyCodec);
    this.#kernel.exports.codecRelease(this.valueCodec);
  }

  // ---- writing ----------------------------------------------------------------------------------------

  /** Writes a key's tape to the arena, which has been renewed or reset; returns its offset. */
  writeKey(arena: Arena, key: KeyInput<K>): number {
    const plan = this.#key;
    const slot = arena.tape(plan.slots);
    try {
      if (!Array.isArray(key)) {
        if (!this.#bare) {
          failType(`Cannot use a key of "${this.table.name}": it is not an array of ${plan.fields.length} components`, {
            table: this.table.name,
          });
        }
        writeTuple(arena, plan, slot, [key], 1);
      } else {
        if (key.length !== plan.fields.length) this.#wrongLength(key.length);
        writeTuple(arena, plan, slot, key, key.length);
      }
    } catch (error) {
      throw unreadable(error, `use a key of "${this.table.name}"`, "a component");
    }
    return slot * 8;
  }

  #wrongLength(length: number): never {
    failType(`Cannot use a key of "${this.table.name}": it has ${length} components, not ${this.#key.fields.length}`, {
      table: this.table.name,
    });
  }

  /** Writes a record's tape to the arena, which has been renewed or reset; returns its offset. */
  writeValue(arena: Arena, value: V): number {
    if (typeof value !== "object" || value === null) {
      failType(`Cannot write "${this.table.name}": the record is not an object`, { table: this.table.name });
    }
    const slot = arena.tape(this.#value.slots);
    try {
      writeRecord(arena, this.#value, slot, value);
    } catch (error) {
      throw unreadable(error, `write "${this.table.name}"`, "a field");
    }
    return slot * 8;
  }

  /** Encodes a key to bytes of its own. */
  encodeKey(key: KeyInput<K>): Uint8Array {
    const arena = this.#arena;
    arena.renew();
    const top = arena.top;
    try {
      const tape = this.writeKey(arena, key);
      const out = arena.take(KEY_MAX);
      const length = this.#kernel.exports.codecKeyEncode(this.keyCodec, arena.base + tape, arena.base, arena.base + out, KEY_MAX);
      if (length < 0) this.failWrite(-length);
      return arena.u8.slice(out, out + length);
    } finally {
      arena.top = top;
    }
  }

  /** Encodes a record to bytes of its own. */
  encodeValue(value: V): Uint8Array {
    const arena = this.#arena;
    arena.renew();
    const top = arena.top;
    try {
      const tape = this.writeValue(arena, value);
      // No record is longer than twice its tape with all it points to, plus presence bits: varints take at most ten bytes for a slot of eight.
      const limit = (arena.top - top) * 2 + 16;
      const out = arena.take(limit);
      const length = this.#kernel.exports.codecRecordEncode(this.valueCodec, arena.base + tape, arena.base, arena.base + out, limit);
      if (length < 0) this.failWrite(-length);
      return arena.u8.slice(out, out + length);
    } finally {
      arena.top = top;
    }
  }

  /**
   * The range of all keys that start with these components. With `open`, the last of them is text or bytes and only has to begin that way:
   * `prefixRange([1, "a/"], true)` holds every path below "a/".
   */
  prefixRange(prefix: KeyPrefix<K>, open = false): KeyRange {
    const parts = prefix as readonly unknown[];
    const plan = this.#key;
    const count = parts.length;
    const detail = { table: this.table.name };
    if (!Array.isArray(parts)) failType(`Cannot use a key of "${this.table.name}": the prefix is not an array of components`, detail);
    if (count > plan.fields.length) {
      failType(`Cannot use a key of "${this.table.name}": the prefix has ${count} components, the key ${plan.fields.length}`, detail);
    }
    const last = plan.fields[count - 1];
    if (open && (last === undefined || (last.kind !== KIND_TEXT && last.kind !== KIND_BYTES))) {
      failType(`Cannot use a key of "${this.table.name}": the last component of an open prefix is not text or bytes`, detail);
    }
    const arena = this.#arena;
    arena.renew();
    const top = arena.top;
    try {
      const slot = arena.tape(plan.slots);
      try {
        writeTuple(arena, plan, slot, parts, count);
      } catch (error) {
        throw unreadable(error, `use a key of "${this.table.name}"`, "a component");
      }
      const out = arena.take(KEY_MAX);
      const components = open ? (count | PREFIX_OPEN) >>> 0 : count;
      const { exports } = this.#kernel;
      const length = exports.codecKeyEncodePrefix(this.keyCodec, arena.base + slot * 8, arena.base, components, arena.base + out, KEY_MAX);
      if (length < 0) this.failWrite(-length);
      const lower = arena.u8.slice(out, out + length);
      const behind = exports.codecKeySuccessor(arena.base + out, length);
      return { lower, upper: behind === 0 ? undefined : arena.u8.slice(out, out + behind) };
    } finally {
      arena.top = top;
    }
  }

  /** Throws what a negative length of an encoding call, or the status of an operation on this table, stands for. */
  failWrite(status: number): never {
    const { table } = this;
    const kernel = this.#kernel;
    const detail = { table: table.name, operation: kernel.word(CTRL_ERROR_OP) };
    switch (status) {
      case KEY_TOO_LONG:
        failLimit(`Cannot use a key of "${table.name}": it is longer than ${KEY_MAX} bytes when encoded`, { ...detail, limit: KEY_MAX });
        break;
      case VALUE_TOO_LONG: {
        const length = kernel.word(CTRL_ERROR_A);
        if (kernel.word(CTRL_ERROR_REASON) === LIMIT_BODY) {
          failLimit(`Cannot write "${table.name}": the transaction is too long`, { ...detail, length });
        }
        failLimit(`Cannot write "${table.name}": the record is too long, ${length} bytes`, { ...detail, length });
        break;
      }
      case INVALID_FIELD: {
        const index = kernel.word(CTRL_ERROR_FIELD);
        const reason = kernel.word(CTRL_ERROR_REASON);
        if (reason === FIELD_NAN) {
          failRange(`Cannot use a key of "${table.name}": component "${this.#key.fields[index]?.name ?? index}" is NaN`, detail);
        }
        failType(`Cannot write "${table.name}": field ${index} is not valid (reason ${reason})`, detail);
        break;
      }
      case OUT_OF_MEMORY:
        fail("UNAVAILABLE", `Cannot write "${table.name}": out of memory`, { detail });
    }
    fail("INVARIANT", `Cannot write "${table.name}": unexpected status ${status}`, { detail });
  }

  // ---- reading ----------------------------------------------------------------------------------------

  /** Reads a key from a decoded tape. */
  readKey(tape: number): K {
    this.#memory.renew();
    return readTuple(this.#memory, this.#key, tape >>> 3) as unknown as K;
  }

  /** Reads a record from a decoded tape. Everything in it is a copy. */
  readValue(tape: number): V {
    this.#memory.renew();
    return readRecord(this.#memory, this.#value, tape >>> 3) as V;
  }

  /** Decodes an encoded key in kernel memory. */
  decodeKey(at: number, length: number): K {
    const status = this.#kernel.exports.codecKeyDecode(this.keyCodec, at, length, 0);
    if (status !== OK) this.failRead(status, "key");
    return this.readKey(this.#kernel.word(CTRL_TAPE_AT));
  }

  /** Decodes an encoded record in kernel memory. */
  decodeValue(at: number, length: number): V {
    const status = this.#kernel.exports.codecRecordDecode(this.valueCodec, at, length, 0);
    if (status !== OK) this.failRead(status, "record");
    this.#memory.renew();
    return readRecord(this.#memory, this.#value, this.#memory.u32[this.#kernel.ctrl + CTRL_TAPE_AT]! >>> 3) as V;
  }

  /** Decodes some fields of an encoded record in kernel memory; the list is the same object every time. */
  decodeFields(at: number, length: number, names: readonly string[]): Partial<V> {
    const status = this.#kernel.exports.codecRecordDecode(this.valueCodec, at, length, 0);
    if (status !== OK) this.failRead(status, "record");
    let part = this.#parts.get(names);
    if (part === undefined) {
      this.#parts.set(names, part = { ...this.#value, fields: this.#value.fields.filter(({ name }) => names.includes(name)) });
    }
    this.#memory.renew();
    return readRecord(this.#memory, part, this.#memory.u32[this.#kernel.ctrl + CTRL_TAPE_AT]! >>> 3) as Partial<V>;
  }

  /** Decodes encoded key bytes from anywhere. */
  keyFromBytes(bytes: Uint8Array): K {
    return this.#fromBytes(bytes, (at) => this.decodeKey(at, bytes.length));
  }

  /** Decodes encoded record bytes from anywhere. */
  valueFromBytes(bytes: Uint8Array): V {
    return this.#fromBytes(bytes, (at) => this.decodeValue(at, bytes.length));
  }

  #fromBytes<T>(bytes: Uint8Array, decode: (at: number) => T): T {
    const arena = this.#arena;
    arena.renew();
    const top = arena.top;
    try {
      const at = arena.put(bytes); // may move the base
      return decode(arena.base + at);
    } finally {
      arena.top = top;
    }
  }

  /**
   * Decodes a scanned chunk in one call. Read row i with `readKey(tapes.keys + i * keyTapeBytes)` and `readValue(tapes.values + i * valueTapeBytes)`. The
   * returned object is reused by the next call. Values in overflow runs are left out: their tapes must not be read.
   */
  decodeRows(rowsAt: number, rows: number, dataAt: number, keys: boolean, values: boolean): RowTapes {
    const kernel = this.#kernel;
    const status = kernel.exports.rowsDecode(rowsAt, rows, dataAt, keys ? this.keyCodec : 0, values ? this.valueCodec : 0);
    if (status !== OK) this.failRead(status, "row");
    this.#tapes.keys = kernel.word(CTRL_TAPE_AT);
    this.#tapes.values = kernel.word(CTRL_TAPE_VALUES_AT);
    return this.#tapes;
  }

  /** Throws what the status of a decoding call stands for. */
  failRead(status: number, what: string): never {
    const { name } = this.table;
    if (status === OUT_OF_MEMORY) fail("UNAVAILABLE", `Cannot read "${name}": out of memory`, { detail: { table: name } });
    fail("CORRUPT_RECORD", `Cannot read "${name}": a ${what} is damaged or does not fit the table's schema`, {
      detail: { table: name },
    });
  }

  /**
   * Access to a field where it lies in an encoded record: for tables whose required fields all have a fixed width. Undefined for other tables, and for
   * optional fields.
   */
  fixedField<N extends keyof V & string>(name: N): FixedField<V[N]> | undefined {
    return fixedFieldOf(this.#memory, this.table.value, name) as FixedField<V[N]> | undefined;
  }
}
