// `restore`: a backup into a directory that is made.
import { BackupStore } from "../../catalogs/backup/mod.ts";
import { fileFolder } from "../../storage/file_folder.ts";
import { wholeNumber } from "../arguments.ts";
import type { CliCommand } from "../command.ts";
import { ExitCode } from "../exit_code.ts";
import { placeOf } from "../folders.ts";
import { progressOn } from "../progress.ts";
import { alignRows, bytesText, countText, printable } from "../text.ts";

/** The command. */
export const restore: CliCommand = {
  name: "restore",
  summary: "restore a backup into a new directory",
  subject: ["FROM", "the folder with the backups"],
  backups: (file) => file,
  declare(command) {
    command
      .argument("<INTO>", "the new directory; nothing is there")
      .option("--backup <NUMBER>", "which backup (default: the newest)", (text) => wholeNumber(text, 1));
  },
  async run({ io, printer, file, rest: [target], options }) {
    const { folder: into, name } = placeOf(target as string, "restore");
    const progress = progressOn(io.stderr);
    printer.before = progress.clear;
    try {
      const backups = await BackupStore.open(fileFolder(file));
      const report = await backups.restore({
        into,
        name,
        onProgress: progress.update,
        signal: io.signal,
        ...(typeof options.backup === "number" ? { backup: options.backup } : {}),
      });
      await printer.record("restore", report);
      const rows = [["manifest", report.manifest]];
      for (const { catalog, directory, files, bytes } of report.fileSets) {
        rows.push([`files of ${printable(catalog)}`, `${directory}: ${countText(files, "file")} of ${bytesText(bytes)}`]);
      }
      await printer.text(`backup ${report.number}: changes up to ${report.sequence}`, ...alignRows(rows));
      for (const left of report.unfinished) await printer.text(`${printable(left)} is of a restore that did not end, or has not ended yet`);
      return ExitCode.clean;
    } finally {
      progress.end();
    }
  },
};
