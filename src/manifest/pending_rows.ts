// Rows of one table that earlier operations of the transaction being staged have put or deleted, by a key of two numbers.

/** Pending rows by a key of two numbers. */
export class PendingRows<V> {
  readonly #rows = new Map<number, Map<number, V | null>>();
  readonly #emptied = new Set<number>();

  /** The row put last; null when it was deleted, undefined when the transaction has not touched it. */
  get(first: number, second: number): V | null | undefined {
    const row = this.#rows.get(first)?.get(second);
    return row === undefined && this.#emptied.has(first) ? null : row;
  }

  /** Notes a row that was put, or null for one that was deleted. */
  set(first: number, second: number, row: V | null): void {
    let rows = this.#rows.get(first);
    if (rows === undefined) this.#rows.set(first, rows = new Map());
    rows.set(second, row);
  }

  /** Notes that all rows with this first number were deleted. */
  empty(first: number): void {
    this.#rows.delete(first);
    this.#emptied.add(first);
  }

  /** Rows put or deleted with this first number. */
  rowsOf(first: number): Iterable<[second: number, row: V | null]> {
    return this.#rows.get(first) ?? [];
  }

  /** Whether all rows with this first number that the tree has are deleted. */
  emptied(first: number): boolean {
    return this.#emptied.has(first);
  }
}
