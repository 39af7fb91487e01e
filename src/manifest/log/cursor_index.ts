// The change cursors of the newest applied state, in memory: what truncation and the watch over lag ask for all the time.
//
// A row that a transaction has staged is seen by the rest of that transaction through `stage`, and is read again from the tree afterwards, because the transaction may yet fail. When applied
// transactions are taken back everything is read again. So the index follows from the tree alone: it decides nothing that another handle would not.
import { fail } from "../../errors.ts";
import type { Store } from "../../store/store.ts";
import { Range } from "../read/range.ts";
import type { Staging } from "../write/staging.ts";
import { type CursorRecord, cursors } from "../tables/cursors.ts";

/** Throws CURSOR_UNKNOWN. */
export function unknownCursor(id: number): never {
  fail("CURSOR_UNKNOWN", `Cannot use change cursor ${id}: there is none`, { detail: { cursorId: id } });
}

/** Cursors as a transaction sees and moves them. */
export interface CursorRows {
  /** A row as the transaction has left it; CURSOR_UNKNOWN when there is none. */
  need(id: number): CursorRecord;
  /** Notes what the transaction makes of a row. */
  stage(id: number, row: CursorRecord): void;
}

/** The change cursors of the newest applied state. */
export class CursorIndex implements CursorRows {
  /** Rises with every change. */
  version = 0;
  /** Called when a row is staged: it must not throw, and not read before the next microtask. */
  onStage: () => void = () => {};
  readonly #store: Store;
  readonly #staging: Staging;
  #rows: Map<number, CursorRecord> | undefined;
  #discards = 0;
  /** Rows to read again, by the frame behind which the transaction that staged them comes: it is applied or has failed when there is a later one. */
  readonly #unsure = new Map<number, number>();
  /** Rows staged by the transaction with this number; null = unregistered. */
  readonly #staged = new Map<number, CursorRecord | null>();
  #serial = -1;

  constructor(store: Store, staging: Staging) {
    this.#store = store;
    this.#staging = staging;
  }

  /** All rows of the newest applied state. */
  get rows(): ReadonlyMap<number, CursorRecord> {
    if (this.#rows === undefined || this.#discards !== this.#store.discards) {
      const { discards } = this.#store;
      const source = { reader: this.#staging.reader(cursors), release: () => {} };
      // Whole or not at all: a page that cannot be read must not make cursors unknown, nor the log forget what they have before them.
      const rows = new Map<number, CursorRecord>();
      for (const [[id], row] of new Range<[[number], CursorRecord]>(() => source, {}, "entries")) rows.set(id, row);
      this.#rows = rows;
      this.#discards = discards;
      this.version++;
    }
    if (this.#unsure.size > 0) {
      const reader = this.#staging.reader(cursors);
      const { frame } = this.#store.newest;
      for (const [id, behind] of this.#unsure) {
        const row = reader.get([id]) as CursorRecord | undefined;
        if (row === undefined) this.#rows.delete(id);
        else this.#rows.set(id, row);
        if (frame > behind) this.#unsure.delete(id);
      }
      this.version++;
    }
    return this.#rows;
  }

  /** Whether rows have changed that were not read again yet. */
  get stale(): boolean {
    return this.#rows === undefined || this.#unsure.size > 0 || this.#discards !== this.#store.discards;
  }

  /** Whether the transaction that is being staged has changed rows. */
  get staged(): boolean {
    return this.#own().size > 0;
  }

  /** Rows as the transaction that is being staged has left them. */
  *pending(): Iterable<[id: number, row: CursorRecord]> {
    const { rows } = this;
    const staged = this.#own();
    for (const [id, row] of rows) if (!staged.has(id)) yield [id, row];
    for (const [id, row] of staged) if (row !== null) yield [id, row];
  }

  /** A row as the transaction that is being staged has left it; CURSOR_UNKNOWN when there is none. */
  need(id: number): CursorRecord {
    const staged = this.#own().get(id);
    return (staged === undefined ? this.rows.get(id) : staged) ?? unknownCursor(id);
  }

  /** Notes what the transaction that is being staged makes of a row; null: it ends it. */
  stage(id: number, row: CursorRecord | null): void {
    this.#own().set(id, row);
    this.#unsure.set(id, this.#store.newest.frame);
    this.onStage();
  }

  #own(): Map<number, CursorRecord | null> {
    if (this.#serial !== this.#staging.serial) {
      this.#serial = this.#staging.serial;
      if (this.#staged.size > 0) this.#staged.clear();
    }
    return this.#staged;
  }
}
