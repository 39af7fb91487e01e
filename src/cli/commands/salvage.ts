// `salvage`: what can be read of a damaged file, in a new one.
//
// The source is only read. OUT must not exist; when anything fails before it is whole and has passed its check, it is removed again.
import { failType } from "../../errors.ts";
import {
  createTarget,
  discardTarget,
  openSource,
  salvage as salvageFile,
  type SalvageFrom,
  type SalvageReport,
} from "../../inspect/mod.ts";
import type { Storage } from "../../storage/storage.ts";
import { choice } from "../arguments.ts";
import type { CliCommand, Invocation } from "../command.ts";
import { ExitCode } from "../exit_code.ts";
import { FindingPrinter } from "../findings.ts";
import type { Printer } from "../printer.ts";
import { progressOn } from "../progress.ts";
import { alignRows, countText, printable } from "../text.ts";

/** The command. */
export const salvage: CliCommand = {
  name: "salvage",
  summary: "save what can be read into a new file",
  declare(command) {
    command
      .argument("[OUT]", "the new file; not needed with --dry-run")
      .addOption(
        choice(
          "--from <STATE>",
          "the newest readable state, the meta generation before it, or every page of the file",
          ["best", "older", "scan"],
          "best",
        ),
      )
      .option("--no-journal", "leave out the journal behind the state")
      .option("--dry-run", "only tell what would be kept and lost");
  },
  async run(invocation) {
    const { file, rest: [out], options, printer } = invocation;
    const dryRun = options.dryRun === true;
    if (!dryRun && typeof out !== "string") failType("Cannot salvage: OUT is missing, and --dry-run is not given", { argument: "OUT" });
    const source = openSource(file, { followSymlink: options.followSymlink === true });
    let target: Storage | undefined;
    let report: SalvageReport;
    try {
      target = dryRun ? undefined : createTarget(out as string);
      report = await salvageInto(invocation, source, target);
    } catch (error) {
      if (target !== undefined) discardTarget(target);
      throw error;
    } finally {
      source.close();
    }
    target?.close();
    await printer.record("salvage", report);
    await printReport(printer, report);
    if (report.lost > 0 || report.findings.error > 0) return ExitCode.damage;
    const absorbed = report.findings.warning > 0 || report.tables.some(({ older }) => older > 0);
    return absorbed ? ExitCode.repaired : ExitCode.clean;
  },
};

async function salvageInto({ io, options, printer }: Invocation, source: Storage, target: Storage | undefined): Promise<SalvageReport> {
  const progress = progressOn(io.stderr);
  printer.before = progress.clear;
  const findings = new FindingPrinter(printer);
  try {
    return await salvageFile(source, target, {
      from: options.from as SalvageFrom,
      dryRun: target === undefined,
      journal: options.journal as boolean,
      signal: io.signal,
      ...(typeof options.cache === "number" ? { cacheBytes: options.cache * 2 ** 20 } : {}),
      onFinding: findings.take,
      onProgress: progress.update,
    });
  } finally {
    progress.end();
    await findings.printed;
  }
}

async function printReport(printer: Printer, report: SalvageReport): Promise<void> {
  const { tables, dryRun, generation, groups, frames, kept, lost, databasesMade, objectsHeld, sequenceBefore, sequenceAfter } = report;
  const rows = tables.filter((table) => table.kept > 0 || table.lost !== 0).map((table) => [
    printable(table.name),
    `${table.kept}`,
    table.rebuilt ? "" : `${table.lost ?? "unknown"}`,
    table.rebuilt ? "" : `${table.older}`,
    table.rebuilt ? "made anew" : "",
  ]);
  if (rows.length > 0) {
    await printer.text(...alignRows([["table", "kept", "lost", "older"], ...rows], ["left", "right", "right", "right"]), "");
  }
  const facts: string[][] = [];
  facts.push(["state", generation === undefined ? "no meta generation is readable" : `meta generation ${generation}`]);
  if (groups > 0) facts.push(["journal", `${countText(groups, "group")}, ${countText(frames, "frame")}`]);
  facts.push(["rows", `${kept} kept, ${lost} lost`]);
  if (report.pagesDamaged > 0) facts.push(["damaged", countText(report.pagesDamaged, "page")]);
  if (databasesMade.length > 0) facts.push(["made anew", `databases without their rows: ${databasesMade.join(", ")}`]);
  if (objectsHeld > 0) facts.push(["held", `${countText(objectsHeld, "stored object")} whose snapshots are lost`]);
  facts.push(["changes", `up to ${sequenceBefore} are gone; the log goes on behind ${sequenceAfter}, and cursors are told`]);
  facts.push(["new file", dryRun ? "none: this was a dry run" : "has passed the deep check"]);
  await printer.text(...alignRows(facts));
}
