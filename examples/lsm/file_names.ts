// Names of the engine's files. All of them lie in the folder itself: one directory to sync.
import type { FileRef } from "@waybill/manifest/lsm";
import type { Folder } from "@waybill/manifest/files";

const NAME = /^(?:(\d{6,16})\.sst|(\d{6,16})\.wal)$/;

/** The name of a file. */
export function nameOf({ kind, id }: FileRef): string {
  return `${String(id).padStart(6, "0")}.${kind}`;
}

/** The file that a name is of; undefined when it is none of the engine's. */
export function fileOf(name: string): FileRef | undefined {
  const [, sst, wal] = NAME.exec(name) ?? [];
  const file: FileRef | undefined = sst !== undefined
    ? { kind: "sst", id: Number(sst) }
    : wal !== undefined
    ? { kind: "wal", id: Number(wal) }
    : undefined;
  return file !== undefined && nameOf(file) === name ? file : undefined;
}

/** The engine's files that are in a folder. */
export async function listFiles(folder: Folder): Promise<FileRef[]> {
  return (await folder.list("")).flatMap(({ name }) => fileOf(name) ?? []);
}
