/**
 * Looking into files that may be damaged, without changing them: `@waybill/manifest/inspect`.
 *
 * Everything takes a {@linkcode Storage}, only reads it, takes no lock and leaves it open; it works beside a writer and on damaged files, with bounded memory.
 *
 * @example
 * ```ts
 * import { memoryStorage } from "@waybill/manifest";
 * import { checkFile } from "@waybill/manifest/inspect";
 *
 * const summary = await checkFile(memoryStorage(), { onFinding: (finding) => console.log(finding.code, finding.page, finding.message) });
 * console.log(summary.verdict); // unreadable: it is empty
 * ```
 *
 * @module
 */
export { checkFile } from "./check.ts";
export { dumpTables } from "./dump.ts";
export { describePage } from "./page.ts";
export { salvage } from "./salvage.ts";
export type {
  CheckLevel,
  CheckOptions,
  CheckSummary,
  InspectOptions,
  InspectProgress,
  JournalSummary,
  PageSummary,
} from "./check_types.ts";
export type { DumpItem, DumpOptions } from "./dump_types.ts";
export type { Finding, FindingCode, FindingCounts, FindingSeverity, Verdict } from "./finding.ts";
export { createTarget, discardTarget, openSource } from "./files.ts";
export type { GenerationSummary, SlotName, SlotReason, SlotSummary } from "./header.ts";
export type { PageCell, PageDescription, PageKind, PageOptions, PagePointer } from "./page_types.ts";
export type { SalvagedTable, SalvageFrom, SalvageOptions, SalvageReport } from "./salvage_types.ts";
