// Level "tree" of a check: the kernel's whole-file walk over one meta generation.
import {
  BLOCK_SIZE,
  CHECK_BITMAP_PAGES,
  CHECK_BRANCH_PAGES,
  CHECK_ERRORS,
  CHECK_FREE_PAGES,
  CHECK_JOURNAL_PAGES,
  CHECK_LEAF_PAGES,
  CHECK_LEAKED_PAGES,
  CHECK_META_PAGES,
  CHECK_PAGES,
  CHECK_READ,
  CHECK_ROWS,
  CHECK_RUN_PAGES,
  CHECK_TABLES,
  CHECK_WARNINGS,
  CHECK_WORDS,
  CTRL_CHECK_SUMMARY,
  DONE,
  MORE,
  NEED_PAGE,
  OK,
} from "../../assembly/format.ts";
import type { Meta } from "../store/meta.ts";
import { statusError } from "../store/status.ts";
import type { PageSummary } from "./check_types.ts";
import type { Finding } from "./finding.ts";
import type { Inspection } from "./inspection.ts";
import { nameOfTable, readTableNames } from "./table_names.ts";
import { slotForWalk, Visitor } from "./visitor.ts";

/** Pages between two looks for findings. */
const STEP = 64;
const TELL = 1024;

/** What the walk has counted. */
export interface WalkedPages {
  readonly pages: PageSummary;
  readonly tables: number;
  readonly rows: number;
}

/** Walks every page that a meta generation reaches, overflow values and the bitmap included. Throws Replaced when a writer may have reused pages of it. */
export async function checkPages(inspection: Inspection, meta: Meta): Promise<WalkedPages> {
  let names: ReadonlyMap<number, string> | undefined;
  const visitor = new Visitor(inspection, meta, (id) => nameOfTable(names ?? new Map(), id));
  const { kernel } = visitor;
  const x = kernel.exports;
  const at = x.arena(BLOCK_SIZE) >>> 0;
  kernel.u8.set(slotForWalk(meta, inspection.source.size()), at);
  const status = x.checkBegin(at, 2);
  if (status !== OK) throw statusError(kernel, status, "check");
  let told = 0;
  let done = false;
  let kept = 0;
  for (let reads = 0; !done;) {
    const status = x.checkStep(STEP);
    if (status === NEED_PAGE) {
      visitor.readPage();
      if (++reads % STEP !== 0) continue; // a call ends at each page that it needs: only the reads tell how long it has been
    }
    if (status === DONE) done = true;
    else if (status === NEED_PAGE || status === MORE) await inspection.pause();
    else throw statusError(kernel, status, "check");
    if (x.checkFindings() > kept) {
      kept = x.checkFindings();
      inspection.still(meta);
      names ??= await readTableNames(inspection, meta);
      for (const finding of visitor.pages.take()) inspection.findings.add(finding);
    }
    const read = counters(visitor)[CHECK_READ]!;
    if (read - told >= TELL || done) inspection.progress("tree", told = read, counters(visitor)[CHECK_PAGES]!);
  }
  const sum = counters(visitor);
  // The kernel keeps so many and counts the rest.
  inspection.findings.uncounted("error", sum[CHECK_ERRORS]! - visitor.pages.errors);
  inspection.findings.uncounted("warning", sum[CHECK_WARNINGS]! - visitor.pages.warnings);
  return {
    pages: {
      total: sum[CHECK_PAGES]!,
      meta: sum[CHECK_META_PAGES]!,
      journal: sum[CHECK_JOURNAL_PAGES]!,
      branch: sum[CHECK_BRANCH_PAGES]!,
      leaf: sum[CHECK_LEAF_PAGES]!,
      overflow: sum[CHECK_RUN_PAGES]!,
      bitmap: sum[CHECK_BITMAP_PAGES]!,
      free: sum[CHECK_FREE_PAGES]!,
      leaked: sum[CHECK_LEAKED_PAGES]!,
    },
    tables: sum[CHECK_TABLES]!,
    rows: sum[CHECK_ROWS]!,
  };
}

function counters({ kernel }: Visitor): Float64Array {
  kernel.exports.checkFindings();
  const summary = kernel.word(CTRL_CHECK_SUMMARY) >>> 3;
  return kernel.f64.slice(summary, summary + CHECK_WORDS);
}

/** A finding that says that another one has ended part of the work. */
export function incomplete(what: string): Finding {
  return {
    severity: "info",
    code: "INCOMPLETE",
    reason: "damage",
    message: `${what} could not be looked at because of damage that other findings name.`,
    advice: "See the other findings.",
  };
}
