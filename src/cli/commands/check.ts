// `check`: what is wrong with the file, finding by finding, and what follows.
import { checkFile, type CheckLevel, type CheckSummary, openSource } from "../../inspect/mod.ts";
import { choice } from "../arguments.ts";
import type { CliCommand, Invocation } from "../command.ts";
import { ExitCode } from "../exit_code.ts";
import { FindingPrinter } from "../findings.ts";
import type { Colour } from "../printer.ts";
import { progressOn } from "../progress.ts";
import { alignRows, bytesText, countText } from "../text.ts";

const FINDINGS = 1000;

/** The command. */
export const check: CliCommand = {
  name: "check",
  summary: "find out whether the file is whole",
  declare(command) {
    command.addOption(
      choice(
        "--level <LEVEL>",
        "how much is looked at: the meta slots, every page, or also what the tables say of each other",
        ["header", "tree", "deep"],
        "tree",
      ),
    );
  },
  async run(invocation) {
    const { file, options, printer, io } = invocation;
    const storage = openSource(file, { followSymlink: options.followSymlink === true });
    const progress = progressOn(io.stderr);
    printer.before = progress.clear;
    const findings = new FindingPrinter(printer);
    let summary: CheckSummary;
    try {
      summary = await checkFile(storage, {
        level: options.level as CheckLevel,
        maxFindings: FINDINGS,
        signal: io.signal,
        ...(typeof options.cache === "number" ? { cacheBytes: options.cache * 2 ** 20 } : {}),
        onProgress: progress.update,
        onFinding: findings.take,
      });
    } finally {
      progress.end();
      storage.close();
      await findings.printed;
    }
    await printSummary(invocation, summary);
    switch (summary.verdict) {
      case "clean":
        return ExitCode.clean;
      case "absorbed":
        return ExitCode.repaired;
      case "damaged":
        return ExitCode.damage;
      case "unreadable":
        return findings.damage ? ExitCode.damage : ExitCode.failed;
    }
  },
};

async function printSummary({ printer }: Invocation, summary: CheckSummary): Promise<void> {
  await printer.record("summary", summary);
  const { findings: { error, warning, info }, verdict, generations, journal, pages, tables, rows } = summary;
  const facts: string[][] = [["size", bytesText(summary.fileBytes)]];
  if (summary.fileId !== undefined) facts.push(["file id", summary.fileId]);
  for (const { pair, readable, newest, generation, closed, copies } of generations) {
    const state = readable
      ? `meta generation ${generation}${newest ? `, the newest, ${closed ? "closed in order" : "not closed"}` : ""}`
      : `not readable: ${copies.map(({ name, reason }) => `${name} ${reason}`).join(", ")}`;
    facts.push([`pair ${pair}`, state]);
  }
  if (journal !== undefined) {
    const { groups, whole, rebuilt, torn, damaged, frames } = journal;
    const kinds = kindsText({ whole, "made whole by parity": rebuilt, torn, damaged });
    facts.push([
      "journal",
      `${bytesText(journal.bytes)}, ${countText(groups, "group")} behind the state${kinds}, ${countText(frames, "frame")}`,
    ]);
  }
  if (pages !== undefined) {
    const { total, ...kinds } = pages;
    facts.push(["pages", `${total}${kindsText(kinds)}`]);
  }
  if (tables !== undefined) facts.push(["tables", `${tables}, ${countText(rows ?? 0, "row")}`]);
  facts.push(["read", `${bytesText(summary.bytesRead)} in ${countText(summary.reads, "read")}`]);
  if (summary.restarts > 0) facts.push(["restarts", `${summary.restarts}, because a writer was at work`]);
  const counts = `${countText(error, "error")}, ${countText(warning, "warning")}, ${countText(info, "remark")}`;
  const colour: Colour = verdict === "clean" ? "green" : verdict === "absorbed" ? "yellow" : "red";
  await printer.text(...alignRows(facts), `${printer.colour(colour, verdict)}: ${counts} at level ${summary.level}`);
}

/** Counts by kind, those that are not 0. */
function kindsText(kinds: Readonly<Record<string, number>>): string {
  const parts = Object.entries(kinds).filter(([, count]) => count > 0).map(([kind, count]) => `${count} ${kind}`);
  return parts.length === 0 ? "" : `: ${parts.join(", ")}`;
}
