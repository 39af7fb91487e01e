// `verify`: looks at every record and every object of the backups in a folder.
import { BackupStore } from "../../catalogs/backup/mod.ts";
import { fileFolder } from "../../storage/file_folder.ts";
import { choice, wholeNumber } from "../arguments.ts";
import type { CliCommand } from "../command.ts";
import { ExitCode } from "../exit_code.ts";
import { progressOn } from "../progress.ts";
import { bytesText, countText, printable } from "../text.ts";

/** The command. */
export const verify: CliCommand = {
  name: "verify",
  summary: "verify backups",
  subject: ["FROM", "the folder with the backups"],
  backups: (file) => file,
  declare(command) {
    command
      .addOption(
        choice("--level <LEVEL>", "whether objects are there and of their length, or also of their contents", ["size", "digest"], "digest"),
      )
      .option("--backup <NUMBER>", "only what this backup needs", (text) => wholeNumber(text, 1));
  },
  async run({ io, printer, file, options }) {
    const progress = progressOn(io.stderr);
    printer.before = progress.clear;
    try {
      const backups = await BackupStore.open(fileFolder(file));
      const report = await backups.verify({
        level: options.level as "size" | "digest",
        onProgress: progress.update,
        signal: io.signal,
        ...(typeof options.backup === "number" ? { backup: options.backup } : {}),
      });
      await printer.record("verify", report);
      for (const { file, message, backups } of report.problems) {
        await printer.text(`${printable(file)}: ${message}${backups.length === 0 ? "" : `; needed by ${backups.join(", ")}`}`);
      }
      const { level, objects, bytes, problems, unused } = report;
      const whole = problems.length === 0 ? "whole" : countText(problems.length, "problem");
      await printer.text(
        `${countText(report.backups, "backup")}, ${countText(objects, "object")} of ${bytesText(bytes)}, by ${level}: ${whole}`,
      );
      if (unused > 0) await printer.text(`${countText(unused, "object")} of no backup`);
      return report.ok ? ExitCode.clean : ExitCode.damage;
    } finally {
      progress.end();
    }
  },
};
