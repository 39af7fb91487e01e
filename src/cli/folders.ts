// Folders that commands are given.
import { failType } from "../errors.ts";
import { fileFolder } from "../storage/file_folder.ts";
import type { Folder } from "../storage/folder.ts";
import { platformName } from "../storage/platform.ts";

/** A path as the folder that it lies in and its name there: "a/b" is "b" in "a", "b" is "b" in ".". */
export function placeOf(path: string, action: string): { folder: Folder; name: string } {
  const { parent, name } = splitPath(path, platformName() === "win32");
  if (name === "" || name === "." || name === "..") {
    failType(`Cannot ${action}: the path names no directory that could be made`, { argument: "INTO" });
  }
  return { folder: fileFolder(parent), name };
}

/** The last segment of a path, and what is before it. On Windows "\\" separates as "/" does, and a drive is no segment; elsewhere both are characters of a name. */
export function splitPath(path: string, windows: boolean): { parent: string; name: string } {
  const drive = windows ? /^[A-Za-z]:/.exec(path)?.[0] ?? "" : "";
  const rest = path.slice(drive.length);
  const trimmed = rest.replace(windows ? /(?<=.)[\\/]+$/ : /(?<=.)\/+$/, "");
  const cut = Math.max(trimmed.lastIndexOf("/"), windows ? trimmed.lastIndexOf("\\") : -1);
  const parent = cut < 0 ? "." : trimmed.slice(0, Math.max(1, cut));
  return { parent: drive + parent, name: trimmed.slice(cut + 1) };
}

/** "NAME=DIR" or "DIR" as the folders of file sets by name; without a name it is "default". */
export function fileSetFolders(values: readonly string[]): ReadonlyMap<string, Folder> {
  const folders = new Map<string, Folder>();
  for (const value of values) {
    const cut = value.indexOf("=");
    const name = cut < 0 ? "default" : value.slice(0, cut);
    const directory = value.slice(cut + 1);
    if (name === "" || directory === "") failType("Cannot read the arguments: --files is neither DIR nor NAME=DIR", { option: "files" });
    if (folders.has(name)) failType(`Cannot read the arguments: --files is given twice for "${name}"`, { option: "files" });
    folders.set(name, fileFolder(directory));
  }
  return folders;
}
