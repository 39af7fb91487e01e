// Staging into an overlay: the operations of a read-write transaction that has not been committed take effect in memory, so that it can read what they do.
//
// Operations are the same and run through the same code as at commit; only where rows go differs. What follows from the operations together (reference counts) is taken back before
// further operations are staged, and written anew behind them.
import type { AnyTable } from "../../schema/schema.ts";
import { keyText, type View } from "../../store/store.ts";
import type { Bound } from "../bindings.ts";
import type { ManifestCore } from "../core.ts";
import { type CursorRows, unknownCursor } from "../log/cursor_index.ts";
import { Overlay } from "./overlay.ts";
import { Staging } from "../write/staging.ts";
import type { RowReader } from "../read/table_reader.ts";
import { type CursorRecord, cursors } from "../tables/cursors.ts";

/** Where an overlay's operations read. */
export interface OverlayBase {
  /** The state below. */
  readonly view: View;
  /** A table in it, or one that the transaction is going to make. */
  bind(table: AnyTable): Bound;
  /** Reads a table in it; what is read is noted. */
  reader(table: AnyTable): RowReader;
}

/** Stages the operations of one transaction into an overlay. */
export class OverlayStaging extends Staging {
  /** What they have written. */
  readonly overlay: Overlay = new Overlay();
  readonly #base: OverlayBase;
  /** Cursors that they have moved. */
  readonly #moved = new Map<number, CursorRecord>();
  #takeBack: (() => void) | undefined;

  constructor(core: ManifestCore, base: OverlayBase) {
    super(core.store, core.bindings, () => core.log);
    this.#base = base;
    this.many = true;
  }

  override get cursors(): CursorRows {
    return {
      need: (id) => this.#moved.get(id) ?? this.reader(cursors).get([id]) as CursorRecord | undefined ?? unknownCursor(id),
      stage: (id, row) => void this.#moved.set(id, row),
    };
  }

  override get view(): View {
    return this.#base.view;
  }

  override bind(table: AnyTable): Bound {
    return this.#base.bind(table);
  }

  override reader(table: AnyTable): RowReader {
    return this.#base.reader(table);
  }

  override put(bound: Bound, key: unknown, value: unknown): void {
    const { codec, info } = bound;
    const encoded = keyText(codec.encodeKey(key as never));
    this.overlay.table(info.id).set(encoded, codec.encodeValue(value));
  }

  override delete(bound: Bound, key: unknown): void {
    this.overlay.table(bound.info.id).set(keyText(bound.codec.encodeKey(key as never)), null);
  }

  override deleteRange(tableId: number, lower: Uint8Array, upper: Uint8Array): void {
    this.overlay.table(tableId).deleteRange(keyText(lower), keyText(upper));
  }

  override deleteEncoded(tableId: number, key: Uint8Array): void {
    this.overlay.table(tableId).set(keyText(key), null);
  }

  /** Stages further operations, then what follows from all of them. */
  extend(stage: (staging: Staging) => void): void {
    this.#takeBack?.();
    this.#takeBack = undefined;
    stage(this);
    this.#takeBack = this.overlay.keep();
    this.settle();
  }
}
