// States of a file to take tables from, newest first: those that meta slots name, and for a scan those whose roots pages are found anywhere in the file.
import {
  META_BIRTH,
  META_EXTENT_COUNT,
  META_PAGE_COUNT,
  OK,
  PAGE_BIRTH,
  PAGE_FILE_ID,
  PAGE_LEAF,
  PAGE_LEVEL,
  PAGE_NUMBER_MAX,
  PAGE_SHIFT_MAX,
  PAGE_SHIFT_MIN,
  PAGE_TYPE,
} from "../../assembly/format.ts";
import { blankSlot, type Meta, readMeta } from "../store/meta.ts";
import { RunReader } from "../store/runs.ts";
import type { Finding } from "./finding.ts";
import type { Inspection } from "./inspection.ts";
import { compareKeys, merged } from "./lost_ranges.ts";
import { birthOf, type LostRange, rootsTree, rowsOf, tableRoot, type TreeRoot, type Visitor } from "./visitor.ts";

/** Read at a time when the whole file is looked through. */
const CHUNK = 1 << 20;
const BIRTH_MAX = 2 ** 48 - 1;

/** One state: roots of tables by id, and which ids it says nothing about. */
export interface State {
  /** Checkpoint that sealed it. */
  readonly birth: number;
  readonly roots: ReadonlyMap<number, TreeRoot>;
  /** Stretches of table ids, as keys of the roots tree, that it does not tell. */
  readonly untold: readonly LostRange[];
}

/** The key of a table in the roots tree. */
export function rootKey(table: number): Uint8Array {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, table);
  return key;
}

/** The state of a meta slot, past what is damaged in its roots tree. */
export async function stateOf(visitor: Visitor, meta: Meta, found: (findings: Finding[]) => void): Promise<State> {
  const roots = new Map<number, TreeRoot>();
  const untold: LostRange[] = [];
  const tree = rootsTree(meta);
  if (tree !== undefined) {
    for await (const visit of visitor.visit(tree, found)) {
      if (visit.type === "lost") untold.push(visit.range);
      else for (const root of visit.rows().map(tableRoot)) if (root !== undefined) roots.set(root.table, root);
    }
  }
  return { birth: birthOf(meta), roots, untold: merged(untold) };
}

/** What looking through a whole file gives. */
export interface Scanned {
  /** States by their roots pages, newest first. */
  readonly states: readonly State[];
  /** Leaf pages that are whole. */
  readonly leaves: ReadonlySet<number>;
  /** Pages looked at. */
  readonly pages: number;
}

/** A slot that stands for a file without one: identity, page size, and every page that the file has. */
export function slotFor(pageShift: number, fileId: Uint8Array, fileBytes: number): Meta {
  const id = new Uint8Array(16);
  id.set(fileId);
  const bytes = blankSlot(pageShift, id, new Uint8Array(16));
  const view = new DataView(bytes.buffer);
  view.setUint32(META_PAGE_COUNT, Math.min(PAGE_NUMBER_MAX, Math.ceil(fileBytes / 2 ** pageShift)), true);
  view.setUint32(META_BIRTH, 0xffffffff, true);
  view.setUint16(META_BIRTH + 4, 0xffff, true);
  view.setUint16(META_EXTENT_COUNT, 0, true);
  return readMeta(bytes);
}

/** Finds page size and file id of a file without a readable slot: those under which most pages are whole. Undefined when no page is. */
export async function identify(inspection: Inspection): Promise<Meta | undefined> {
  const size = inspection.source.size();
  let best: { shift: number; id: Uint8Array; pages: number } | undefined;
  for (let shift = PAGE_SHIFT_MIN; shift <= PAGE_SHIFT_MAX; shift++) {
    const votes = new Map<string, { id: Uint8Array; pages: number }>();
    const anyId = slotFor(shift, new Uint8Array(8), size);
    for await (const { bytes, verify } of pagesOf(inspection, anyId)) {
      if (bytes[PAGE_TYPE] !== PAGE_LEAF) continue;
      const id = bytes.slice(PAGE_FILE_ID, PAGE_FILE_ID + 8);
      if (!verify(id)) continue;
      const name = id.join();
      const vote = votes.get(name) ?? { id, pages: 0 };
      vote.pages++;
      votes.set(name, vote);
    }
    for (const { id, pages } of votes.values()) if (pages > (best?.pages ?? 0)) best = { shift, id, pages };
  }
  return best && slotFor(best.shift, best.id, size);
}

/** Looks through every page of a file for leaves, and for those of the roots tree. */
export async function scan(inspection: Inspection, meta: Meta): Promise<Scanned> {
  const leaves = new Set<number>();
  const found: State[] = [];
  let pages = 0;
  const total = Math.ceil(inspection.source.size() / 2 ** meta.pageShift);
  const id = meta.bytes.subarray(32, 40);
  for await (const { page, bytes, verify, list } of pagesOf(inspection, meta)) {
    if (++pages % 1024 === 0) inspection.progress("scan", pages, total);
    if (bytes[PAGE_TYPE] !== PAGE_LEAF || bytes[PAGE_LEVEL] !== 0 || !verify(id)) continue;
    leaves.add(page);
    const rows = list();
    const roots = rows.map(tableRoot);
    if (roots.some((root) => root === undefined)) continue;
    // It tells of the tables from its first to its last: what lies around them is on other pages.
    const next = new Uint8Array(5);
    next.set(rows[rows.length - 1]!.key);
    found.push({
      birth: birthIn(bytes),
      roots: new Map(roots.map((root) => [root!.table, root!])),
      untold: [{ low: undefined, high: rows[0]!.key }, { low: next, high: undefined }],
    });
  }
  inspection.progress("scan", pages, total);
  found.sort((a, b) => b.birth - a.birth || compareKeys(rootKey(lowest(a)), rootKey(lowest(b))));
  return { states: found, leaves, pages };
}

function lowest({ roots }: State): number {
  return Math.min(...roots.keys());
}

function birthIn(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Math.min(BIRTH_MAX, view.getUint32(PAGE_BIRTH, true) + view.getUint16(PAGE_BIRTH + 4, true) * 0x1_0000_0000);
}

interface ScannedPage {
  readonly page: number;
  /** Its bytes, until the next page. */
  readonly bytes: Uint8Array;
  /** Whether it is whole, under this file id. */
  verify(id: Uint8Array): boolean;
  /** Its rows, of a whole leaf. */
  list(): ReturnType<typeof rowsOf>;
}

/** Every page of a file behind the meta slots, one after the other. */
async function* pagesOf(inspection: Inspection, meta: Meta): AsyncGenerator<ScannedPage> {
  const { source } = inspection;
  const pageSize = 2 ** meta.pageShift;
  const kernel = inspection.kernel();
  const at = kernel.exports.arena(pageSize) >>> 0;
  const runs = new RunReader(kernel, source, pageSize, 0, 0);
  const chunk = new Uint8Array(CHUNK);
  const size = source.size();
  const first = Math.ceil(16384 / pageSize);
  for (let offset = first * pageSize; offset < size; offset += CHUNK) {
    await inspection.pause();
    const part = chunk.subarray(0, Math.min(CHUNK, size - offset));
    // Where a part cannot be read, its pages are tried one by one.
    const whole = source.take(offset, part);
    for (let within = 0; within + pageSize <= part.length; within += pageSize) {
      const bytes = part.subarray(within, within + pageSize);
      if (!whole && !source.take(offset + within, bytes)) continue;
      const page = (offset + within) / pageSize;
      const verify = (id: Uint8Array): boolean => {
        const view = new DataView(id.buffer, id.byteOffset, 8);
        kernel.u8.set(bytes, at);
        return kernel.exports.imageVerify(at, pageSize, page, view.getUint32(0, true), view.getUint32(4, true)) === OK;
      };
      yield { page, bytes, verify, list: () => rowsOf(kernel, at, pageSize, runs) };
    }
  }
}
