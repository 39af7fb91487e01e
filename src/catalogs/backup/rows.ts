// The rows of one state of a manifest as a stream of bytes, and back.
//
// Every table, the engine's own included, in the order of their ids: table id u32, key length u32, value length u32, key, value. Little-endian. The registry of tables has the lowest id: it comes first, so that whoever builds a
// manifest from the stream knows the tables before their rows.
import { TABLE_ID_CHANGES, TABLE_ID_COMMITS, TABLE_ID_TABLES } from "../../../assembly/format.ts";
import { fail } from "../../errors.ts";
import type { ReadTransaction } from "../../manifest/read/read_transaction.ts";

const HEADER = 12;
const BATCH_ROWS = 256;
const BATCH_BYTES = 1 << 18;

/** A row. */
export interface RawRow {
  readonly table: number;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** How many rows a state has, in all tables. */
export function countRows(view: ReadTransaction): number {
  return tableIds(view).reduce((sum, id) => sum + view.state.tree(id).rows, 0);
}

function tableIds(view: ReadTransaction): number[] {
  return [TABLE_ID_TABLES, TABLE_ID_CHANGES, TABLE_ID_COMMITS, ...view.state.tables().map(({ id }) => id).sort((a, b) => a - b)];
}

/** Every row of a state, encoded, some at a time: whoever iterates may wait between two batches. The bytes of a batch are its own. */
export function* encodedRows(view: ReadTransaction): Generator<Uint8Array[]> {
  for (const table of tableIds(view)) {
    using scan = view.state.tree(table).scan();
    while (scan.next(BATCH_ROWS, BATCH_BYTES) > 0) {
      const rows: Uint8Array[] = [];
      // Keys first: a value that overflows is read by calls that leave the batch alone, but not what they return.
      for (let row = 0; row < scan.rows; row++) rows.push(encoded(table, scan.key(row), scan.value(row)));
      yield rows;
    }
  }
}

function encoded(table: number, key: Uint8Array, value: Uint8Array): Uint8Array {
  const out = new Uint8Array(HEADER + key.length + value.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, table, true);
  view.setUint32(4, key.length, true);
  view.setUint32(8, value.length, true);
  out.set(key, HEADER);
  out.set(value, HEADER + key.length);
  return out;
}

/** The rows of a piece, which holds whole rows. BACKUP_DAMAGED when it does not. The bytes are views of the piece. */
export function* decodedRows(piece: Uint8Array, file: string): Generator<RawRow> {
  const view = new DataView(piece.buffer, piece.byteOffset, piece.length);
  for (let at = 0; at < piece.length;) {
    if (piece.length - at < HEADER) damaged(file);
    const keyAt = at + HEADER;
    const valueAt = keyAt + view.getUint32(at + 4, true);
    const end = valueAt + view.getUint32(at + 8, true);
    if (end > piece.length) damaged(file);
    yield { table: view.getUint32(at, true), key: piece.subarray(keyAt, valueAt), value: piece.subarray(valueAt, end) };
    at = end;
  }
}

function damaged(file: string): never {
  fail("BACKUP_DAMAGED", "Cannot read a backup: a piece of its manifest holds no whole rows", { detail: { file, reason: "rows" } });
}
