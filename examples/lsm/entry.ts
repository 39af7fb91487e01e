// Entries: what is said of a key at a log sequence number. Of two entries of a key the one with the greater number holds.
import type { ByteReader, ByteWriter } from "./bytes.ts";

/** An entry. */
export interface Entry {
  readonly key: Uint8Array;
  /** Log sequence number: each write has its own, one above that before. */
  readonly lsn: number;
  /** Undefined: the key was deleted. */
  readonly value: Uint8Array | undefined;
}

/** Appends an entry. */
export function encodeEntry(out: ByteWriter, { key, lsn, value }: Entry): void {
  out.varint(lsn).sized(key);
  if (value === undefined) out.varint(0);
  else out.varint(value.length + 1).raw(value);
}

/** Reads an entry; its bytes are copies. */
export function decodeEntry(from: ByteReader): Entry {
  const lsn = from.varint();
  const key = from.sized().slice();
  const length = from.varint();
  return { key, lsn, value: length === 0 ? undefined : from.raw(length - 1).slice() };
}
