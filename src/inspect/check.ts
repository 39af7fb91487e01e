// Checking a file without opening it: level by level, beside a writer, on whatever the file holds.
import { takeOptions } from "../arguments.ts";
import { fail, failRange, failType } from "../errors.ts";
import type { Storage } from "../storage/storage.ts";
import type { CheckOptions, CheckSummary } from "./check_types.ts";
import { checkTables } from "./deep.ts";
import { type Header, reportHeader } from "./header.ts";
import { Inspection, Replaced } from "./inspection.ts";
import { type WalkedJournal, walkJournal } from "./journal.ts";
import { checkPages, type WalkedPages } from "./tree_check.ts";

const LEVELS = ["header", "tree", "deep"] as const;
const CACHE = 64 << 20;
/** Attempts beside a writer that keeps replacing what is looked at. */
const ATTEMPTS = 10;

const OPTIONS = {
  level: true,
  onFinding: true,
  onProgress: true,
  maxFindings: true,
  cacheBytes: true,
  signal: true,
  environment: true,
  wasm: true,
} as const;

/** What one attempt gives. */
interface Attempt {
  readonly header: Header;
  readonly journal?: WalkedJournal;
  readonly walked?: WalkedPages;
}

/**
 * Checks a file and tells what is wrong with it. The storage is only read, never locked, and stays open. Works beside a writer, on damaged and on hostile files, with bounded memory; goes on after what it
 * finds. The newest meta generation that is readable is judged, with the journal behind it.
 *
 * Throws for what is not about the file's contents: INVALID_ARGUMENT, ABORTED, and SNAPSHOT_EXPIRED when a writer has replaced the state again and again before all of it was looked at.
 *
 * @example
 * ```ts
 * import { checkFile, openSource } from "@waybill/manifest/inspect";
 *
 * export async function isHealthy(path: string): Promise<boolean> {
 *   const source = openSource(path);
 *   try {
 *     const { verdict } = await checkFile(source, { level: "deep", onFinding: ({ message, advice }) => console.error(message, advice) });
 *     return verdict === "clean" || verdict === "absorbed";
 *   } finally {
 *     source.close();
 *   }
 * }
 * ```
 */
export async function checkFile(storage: Storage, options: CheckOptions = {}): Promise<CheckSummary> {
  const given = takeOptions(options, OPTIONS, "check");
  const { level = "tree", maxFindings, cacheBytes = CACHE } = given;
  if (!LEVELS.includes(level)) failType('Cannot check: the level is none of "header", "tree" and "deep"', { field: "level" });
  if (maxFindings !== undefined && !(maxFindings >= 0)) {
    failRange("Cannot check: maxFindings is not a number from 0 on", { field: "maxFindings" });
  }
  const inspection = new Inspection(storage, "check", given);
  let restarts = 0;
  for (;;) {
    try {
      return summary(inspection, level, restarts, await attempt(inspection, storage, level, cacheBytes));
    } catch (error) {
      if (!(error instanceof Replaced)) throw error;
      if (++restarts === ATTEMPTS) {
        fail("SNAPSHOT_EXPIRED", `Cannot check "${storage.name}": a writer replaces what is looked at faster than it can be looked at`, {
          detail: { file: storage.name, attempts: ATTEMPTS },
        });
      }
    }
  }
}

async function attempt(inspection: Inspection, storage: Storage, level: CheckOptions["level"], cacheBytes: number): Promise<Attempt> {
  const { findings } = inspection;
  inspection.progress("header", 0, 0);
  const header = await inspection.header();
  reportHeader(header, findings);
  const meta = header.newest;
  if (level === "header" || meta === undefined) return { header };
  if (header.metas.includes(undefined)) {
    findings.add({
      severity: "info",
      code: "OLDER_GENERATION_JUDGED",
      reason: "header",
      message: `Meta generation ${meta.generation} is judged, the only one that is readable; a newer one may have been there.`,
      advice: "Keep a copy of the file, then salvage it into a new one.",
    });
  }
  inspection.progress("journal", 0, 0);
  const older = header.metas.includes(undefined);
  const journal = await walkJournal(inspection, meta, { found: (finding) => findings.add(finding), older });
  const walked = await checkPages(inspection, meta);
  if (level === "deep") {
    inspection.progress("deep", 0, 0);
    await checkTables(inspection, storage, meta, cacheBytes, findings.counts.error > 0);
  }
  return { header, journal, walked };
}

function summary(
  inspection: Inspection,
  level: CheckSummary["level"],
  restarts: number,
  { header, journal, walked }: Attempt,
): CheckSummary {
  const { source, findings } = inspection;
  const { newest, generations } = header;
  return {
    verdict: findings.verdict(newest !== undefined),
    level,
    file: source.name,
    fileBytes: source.size(),
    findings: { ...findings.counts },
    generations,
    bytesRead: source.bytes,
    reads: source.reads,
    restarts,
    ...newest === undefined ? {} : {
      fileId: newest.fileId,
      historyId: newest.historyId,
      pageSize: 2 ** newest.pageShift,
      judged: newest.generation,
      sequence: journal?.sequence ?? newest.sequence,
    },
    ...journal === undefined ? {} : { journal: journalOf(journal) },
    ...walked === undefined ? {} : walked,
  };
}

function journalOf({ bytes, groups, whole, rebuilt, torn, damaged, frames }: WalkedJournal): CheckSummary["journal"] {
  return { bytes, groups, whole, rebuilt, torn, damaged, frames };
}
