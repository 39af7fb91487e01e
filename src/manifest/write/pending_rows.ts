// Rows of one table that earlier operations of the transaction being staged have put or deleted.
//
// A row is found by the first number of its key and by the rest: a number, or text where the rest has several components. Grouped by the first, because all tables
// of a database begin with it and go with it.

/** The part of a key behind its first component. */
export type KeyRest = number | string;

/** Pending rows of one table. */
export class PendingRows<V> {
  readonly #rows = new Map<number, Map<KeyRest, V | null>>();
  readonly #emptied = new Set<number>();

  /** The row put last; null when it was deleted, undefined when the transaction has not touched it. */
  get(first: number, rest: KeyRest): V | null | undefined {
    const row = this.#rows.get(first)?.get(rest);
    return row === undefined && this.#emptied.has(first) ? null : row;
  }

  /** Notes a row that was put, or null for one that was deleted. */
  set(first: number, rest: KeyRest, row: V | null): void {
    let rows = this.#rows.get(first);
    if (rows === undefined) this.#rows.set(first, rows = new Map());
    rows.set(rest, row);
  }

  /** Notes that all rows with this first number were deleted. */
  empty(first: number): void {
    this.#rows.delete(first);
    this.#emptied.add(first);
  }

  /** Rows put or deleted with this first number. */
  rowsOf(first: number): Iterable<[rest: KeyRest, row: V | null]> {
    return this.#rows.get(first) ?? [];
  }

  /** The first numbers of all rows that were put or deleted. */
  firsts(): Iterable<number> {
    return this.#rows.keys();
  }

  /** Whether all rows with this first number that the tree has are deleted. */
  emptied(first: number): boolean {
    return this.#emptied.has(first);
  }
}
