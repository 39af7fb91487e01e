// An undamaged image taken apart: what each page is, which pointers name it, and on which pages each row depends.
//
// Only the newest meta generation's state is looked at; pointers of the older one that name the same pages are known too, because whoever changes a page must renew them all.
import {
  BITMAP_ENTRY,
  BLOCK_SIZE,
  CELL_OVERFLOW,
  META_BITMAP,
  META_GENERATION,
  META_ROOTS,
  META_SLOTS,
  OVERFLOW_SIZE,
  PAGE_BITMAP,
  PAGE_BITMAP_INDEX,
  PAGE_BRANCH,
  PAGE_COUNT,
  PAGE_HEADER,
  PAGE_LEAF,
  PAGE_LEVEL,
  PAGE_PREFIX,
  PAGE_RUN,
  PAGE_TYPE,
  POINTER_SIZE,
  ROOT_SIZE,
  RUN_HEADER,
  SLOT_KEY,
  SLOT_OFFSET,
  SLOT_SIZE,
} from "../../../assembly/format.ts";
import { chooseState, Reader, type State } from "../../docs/reader.ts";

/** A page, or a run of pages. */
export interface PageNode {
  readonly page: number;
  readonly pages: number;
  readonly type: number;
  readonly level: number;
  /** 0: the roots tree, or the bitmap. */
  readonly table: number;
  /** Bytes in the file where the pointers to it lie. */
  readonly pointers: number[];
  /** The page that holds the first of them; undefined: a meta slot. */
  readonly parent: PageNode | undefined;
  readonly children: PageNode[];
}

/** A row of a tree and the pages that answering it takes. */
export interface StoredRow {
  readonly table: number;
  readonly key: Uint8Array;
  /** Pages from the roots tree's root down to the leaf. */
  readonly path: readonly PageNode[];
  /** The overflow run that holds the value. */
  readonly run: PageNode | undefined;
}

/** Where the parts of a slotted page's slot lie, from the start of the file. */
export interface SlotPlace {
  readonly slot: number;
  readonly cell: number;
  /** Bytes before the key rest. */
  readonly fixed: number;
  readonly rest: number;
  readonly suffix: number;
}

/** An image taken apart. */
export class Image {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly state: State;
  readonly pageSize: number;
  readonly nodes = new Map<number, PageNode>();
  readonly rows: StoredRow[] = [];
  /** Slots of the newest meta generation, and of the older one. */
  readonly newest: readonly number[];
  readonly older: readonly number[];

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.state = chooseState(bytes);
    this.pageSize = this.state.pageSize;
    this.newest = [this.state.generation % 2, this.state.generation % 2 + 2];
    this.older = this.newest.map((slot) => slot ^ 1);
    const [first] = this.newest;
    this.#tree(first! * BLOCK_SIZE + META_ROOTS, this.state.rootsLevel, 0, undefined, []);
    this.#bitmap(first! * BLOCK_SIZE + META_BITMAP, this.state.bitmapLevel, undefined);
    for (let slot = 0; slot < META_SLOTS; slot++) {
      if (slot === first) continue;
      for (const field of [META_ROOTS, META_BITMAP]) {
        const at = slot * BLOCK_SIZE + field;
        const node = this.nodes.get(this.view.getUint32(at, true));
        const same = node !== undefined && this.view.getUint32(at + 4, true) === this.view.getUint32(node.page * this.pageSize, true);
        if (same) node.pointers.push(at);
      }
    }
  }

  /** Generation of a meta slot. */
  generation(slot: number): number {
    return Number(this.view.getBigUint64(slot * BLOCK_SIZE + META_GENERATION, true));
  }

  #node(pointerAt: number, pages: number, table: number, parent: PageNode | undefined): PageNode {
    const page = this.view.getUint32(pointerAt, true);
    const at = page * this.pageSize;
    const node: PageNode = {
      page,
      pages,
      type: this.bytes[at + PAGE_TYPE]!,
      level: this.bytes[at + PAGE_LEVEL]!,
      table,
      pointers: [pointerAt],
      parent,
      children: [],
    };
    for (let i = 0; i < pages; i++) this.nodes.set(page + i, node);
    parent?.children.push(node);
    return node;
  }

  #tree(pointerAt: number, level: number, table: number, parent: PageNode | undefined, path: readonly PageNode[]): void {
    if (this.view.getUint32(pointerAt, true) === 0) return;
    const node = this.#node(pointerAt, 1, table, parent);
    if (node.type !== (level > 0 ? PAGE_BRANCH : PAGE_LEAF)) throw new Error(`page ${node.page} is of another type`);
    const below = [...path, node];
    for (const place of this.slots(node.page)) {
      if (level > 0) {
        this.#tree(place.cell, level - 1, table, node, below);
        continue;
      }
      const key = this.key(node.page, place);
      const value = place.cell + 2 + place.rest;
      if (table === 0) {
        const id = new DataView(key.buffer).getUint32(0);
        this.#tree(value, this.bytes[value + POINTER_SIZE]!, id, node, below);
        continue;
      }
      let run: PageNode | undefined;
      if (this.view.getUint16(place.cell, true) & CELL_OVERFLOW) {
        const length = this.view.getUint32(value + POINTER_SIZE, true);
        run = this.#node(value, Math.ceil((length + RUN_HEADER) / this.pageSize), table, node);
        if (run.type !== PAGE_RUN) throw new Error(`page ${run.page} is no run`);
      }
      this.rows.push({ table, key, path: below, run });
    }
  }

  #bitmap(pointerAt: number, level: number, parent: PageNode | undefined): void {
    if (this.view.getUint32(pointerAt, true) === 0) return;
    const node = this.#node(pointerAt, 1, 0, parent);
    if (node.type !== (level > 0 ? PAGE_BITMAP_INDEX : PAGE_BITMAP)) throw new Error(`page ${node.page} is no bitmap`);
    if (level === 0) return;
    const first = node.page * this.pageSize + PAGE_HEADER;
    for (let at = first; at + BITMAP_ENTRY <= first - PAGE_HEADER + this.pageSize; at += BITMAP_ENTRY) this.#bitmap(at, level - 1, node);
  }

  /** Slots of a leaf or branch page. */
  slots(page: number): SlotPlace[] {
    const at = page * this.pageSize;
    const first = at + PAGE_HEADER + ((this.view.getUint16(at + PAGE_PREFIX, true) + 3) & ~3);
    const fixed = this.bytes[at + PAGE_LEVEL]! > 0 ? POINTER_SIZE : 2;
    return Array.from({ length: this.view.getUint16(at + PAGE_COUNT, true) }, (_, i) => {
      const slot = first + i * SLOT_SIZE;
      const suffix = this.view.getUint16(slot + SLOT_KEY, true);
      return { slot, cell: at + this.view.getUint16(slot + SLOT_OFFSET, true), fixed, suffix, rest: Math.max(0, suffix - 4) };
    });
  }

  /** The key of a slot. */
  key(page: number, { slot, cell, fixed, suffix, rest }: SlotPlace): Uint8Array {
    const at = page * this.pageSize;
    const prefix = this.view.getUint16(at + PAGE_PREFIX, true);
    const key = new Uint8Array(prefix + suffix);
    key.set(this.bytes.subarray(at + PAGE_HEADER, at + PAGE_HEADER + prefix));
    for (let i = 0; i < Math.min(4, suffix); i++) key[prefix + i] = this.bytes[slot + 3 - i]!;
    if (rest > 0) key.set(this.bytes.subarray(cell + fixed, cell + fixed + rest), prefix + 4);
    return key;
  }

  /** Bytes of a leaf slot's payload. */
  payload({ cell }: SlotPlace): number {
    const word = this.view.getUint16(cell, true);
    return word & CELL_OVERFLOW ? OVERFLOW_SIZE : word;
  }

  /** Bytes of a row in the roots tree. */
  static readonly rootSize = ROOT_SIZE;
}

/** All rows of a file, as the reader that was made from the document alone reads them: the trees, then the journal on top. */
export function rowsOf(bytes: Uint8Array): Map<number, Map<string, Uint8Array>> {
  const reader = new Reader(bytes);
  const tables = new Map<number, Map<string, Uint8Array>>();
  const table = (id: number): Map<string, Uint8Array> => tables.get(id) ?? tables.set(id, new Map()).get(id)!;
  for (const [id, rows] of reader.tables()) for (const [key, value] of rows) table(id).set(latin1(key), value);
  let { sequence, frame } = reader.state;
  for (const body of reader.frames()) {
    frame++;
    for (const { kind, table: id, key, value } of body.effects) {
      if ((kind & 0x7f) === 1) table(id).set(latin1(key), value!);
      else if ((kind & 0x7f) === 2) table(id).delete(latin1(key));
      else if ((kind & 0x7f) === 3) {
        const [low, high] = [latin1(key), latin1(value!)];
        for (const name of [...table(id).keys()]) if (name >= low && name < high) table(id).delete(name);
      } else throw new Error(`an effect of kind ${kind}`);
    }
    if (body.isChange) table(2).set(latin1(big64(++sequence)), body.bytes);
    if (body.hasId) {
      const row = new Uint8Array(24);
      row.set(body.commitId);
      if (body.isChange) new DataView(row.buffer).setBigUint64(16, BigInt(sequence), true);
      table(3).set(latin1(big64(frame)), row);
    }
  }
  return tables;
}

function big64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** Bytes as text whose order is that of the bytes. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** The bytes of such a text. */
export function fromLatin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (unit) => unit.charCodeAt(0));
}
