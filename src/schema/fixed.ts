// Fields read where they lie: no decoding, no copy.
//
// A record whose required fields all have a fixed width stores them in program order, little-endian, from its first byte on (assembly/record.ts).
import type { Memory } from "./tape_read.ts";
import { fixedWidth, inProgramOrder, type Member, type Type } from "./type.ts";

/** A field at a fixed place of every encoded record of a table. */
export class FixedField<T> {
  /** Bytes before it in the record. */
  readonly offset: number;
  /** Bytes it takes. */
  readonly width: number;
  #memory: Memory;
  #read: (view: DataView, at: number) => unknown;
  #view: DataView | undefined;

  /** Made by `TableCodec.fixedField`. */
  constructor(memory: Memory, offset: number, width: number, read: (view: DataView, at: number) => unknown) {
    this.#memory = memory;
    this.offset = offset;
    this.width = width;
    this.#read = read;
  }

  /**
   * Reads the field of the record at an address in kernel memory. Numbers and bools are values; fixed bytes and vectors are views of kernel memory, valid
   * until the next call of the store.
   */
  read(record: number): T {
    const memory = this.#memory;
    memory.renew();
    let view = this.#view;
    if (view === undefined || view.buffer !== memory.u8.buffer) this.#view = view = new DataView(memory.u8.buffer);
    return this.#read(view, record + this.offset) as T;
  }
}

function reader(type: Type): ((view: DataView, at: number) => unknown) | undefined {
  switch (type.is) {
    case "u8":
      return (view, at) => view.getUint8(at);
    case "i8":
      return (view, at) => view.getInt8(at);
    case "bool":
      return (view, at) => view.getUint8(at) !== 0;
    case "u16":
      return (view, at) => view.getUint16(at, true);
    case "i16":
      return (view, at) => view.getInt16(at, true);
    case "u32":
      return (view, at) => view.getUint32(at, true);
    case "i32":
      return (view, at) => view.getInt32(at, true);
    case "f32":
      return (view, at) => view.getFloat32(at, true);
    case "u64":
      return (view, at) => view.getBigUint64(at, true);
    case "i64":
      return (view, at) => view.getBigInt64(at, true);
    case "f64":
      return (view, at) => view.getFloat64(at, true);
    case "fixed":
      return (view, at) => new Uint8Array(view.buffer, at, type.length);
    case "vector":
      // A Float32Array must lie at a multiple of four; where the record does not, the vector is copied.
      return (view, at) =>
        (at & 3) === 0 ? new Float32Array(view.buffer, at, type.length) : new Float32Array(view.buffer.slice(at, at + type.length * 4));
    case "custom": {
      const inner = reader(type.base);
      return inner && ((view, at) => type.decode(inner(view, at)));
    }
    default:
      return undefined;
  }
}

/** Access to one field of a record, or undefined when it has no fixed place. */
export function fixedFieldOf(memory: Memory, members: readonly Member[], name: string): FixedField<unknown> | undefined {
  const required = inProgramOrder(members).filter((member) => !member.optional);
  if (!required.every((member) => fixedWidth(member.type) > 0)) return undefined;
  let offset = 0;
  for (const member of required) {
    const width = fixedWidth(member.type);
    const read = member.name === name ? reader(member.type) : undefined;
    if (read) return new FixedField(memory, offset, width, read);
    offset += width;
  }
  return undefined;
}
