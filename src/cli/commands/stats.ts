// `stats`: what the file holds, in numbers.
import { isManifestError } from "../../errors.ts";
import type { Manifest, ManifestStats } from "../../manifest/manifest.ts";
import type { CliCommand, Invocation } from "../command.ts";
import { ExitCode, exitCodeOf, worse } from "../exit_code.ts";
import { openForReading, readNewest } from "../opening.ts";
import { hintOf } from "../printer.ts";
import { alignRows, bytesText, countText, printable } from "../text.ts";

/** The command. */
export const stats: CliCommand = {
  name: "stats",
  summary: "show what the file holds, in numbers",
  async run(invocation) {
    await using manifest = await openForReading(invocation);
    const { recovery } = manifest;
    let code: ExitCode = recovery.rebuilt.length > 0 ? ExitCode.repaired : ExitCode.clean;
    // What cannot be told does not hide what can.
    const tell = async <T>(part: () => T): Promise<T | undefined> => {
      try {
        return await readNewest(manifest, part);
      } catch (error) {
        if (!isManifestError(error)) throw error;
        await invocation.printer.error(error, hintOf(error, invocation.file));
        code = worse(code, exitCodeOf(error));
        return undefined;
      }
    };
    const numbers = await tell(() => manifest.stats());
    const tables = await tell(() => manifest.listTables());
    await printText(invocation, manifest, numbers, tables);
    await printJson(invocation, manifest, numbers, tables);
    return code;
  },
};

type Tables = ReturnType<Manifest["listTables"]> | undefined;

async function printJson({ printer }: Invocation, manifest: Manifest, numbers: ManifestStats | undefined, tables: Tables): Promise<void> {
  const { fileId, historyId, format, runtimeState } = manifest.diagnostics();
  const { clean, groups, frames, cut, rebuilt } = manifest.recovery;
  await printer.record("stats", {
    fileId,
    historyId,
    format,
    ...(runtimeState === undefined ? {} : { lastOpening: runtimeState }),
    recovery: { clean, groups, frames, ...(cut === undefined ? {} : { cut }), rebuilt },
    ...(numbers === undefined ? {} : {
      fileBytes: numbers.fileBytes,
      pageSize: numbers.pageSize,
      journal: { bytes: numbers.journalBytes, used: numbers.journalUsed, extents: numbers.journalExtents },
      generation: numbers.generation,
      epoch: numbers.epoch,
      frame: numbers.durableFrame,
      changes: { latest: numbers.changes.latest, oldest: numbers.changes.oldest },
      cursors: numbers.cursors,
      collectable: numbers.collectable,
    }),
    ...(tables === undefined ? {} : { tables }),
  });
}

async function printText({ printer }: Invocation, manifest: Manifest, numbers: ManifestStats | undefined, tables: Tables): Promise<void> {
  const { fileId, historyId, format } = manifest.diagnostics();
  const { clean, groups, frames, cut, rebuilt } = manifest.recovery;
  const facts: string[][] = [["file id", fileId], ["history id", historyId], ["format", `${format}`]];
  if (numbers !== undefined) {
    const { fileBytes, pageSize, journalBytes, journalUsed, journalExtents, generation, epoch, durableFrame, changes, collectable } =
      numbers;
    facts.push(
      ["size", `${bytesText(fileBytes)}, ${countText(Math.ceil(fileBytes / pageSize), "page")} of ${bytesText(pageSize)}`],
      ["journal", `${bytesText(journalBytes)} in ${countText(journalExtents, "extent")}, ${bytesText(journalUsed)} in use`],
      ["state", `meta generation ${generation}, writer epoch ${epoch}, frame ${durableFrame}`],
      ["changes", changesText(changes.oldest, changes.latest)],
      ["collectable", countText(collectable, "stored object")],
    );
  }
  facts.push(["closed", clean ? "in order" : "not in order: a writer is at work, or has crashed"]);
  if (!clean) facts.push(["replayed", `${countText(groups, "group")}, ${countText(frames, "frame")}`]);
  if (cut !== undefined) facts.push(["cut", `group ${cut.group} is torn, ${countText(cut.frames, "frame")} of it kept`]);
  if (rebuilt.length > 0) {
    facts.push(["rebuilt", rebuilt.map(({ group, block }) => `block ${block} of group ${group}`).join(", ")]);
  }
  await printer.text(...alignRows(facts));
  if (tables !== undefined) {
    const rows = tables.map(({ name, builtIn, rows }) => [printable(name), `${rows}`, builtIn ? "built in" : "user"]);
    await printer.text("", ...alignRows([["table", "rows", "kind"], ...rows], ["left", "right"]));
  }
  if (numbers !== undefined && numbers.cursors.length > 0) {
    const rows = numbers.cursors.map(({ id, name, nextSequence, lag }) => [printable(name), `${id}`, `${nextSequence}`, `${lag}`]);
    await printer.text("", ...alignRows([["cursor", "id", "next", "lag"], ...rows], ["left", "right", "right", "right"]));
  }
}

function changesText(oldest: number, latest: number): string {
  if (latest === 0) return "none yet";
  return oldest > latest ? `up to ${latest}, none kept` : `${oldest} to ${latest} kept`;
}
