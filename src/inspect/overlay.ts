// What the journal makes of the rows below it: the last word on each key that it touches.
//
// Effects are resolved and blind, so their sum is a set of rows to put, keys and ranges that are gone, and tables that were dropped. Memory is bounded by the journal.
import {
  CTRL_ROWS,
  CTRL_ROWS_AT,
  EFFECT_DELETE_RANGE,
  EFFECT_DROP_TABLE,
  EFFECT_HIDDEN,
  EFFECT_KEY_AT_WORD,
  EFFECT_KEY_LENGTH_WORD,
  EFFECT_KIND_WORD,
  EFFECT_PUT,
  EFFECT_TABLE_WORD,
  EFFECT_VALUE_AT_WORD,
  EFFECT_VALUE_LENGTH_WORD,
  EFFECT_WORDS,
  OK,
  TABLE_ID_CHANGES,
  TABLE_ID_COMMITS,
} from "../../assembly/format.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { compareKeys, isIn, merged } from "./lost_ranges.ts";
import type { LostRange } from "./visitor.ts";

/** What the journal says of one table. */
class TableOverlay {
  /** Nothing of below is there any more. */
  dropped = false;
  /** Rows by their key; undefined: gone. */
  readonly rows: Map<string, { key: Uint8Array; value: Uint8Array | undefined }> = new Map();
  ranges: LostRange[] = [];

  put(key: Uint8Array, value: Uint8Array | undefined): void {
    this.rows.set(nameOf(key), { key, value });
  }

  deleteRange(low: Uint8Array, high: Uint8Array): void {
    if (compareKeys(low, high) >= 0) return;
    for (const row of this.rows.values()) {
      if (compareKeys(row.key, low) >= 0 && compareKeys(row.key, high) < 0) row.value = undefined;
    }
    this.ranges = merged([...this.ranges, { low, high }]);
  }

  drop(): void {
    this.dropped = true;
    this.rows.clear();
    this.ranges = [];
  }
}

function nameOf(key: Uint8Array): string {
  return String.fromCharCode(...key);
}

/** The effects of a journal, taken together. */
export class Overlay {
  readonly #tables = new Map<number, TableOverlay>();

  /** Ids of the tables that it touches. */
  get tables(): number[] {
    return [...this.#tables.keys()];
  }

  /** Takes the effects of a frame body in kernel memory; false when it cannot be read. */
  take(kernel: Kernel, at: number, length: number): boolean {
    if (kernel.exports.bodyRead(at, length) !== OK) return false;
    const count = kernel.word(CTRL_ROWS);
    const index = kernel.word(CTRL_ROWS_AT) >>> 2;
    const { u8, u32 } = kernel;
    for (let i = 0; i < count; i++) {
      const row = index + i * EFFECT_WORDS;
      const bytes = (at: number, length: number): Uint8Array => u8.slice(u32[row + at]!, u32[row + at]! + u32[row + length]!);
      const table = u32[row + EFFECT_TABLE_WORD]!;
      // Log and ids of commits are not carried over.
      if (table === TABLE_ID_CHANGES || table === TABLE_ID_COMMITS) continue;
      const kind = u32[row + EFFECT_KIND_WORD]! & ~EFFECT_HIDDEN;
      const overlay = this.#of(table);
      const key = bytes(EFFECT_KEY_AT_WORD, EFFECT_KEY_LENGTH_WORD);
      if (kind === EFFECT_DROP_TABLE) overlay.drop();
      else if (kind === EFFECT_DELETE_RANGE) overlay.deleteRange(key, bytes(EFFECT_VALUE_AT_WORD, EFFECT_VALUE_LENGTH_WORD));
      else overlay.put(key, kind === EFFECT_PUT ? bytes(EFFECT_VALUE_AT_WORD, EFFECT_VALUE_LENGTH_WORD) : undefined);
    }
    return true;
  }

  #of(table: number): TableOverlay {
    let overlay = this.#tables.get(table);
    if (overlay === undefined) this.#tables.set(table, overlay = new TableOverlay());
    return overlay;
  }

  /** Whether a row below is replaced or gone. */
  covers(table: number, key: Uint8Array): boolean {
    const overlay = this.#tables.get(table);
    return overlay !== undefined && (overlay.dropped || overlay.rows.has(nameOf(key)) || isIn(overlay.ranges, key));
  }

  /** Whether the table was dropped: what is below it counts for nothing. */
  dropped(table: number): boolean {
    return this.#tables.get(table)?.dropped === true;
  }

  /** The rows that it puts into a table, in key order. */
  rows(table: number): { key: Uint8Array; value: Uint8Array }[] {
    const overlay = this.#tables.get(table);
    if (overlay === undefined) return [];
    const rows: { key: Uint8Array; value: Uint8Array }[] = [];
    for (const { key, value } of overlay.rows.values()) if (value !== undefined) rows.push({ key, value });
    return rows.sort((a, b) => compareKeys(a.key, b.key));
  }
}
