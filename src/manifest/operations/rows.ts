// Rows as the transaction being staged has left them: what earlier operations have put or deleted, else what the tree holds.
import { fail, failType } from "../../errors.ts";
import type { KeyRest } from "../write/pending_rows.ts";
import { Range } from "../read/range.ts";
import type { AnyTable, Table } from "../../schema/schema.ts";
import type { Staging } from "../write/staging.ts";
import { databases } from "../tables/databases.ts";

/** A table whose keys begin with a number that its rows are grouped by, or are that number alone. */
export type GroupedTable<V> = Table<[number, ...KeyRest[]], V> | Table<[number], V>;

/** Checks that a key is an array of so many components; what they are is checked when the key is written. */
export function componentsOf<K extends readonly unknown[]>(table: AnyTable, key: unknown, count: number): K {
  if (!Array.isArray(key) || key.length !== count) {
    failType(`Cannot use a key of "${table.name}": it is not an array of ${count} components`, { table: table.name });
  }
  return key as unknown as K;
}

/** The number in a key of one component, given bare or in an array. */
export function numberOf(key: unknown): number {
  return (Array.isArray(key) ? key[0] : key) as number;
}

/** Checks that a record is an object; `what` completes "Cannot put …". */
export function objectOf<V>(table: AnyTable, value: unknown, what: string): V {
  if (typeof value !== "object" || value === null) failType(`Cannot put ${what}: its record is not an object`, { table: table.name });
  return value as V;
}

/** A row as the transaction has left it. `rest` is what its key has behind the first component: 0 for nothing, joined by "/" when that is more than one. With `fields` at least those of it. */
export function rowOf<V>(
  staging: Staging,
  table: GroupedTable<V>,
  first: number,
  rest: KeyRest,
  key: unknown,
  fields?: readonly string[],
): V | undefined {
  const pending = staging.many ? staging.pending<V>(table as Table<[number], V>).get(first, rest) : undefined;
  if (pending !== undefined) return pending ?? undefined;
  return staging.reader(table).get(key, fields) as V | undefined;
}

/** All rows of a table that begin with a number, as the transaction has left them: those of the tree first. */
export function* rowsOf<V>(staging: Staging, table: GroupedTable<V>, first: number): Iterable<[rest: number[], row: V]> {
  const pending = staging.pending<V>(table as Table<[number], V>);
  if (!pending.emptied(first)) {
    const source = { reader: staging.reader(table), release: () => {} };
    for (const [[, ...rest], row] of new Range<[[number, ...number[]], V]>(() => source, { prefix: [first] } as object, "entries")) {
      if (pending.get(first, rest.length === 1 ? rest[0]! : rest.join("/")) === undefined) yield [rest, row];
    }
  }
  // A copy, because the one who reads may put rows of the same table.
  for (const [rest, row] of [...pending.rowsOf(first)]) {
    if (row !== null) yield [typeof rest === "number" ? [rest] : rest.split("/").map(Number), row];
  }
}

/** Throws NOT_FOUND unless the database exists; `action` completes "Cannot …". */
export function requireDatabase(staging: Staging, db: number, action: string): void {
  if (staging.knownDb === db) return;
  const pending = staging.many ? staging.pending(databases).get(db, 0) : undefined;
  if (pending === null || (pending === undefined && !staging.reader(databases).find([db]))) {
    fail("NOT_FOUND", `Cannot ${action}: there is no database ${db}`, { detail: { table: databases.name, db } });
  }
  staging.knownDb = db;
}
