// What a file must answer: every row of every table, and on which pages each row depends.
import { fromLatin1, Image, latin1, type PageNode, rowsOf } from "./image.ts";

/** A row, and the pages without which it cannot be answered. */
export interface ExpectedRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Tree pages on the way to it; none when the journal has replaced it, because opening has read them then. */
  readonly tree: readonly number[];
  /** Pages of the run that holds its value. */
  readonly run: readonly number[];
}

/** A table and its rows in key order. */
export interface ExpectedTable {
  readonly id: number;
  readonly rows: readonly ExpectedRow[];
  /** Pages of the roots tree that lead to it. */
  readonly roots: readonly number[];
}

/** Everything that a file must answer. */
export interface Expected {
  readonly image: Image;
  readonly tables: readonly ExpectedTable[];
  readonly sequence: number;
}

function pagesOf(node: PageNode): number[] {
  return Array.from({ length: node.pages }, (_, i) => node.page + i);
}

/** Reads it off an undamaged image, with the reader that was made from the document alone. */
export function expectedOf(bytes: Uint8Array): Expected {
  const image = new Image(bytes);
  const stored = new Map(image.rows.map((row) => [`${row.table} ${latin1(row.key)}`, row]));
  const onDisk = rowsOf(withoutJournal(bytes, image));
  const tables: ExpectedTable[] = [];
  let sequence = image.state.sequence;
  for (const [id, rows] of [...rowsOf(bytes)].sort(([a], [b]) => a - b)) {
    const sorted = [...rows].sort(([a], [b]) => a < b ? -1 : 1);
    let roots: readonly number[] = [];
    const list = sorted.map(([name, value]): ExpectedRow => {
      const key = fromLatin1(name);
      const row = stored.get(`${id} ${name}`);
      const before = onDisk.get(id)?.get(name);
      const kept = before !== undefined && latin1(before) === latin1(value);
      if (row === undefined || !kept) return { key, value, tree: [], run: [] };
      const tree = row.path.map((node) => node.page);
      roots = row.path.filter((node) => node.table === 0).map((node) => node.page);
      return { key, value, tree, run: row.run === undefined ? [] : pagesOf(row.run) };
    });
    if (id === 2 && list.length > 0) sequence = Number(new DataView(list.at(-1)!.key.buffer).getBigUint64(0));
    tables.push({ id, rows: list, roots });
  }
  return { image, tables, sequence };
}

/** The same file with nothing behind its newest meta generation. */
function withoutJournal(bytes: Uint8Array, image: Image): Uint8Array {
  const copy = bytes.slice();
  for (const { page, pages } of image.state.extents) copy.fill(0, page * image.pageSize, (page + pages) * image.pageSize);
  return copy;
}
