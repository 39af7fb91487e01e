// Folders that commands are given.
import { failType } from "../errors.ts";
import { fileFolder } from "../storage/file_folder.ts";
import type { Folder } from "../storage/folder.ts";

/** A path as the folder that it lies in and its name there: "a/b" is "b" in "a", "b" is "b" in ".". */
export function placeOf(path: string, action: string): { folder: Folder; name: string } {
  const trimmed = path.replace(/(?<=.)[\\/]+$/, "");
  const cut = Math.max(trimmed.lastIndexOf("/"), trimmed.lastIndexOf("\\"));
  const name = trimmed.slice(cut + 1);
  if (name === "" || name === "." || name === "..") {
    failType(`Cannot ${action}: the path names no directory that could be made`, { argument: "INTO" });
  }
  const parent = cut < 0 ? "." : cut === 0 ? trimmed.slice(0, 1) : trimmed.slice(0, cut);
  return { folder: fileFolder(parent), name };
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
