// What lies in each 4 KiB block of a file, in words: the rows of the matrix.
import {
  BLOCK_SIZE,
  JOURNAL_COUNT,
  JOURNAL_EPOCH,
  JOURNAL_GROUP,
  JOURNAL_INDEX,
  JOURNAL_MAGIC,
  JOURNAL_MAGIC_VALUE,
  PAGE_BITMAP,
  PAGE_BITMAP_INDEX,
  PAGE_BRANCH,
  PAGE_RUN,
} from "../../../assembly/format.ts";
import type { Expected } from "./expected.ts";
import { fromLatin1, latin1, rowsOf } from "./image.ts";

/** A block of an acknowledged group that only the journal holds. */
export interface JournalBlock {
  readonly group: number;
  readonly index: number;
  /** Data blocks of the group; the block of this index is the parity. */
  readonly count: number;
}

/** A block. */
export interface Region {
  readonly block: number;
  readonly label: string;
  readonly kind: "meta" | "journal" | "tree" | "run" | "bitmap" | "unused";
  /** Its slot, of a meta block. */
  readonly slot: number;
  /** What it is of a group that is replayed. */
  readonly journal: JournalBlock | undefined;
  /** The page that it belongs to. */
  readonly page: number;
}

const ENGINE: Readonly<Record<number, string>> = { 0: "roots tree", 1: "catalog", 2: "change log", 3: "commits" };

/** The regions of an undamaged image, by block. */
export function regionsOf(expected: Expected): Region[] {
  const { image } = expected;
  const { state, view } = image;
  const names = new Map<number, string>();
  for (const [name, value] of rowsOf(image.bytes).get(1) ?? []) {
    if (value.length > 4) names.set(new DataView(value.buffer, value.byteOffset).getUint32(0, true), latin1(fromLatin1(name)));
  }
  const journal = new Set<number>();
  for (const { page, pages } of state.extents) {
    const first = (page * image.pageSize) / BLOCK_SIZE;
    for (let i = 0; i < (pages * image.pageSize) / BLOCK_SIZE; i++) journal.add(first + i);
  }
  return Array.from({ length: Math.ceil(image.bytes.length / BLOCK_SIZE) }, (_, block): Region => {
    const at = block * BLOCK_SIZE;
    const page = Math.floor(at / image.pageSize);
    const base = { block, slot: -1, journal: undefined, page };
    if (block < 4) {
      const newest = image.newest.includes(block);
      return {
        ...base,
        kind: "meta",
        slot: block,
        label: `meta slot, ${newest ? "newest" : "older"} generation, copy ${block < 2 ? 1 : 2}`,
      };
    }
    if (journal.has(block)) {
      const group = view.getUint32(at + JOURNAL_GROUP, true);
      const live = !state.clean && view.getUint32(at + JOURNAL_MAGIC, true) === JOURNAL_MAGIC_VALUE &&
        view.getUint32(at + JOURNAL_EPOCH, true) === state.epoch && group >= state.group;
      if (!live) return { ...base, kind: "unused", label: "journal, not in use" };
      const [index, count] = [view.getUint16(at + JOURNAL_INDEX, true), view.getUint16(at + JOURNAL_COUNT, true)];
      return {
        ...base,
        kind: "journal",
        journal: { group, index, count },
        label: `journal, ${index === count ? "parity" : "data"} block of an acknowledged group`,
      };
    }
    const node = image.nodes.get(page);
    if (node === undefined) return { ...base, kind: "unused", label: "page, free" };
    if (node.type === PAGE_BITMAP) return { ...base, kind: "bitmap", label: "bitmap" };
    if (node.type === PAGE_BITMAP_INDEX) return { ...base, kind: "bitmap", label: "bitmap index" };
    const name = ENGINE[node.table] ?? names.get(node.table) ?? `table ${node.table}`;
    if (node.type === PAGE_RUN) {
      return { ...base, kind: "run", label: `${name}, overflow run, ${page === node.page ? "first page" : "further page"}` };
    }
    return { ...base, kind: "tree", label: `${name}, ${node.type === PAGE_BRANCH ? "branch" : "leaf"}` };
  });
}
