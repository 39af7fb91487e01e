// Checks of names in a folder that every adapter makes in the same words.
import { baseName, type ErrorCode, fail } from "../errors.ts";
import type { EntryKind } from "./folder.ts";

/** What a kind is called in messages. */
const CALLED: Readonly<Record<EntryKind, string>> = {
  file: "a file",
  directory: "a directory",
  link: "a symbolic link",
  other: "a device",
};

/** Throws the error of a call on a name in a folder. */
export function failEntry(code: ErrorCode, action: string, path: string, state: string): never {
  fail(code, `Cannot ${action} "${baseName(path)}": ${state}`, { detail: { file: path }, handle: "ok" });
}

/** Throws NOT_FOUND. */
export function failMissing(action: string, path: string): never {
  failEntry("NOT_FOUND", action, path, "no such file or directory");
}

/** Throws unless what lies at a path is a directory. */
export function checkDirectory(kind: EntryKind, action: string, path: string): void {
  if (kind === "link") failEntry("NOT_A_REGULAR_FILE", action, path, "it is a symbolic link");
  if (kind !== "directory") failEntry("NOT_A_DIRECTORY", action, path, `it is ${CALLED[kind]}`);
}

/** Throws unless what lies at a path is a regular file. */
export function checkFile(kind: EntryKind, action: string, path: string): void {
  if (kind !== "file") failEntry("NOT_A_REGULAR_FILE", action, path, `it is ${CALLED[kind]}`);
}

/** Throws unless what lies at `from` may get the name `to`, where `there` lies now. Equal paths are no matter of this check. */
export function checkRename(kind: EntryKind, from: string, to: string, there: EntryKind | undefined): void {
  if (kind === "directory") {
    if (to.startsWith(`${from}/`)) failEntry("NAME_INVALID", "rename", from, "the new name lies inside of it");
    if (there !== undefined) failEntry("EXISTS", "rename", to, `there is ${CALLED[there]}`);
  } else {
    checkFile(kind, "rename", from);
    if (there !== undefined) checkFile(there, "rename", to);
  }
}

/** A file or a directory of a folder that is not a file system's. */
export interface TreeNode<N> {
  /** What it is. */
  readonly kind: EntryKind;
  /** The names in a directory. */
  readonly names?: ReadonlyMap<string, N>;
}

/** The last segment of a path. */
export function lastOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** What lies at a path below a directory ("": the directory itself); undefined when nothing does. Throws when what lies on the way is no directory. */
export function findNode<N extends TreeNode<N>>(root: N, path: string, action: string): N | undefined {
  if (path === "") return root;
  let node: N | undefined = root;
  for (let start = 0; start <= path.length;) {
    if (node === undefined) return undefined;
    checkDirectory(node.kind, action, path.slice(0, Math.max(0, start - 1)));
    const end = path.indexOf("/", start);
    node = node.names!.get(path.slice(start, end === -1 ? undefined : end));
    start = end === -1 ? path.length + 1 : end + 1;
  }
  return node;
}

/** The directory at a path below another; throws when there is none. */
export function needDirectory<N extends TreeNode<N>>(
  root: N,
  path: string,
  action: string,
): N & { readonly names: NonNullable<N["names"]> } {
  const node = findNode(root, path, action);
  if (node === undefined) failMissing(action, path);
  checkDirectory(node.kind, action, path);
  return node as N & { readonly names: NonNullable<N["names"]> };
}
