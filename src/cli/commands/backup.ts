// `backup`: the manifest and the files of its file sets into a folder of backups.
import { type BackupReport, BackupStore } from "../../catalogs/backup/mod.ts";
import { FileSetCatalog } from "../../catalogs/files/mod.ts";
import { fail, isManifestError } from "../../errors.ts";
import { fileFolder } from "../../storage/file_folder.ts";
import { choice } from "../arguments.ts";
import type { CliCommand } from "../command.ts";
import { ExitCode } from "../exit_code.ts";
import { fileSetFolders } from "../folders.ts";
import { isExpired, openForReading, openForWriting, readNewest } from "../opening.ts";
import { progressOn } from "../progress.ts";
import { bytesText, countText } from "../text.ts";

type Reuse = "size" | "digest";

/** So many times a backup beside a writer begins again because its state was replaced or a file of it deleted; what it has stored by then is used. */
const BESIDE_MAX = 20;

/** The command. */
export const backup: CliCommand = {
  name: "backup",
  summary: "back up the manifest and its files (takes the lock)",
  backups: (_file, [target]) => target as string,
  declare(command) {
    command
      .argument("<INTO>", "the folder with the backups; it is made")
      .option("--files <[NAME=]DIR>", 'the folder of a file set, without a name of "default" (may be repeated)', gather, [])
      .option(
        "--beside",
        "beside a writer: nothing is locked; begins again with a newer state when what is read was replaced or deleted meanwhile",
      )
      .addOption(
        choice(
          "--reuse <LEVEL>",
          "whether objects that are there are used by their length, or read and mended",
          ["size", "digest"],
          "size",
        ),
      );
  },
  async run(invocation) {
    const { io, printer, rest: [target], options } = invocation;
    const folders = fileSetFolders(options.files as string[]);
    for (const folder of folders.values()) {
      // What is stored already is not read again, and would hide that the folder is another one.
      if (await folder.facts("") === undefined) {
        fail("NOT_FOUND", `Cannot back up: there is no folder "${folder.name}"`, { detail: { file: folder.name } });
      }
    }
    const manifest = options.beside === true ? await openForReading(invocation) : await openForWriting(invocation);
    const progress = progressOn(io.stderr);
    printer.before = progress.clear;
    try {
      const backups = await BackupStore.open(fileFolder(target as string), { create: true });
      const take = async (): Promise<BackupReport> => {
        const fileSets: FileSetCatalog[] = [];
        for (const [name, folder] of folders) fileSets.push(await FileSetCatalog.open(manifest, folder, { name, create: false }));
        return await backups.backup({ manifest, fileSets, reuse: options.reuse as Reuse, onProgress: progress.update, signal: io.signal });
      };
      const report = await readNewest(manifest, take, { most: BESIDE_MAX, behind: options.beside === true ? isReplaced : isExpired });
      const { number, sequence, files, bytes, filesCopied, bytesCopied, objectsMended } = report;
      await printer.record("backup", report);
      await printer.text(
        `backup ${number}: changes up to ${sequence}, ${countText(files, "file")} of ${bytesText(bytes)}, of which ${filesCopied} of ${
          bytesText(bytesCopied)
        } were copied`,
      );
      if (objectsMended > 0) await printer.text(`mended ${countText(objectsMended, "damaged object")} of earlier backups`);
      return ExitCode.clean;
    } finally {
      progress.end();
      await manifest.close();
    }
  },
};

/** Whether a newer state may not have what is wrong: one file that is missing is a damaged file set, unless a writer has deleted it. */
function isReplaced(error: unknown): boolean {
  return isExpired(error) || (isManifestError(error) && error.code === "FILE_DAMAGED" && error.detail.reason === "missing");
}

function gather(value: string, before: string[]): string[] {
  return [...before, value];
}
