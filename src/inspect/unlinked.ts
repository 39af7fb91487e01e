// Leaf pages that the newest state uses and that no page leads to any more, because what did is damaged.
//
// The space bitmap says that the state uses them, so they are neither old nor of a table that was dropped. Which table one belongs to follows when its keys lie in a stretch that is lost of exactly one table, and every row of it can be
// read with that table's schema. One that fits none, or more than one, is left.
import { BLOCK_SIZE, CHECK_UNLINKED, DONE, MORE, NEED_PAGE, OK, PAGE_LEAF, PAGE_TYPE, TABLE_DROPPED } from "../../assembly/format.ts";
import { fileIdWords, type Meta } from "../store/meta.ts";
import { statusError } from "../store/status.ts";
import { compareKeys, isIn, merged } from "./lost_ranges.ts";
import type { Inspection } from "./inspection.ts";
import type { RowJudge } from "./row_judge.ts";
import type { State } from "./states.ts";
import { isEmptyRoot, type LostRange, rowsOf, slotForWalk, type VisitedRow, Visitor } from "./visitor.ts";
import { RunReader } from "../store/runs.ts";

const STEP = 64;

/** A page that nothing leads to, of a table. */
export interface UnlinkedLeaf {
  readonly page: number;
  readonly first: Uint8Array;
  readonly last: Uint8Array;
}

/** A table that a page may belong to. */
export interface Candidate {
  readonly id: number;
  readonly name: string;
  readonly schema: Uint8Array;
}

/** Finds such pages by table, each list in key order. `leaves`: the pages of the file that are whole leaves. */
export async function findUnlinked(
  inspection: Inspection,
  meta: Meta,
  state: State,
  tables: readonly Candidate[],
  leaves: ReadonlySet<number>,
  judge: RowJudge,
): Promise<Map<number, UnlinkedLeaf[]>> {
  const found = new Map<number, UnlinkedLeaf[]>();
  const pages = (await pagesInUse(inspection, meta)).filter((page) => leaves.has(page));
  if (pages.length === 0) return found;
  const visitor = new Visitor(inspection, meta, String);
  const lossy: (Candidate & { lost: LostRange[] })[] = [];
  for (const table of tables) {
    const lost = await lostOf(visitor, state, table.id);
    if (lost.length > 0) lossy.push({ ...table, lost });
  }
  for (const page of pages) {
    const rows = readLeaf(inspection, visitor, meta, page);
    if (rows.length === 0) continue;
    const first = rows[0]!.key;
    const last = rows[rows.length - 1]!.key;
    const fits = lossy.filter(({ lost }) => isIn(lost, first) && isIn(lost, last)).filter((table) => reads(judge, visitor, table, rows));
    if (fits.length !== 1) continue;
    const list = found.get(fits[0]!.id) ?? [];
    list.push({ page, first, last });
    found.set(fits[0]!.id, list);
    await inspection.step();
  }
  for (const list of found.values()) list.sort((a, b) => compareKeys(a.first, b.first));
  return found;
}

/** Pages that the bitmap of a state has in use and that its walk does not reach. */
async function pagesInUse(inspection: Inspection, meta: Meta): Promise<number[]> {
  const visitor = new Visitor(inspection, meta, String);
  const { kernel } = visitor;
  const x = kernel.exports;
  const at = x.arena(BLOCK_SIZE) >>> 0;
  kernel.u8.set(slotForWalk(meta, inspection.source.size()), at);
  let status = x.checkBegin(at, 1 | CHECK_UNLINKED);
  while (status !== DONE) {
    if (status === NEED_PAGE) visitor.readPage();
    else if (status === MORE) await inspection.pause();
    else if (status !== OK) throw statusError(kernel, status, "salvage");
    status = x.checkStep(STEP);
  }
  const stretches = visitor.pages.take().filter(({ code }) => code === "PAGES_LEAKED");
  return stretches.flatMap(({ page, actual }) => Array.from({ length: actual! }, (_, i) => page! + i));
}

async function lostOf(visitor: Visitor, { roots }: State, table: number): Promise<LostRange[]> {
  const root = roots.get(table);
  const lost: LostRange[] = [];
  if (root === undefined || table >= TABLE_DROPPED || isEmptyRoot(root)) return lost;
  for await (const visit of visitor.visit(root, () => {})) if (visit.type === "lost") lost.push(visit.range);
  return merged(lost);
}

/** The rows of a page that was found to be a whole leaf; none when it cannot be read now, or a writer has put another there. */
export function readLeaf(inspection: Inspection, { kernel }: Visitor, meta: Meta, page: number): VisitedRow[] {
  const pageSize = 2 ** meta.pageShift;
  const bytes = new Uint8Array(pageSize);
  if (!inspection.source.take(page * pageSize, bytes)) return [];
  const at = kernel.exports.arena(pageSize) >>> 0;
  kernel.u8.set(bytes, at);
  if (bytes[PAGE_TYPE] !== PAGE_LEAF || kernel.exports.imageVerify(at, pageSize, page, ...fileIdWords(meta.bytes)) !== OK) return [];
  return rowsOf(kernel, at, pageSize, new RunReader(kernel, inspection.source, pageSize, 0, 0));
}

function reads(judge: RowJudge, visitor: Visitor, { name, schema }: Candidate, rows: readonly VisitedRow[]): boolean {
  const codec = judge.codec(name, schema);
  if (codec === undefined) return false;
  try {
    return rows.every((row) => {
      // What a value is when its run is damaged says nothing about its table.
      const value = visitor.tryValue(row);
      return value === undefined ? judge.readsKey(codec, row.key) : judge.reads(codec, row.key, value);
    });
  } finally {
    codec.release();
  }
}
