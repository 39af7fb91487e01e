// What an opening says that it has done, held against the image that it was given.
import { JOURNAL_EPOCH, JOURNAL_MAGIC, JOURNAL_MAGIC_VALUE, META_BYTES } from "../../../assembly/format.ts";
import type { RecoveryReport } from "../../../src/store/store.ts";
import type { Change, Outcome } from "../disk/change.ts";

/** Whether a change writes a group of the journal; blank blocks are none. */
function isGroup(change: Change): boolean {
  if (change.kind !== "write" || change.at < META_BYTES || change.data.length % 4096 !== 0) return false;
  const view = new DataView(change.data.buffer, change.data.byteOffset, change.data.length);
  return view.getUint32(JOURNAL_MAGIC, true) === JOURNAL_MAGIC_VALUE && view.getUint32(JOURNAL_EPOCH, true) !== 0;
}

/** Whether all groups up to one have landed whole, and nothing of those behind it. */
export function hasWholeJournal(outcomes: readonly Outcome[]): boolean {
  const fates = outcomes.filter(({ change }) => isGroup(change)).map(({ fate }) => fate);
  const kept = fates.findIndex((fate) => fate !== "keep");
  return kept < 0 || fates.slice(kept).every((fate) => fate === "drop");
}

/** Throws unless a report says of the meta slots what is so, and of a journal that is whole that nothing was cut or rebuilt. */
export function checkReport(report: RecoveryReport, stale: readonly number[], wholeJournal: boolean): void {
  const { created, clean, groups, frames, cut, rebuilt, repairedSlots, damagedSlots, damagedGroups } = report;
  const wanted = created ? [] : stale;
  if (damagedGroups.length > 0) refuse(report, "a crash has damaged durable groups, and that was taken for damage");
  if (damagedSlots.length > 0) refuse(report, "a crash has damaged meta slots, and that was taken for damage");
  if (repairedSlots.join() !== wanted.join()) refuse(report, `the slots to repair were ${JSON.stringify(wanted)}`);
  if ((wholeJournal || created || clean) && (cut !== undefined || rebuilt.length > 0)) refuse(report, "the journal was whole");
  if ((created || clean) && groups + frames > 0) refuse(report, "there was nothing to replay");
}

function refuse(report: RecoveryReport, but: string): never {
  throw new Error(`it reports ${JSON.stringify(report)}: ${but}`);
}
