// Rows in key order, in memory, whose states can be kept: a kept state costs nothing until the rows change behind it.
//
// Pieces of a few hundred rows; a piece that belongs to a kept state is copied before it is changed.
/** A row: its encoded record, or null when it is deleted. */
export interface OwnRow {
  readonly value: Uint8Array | null;
  /** Whether the state below has a row of this key; undefined until somebody has looked. */
  inBase: boolean | undefined;
}

interface Piece {
  readonly keys: string[];
  readonly rows: OwnRow[];
  /** The age at which it was made: of this age it may be changed in place. */
  readonly age: number;
}

/** A kept state. */
export type KeptRows = readonly Piece[];

const PIECE = 256;

/** Index of the first key that is not before `key`. */
function lowerIndex(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the piece that holds `key` if any does: the last whose first key is not behind it. */
function pieceIndex(pieces: readonly Piece[], key: string): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (pieces[middle]!.keys[0]! <= key) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

/** Rows by encoded key. */
export class SortedRows {
  #pieces: Piece[] = [];
  #age = 0;
  #shared = false;

  /** Whether there are none. */
  get empty(): boolean {
    return this.#pieces.length === 0;
  }

  /** The row of a key. */
  get(key: string): OwnRow | undefined {
    const piece = this.#pieces[pieceIndex(this.#pieces, key)];
    if (piece === undefined) return undefined;
    const at = lowerIndex(piece.keys, key);
    return piece.keys[at] === key ? piece.rows[at] : undefined;
  }

  /** Puts a row. */
  set(key: string, row: OwnRow): void {
    this.#own();
    if (this.#pieces.length === 0) {
      this.#pieces.push({ keys: [key], rows: [row], age: this.#age });
      return;
    }
    const index = pieceIndex(this.#pieces, key);
    const piece = this.#writable(index);
    const at = lowerIndex(piece.keys, key);
    if (piece.keys[at] === key) {
      piece.rows[at] = row;
      return;
    }
    piece.keys.splice(at, 0, key);
    piece.rows.splice(at, 0, row);
    if (piece.keys.length <= PIECE) return;
    // Ascending keys leave full pieces behind them.
    const half = at === PIECE ? PIECE : PIECE >>> 1;
    this.#pieces.splice(index + 1, 0, { keys: piece.keys.splice(half), rows: piece.rows.splice(half), age: this.#age });
  }

  /** Removes the rows from `lower` on, before `upper`. */
  removeRange(lower: string, upper: string): void {
    this.#own();
    const kept: Piece[] = [];
    for (const piece of this.#pieces) {
      const from = lowerIndex(piece.keys, lower);
      const to = lowerIndex(piece.keys, upper);
      if (from >= to) kept.push(piece);
      else if (from > 0 || to < piece.keys.length) {
        const keys = piece.keys.slice(0, from).concat(piece.keys.slice(to));
        kept.push({ keys, rows: piece.rows.slice(0, from).concat(piece.rows.slice(to)), age: this.#age });
      }
    }
    this.#pieces = kept;
  }

  #own(): void {
    if (!this.#shared) return;
    this.#shared = false;
    this.#pieces = this.#pieces.slice();
  }

  #writable(index: number): Piece {
    const piece = this.#pieces[index]!;
    if (piece.age === this.#age) return piece;
    return this.#pieces[index] = { keys: piece.keys.slice(), rows: piece.rows.slice(), age: this.#age };
  }

  /** The state as it is: what is changed from now on is not in it. */
  keep(): KeptRows {
    this.#age++;
    this.#shared = true;
    return this.#pieces;
  }

  /** Goes back to a kept state. */
  restore(kept: KeptRows): void {
    this.#pieces = kept as Piece[];
    this.#age++;
    this.#shared = true;
  }
}

/** Walks rows of a kept state in order, within bounds; `upper` exclusive, undefined: none. */
export class RowCursor {
  /** Key and row where it stands; undefined at the end. */
  key: string | undefined;
  row: OwnRow | undefined;
  readonly #pieces: KeptRows;
  readonly #reverse: boolean;
  readonly #lower: string;
  readonly #upper: string | undefined;
  #piece: number;
  #at: number;

  constructor(pieces: KeptRows, lower: string, upper: string | undefined, reverse: boolean) {
    this.#pieces = pieces;
    this.#reverse = reverse;
    this.#lower = lower;
    this.#upper = upper;
    const edge = reverse ? upper : lower;
    this.#piece = edge === undefined ? pieces.length - 1 : pieceIndex(pieces, edge);
    const piece = pieces[this.#piece];
    const at = piece === undefined ? 0 : edge === undefined ? piece.keys.length : lowerIndex(piece.keys, edge);
    this.#at = reverse ? at - 1 : at;
    this.#settle();
  }

  #settle(): void {
    let piece = this.#pieces[this.#piece];
    while (piece !== undefined && (this.#at < 0 || this.#at >= piece.keys.length)) {
      this.#piece += this.#reverse ? -1 : 1;
      piece = this.#pieces[this.#piece];
      this.#at = this.#reverse && piece !== undefined ? piece.keys.length - 1 : 0;
    }
    const key = piece?.keys[this.#at];
    const inside = key !== undefined && (this.#reverse ? key >= this.#lower : this.#upper === undefined || key < this.#upper);
    this.key = inside ? key : undefined;
    this.row = inside ? piece!.rows[this.#at] : undefined;
  }

  /** Moves to the next row. */
  next(): void {
    this.#at += this.#reverse ? -1 : 1;
    this.#settle();
  }
}
