// What a caller wants of a commit: taken once, copied, checked.
//
// Invariant: nothing of the caller's is read again behind `takeChanges`.
import { type OptionNames, readArgument, takeOptions } from "../../arguments.ts";
import { fail, failType } from "../../errors.ts";
import { checkKind, checkLabel, checkName, checkPath, type FileKind } from "./names.ts";
import { foldPath } from "./tables.ts";

/** A name that is to stand for a file. */
export interface SetFile {
  /** What kind of file it is. */
  kind: FileKind;
  /** Its name within the kind: any text of up to 512 bytes without control characters. */
  name: string;
  /** Path of the file in the folder, of up to 720 bytes; segments are separated by "/". */
  path: string;
}

/** A name that is to be there no more. */
export interface RemoveFile {
  /** Its kind. */
  kind: FileKind;
  /** Its name within the kind. */
  name: string;
}

/** What a commit changes. */
export interface FileChanges {
  /** Names and the files that they stand for from now on. Default: none. */
  set?: readonly SetFile[];
  /** Names that go. Default: none. */
  remove?: readonly RemoveFile[];
  /** What the version is called: a text of up to 255 bytes. */
  label?: string;
}

/** A copy of what a commit changes, with the names that are all different. */
export interface TakenChanges {
  readonly set: readonly { readonly kind: string; readonly name: string; readonly path: string }[];
  readonly remove: readonly { readonly kind: string; readonly name: string }[];
  readonly label: string | undefined;
}

const NAMES: OptionNames<FileChanges> = { set: true, remove: true, label: true };
const SET: OptionNames<SetFile> = { kind: true, name: true, path: true };
const REMOVE: OptionNames<RemoveFile> = { kind: true, name: true };

function takeList<T extends object>(list: readonly T[] | undefined, field: string, names: OptionNames<T>, action: string): T[] {
  return readArgument(action, field, () => {
    if (list === undefined) return [];
    if (!Array.isArray(list)) failType(`Cannot ${action}: ${field} is not a list`, { field });
    return Array.from(list, (item: T | undefined) => {
      if (item === undefined) failType(`Cannot ${action}: ${field} has a gap`, { field });
      return takeOptions<T>(item, names, action);
    });
  });
}

/** The changes of a caller, or INVALID_ARGUMENT, NAME_INVALID, LIMIT. */
export function takeChanges(changes: FileChanges, action: string): TakenChanges {
  if (changes === undefined) failType(`Cannot ${action}: there are no changes`);
  const given = takeOptions(changes, NAMES, action);
  const label = given.label === undefined ? undefined : checkLabel(given.label, action);
  const seen = new Set<string>();
  const once = (kind: string, name: string, field: string): void => {
    const key = `${kind}\0${name}`;
    if (seen.has(key)) failType(`Cannot ${action}: a name is there twice`, { field });
    seen.add(key);
  };
  const spellings = new Map<string, string>();
  const set = takeList(given.set, "set", SET, action).map((item) => {
    const kind = checkKind(item.kind, action), name = checkName(item.name, action), path = checkPath(item.path, action);
    once(kind, name, "set");
    const folded = foldPath(path);
    const other = spellings.get(folded);
    if (other !== undefined && other !== path) {
      fail("NAME_INVALID", `Cannot ${action}: two paths differ in the case of letters only`, { detail: { file: path } });
    }
    spellings.set(folded, path);
    return { kind, name, path };
  });
  const remove = takeList(given.remove, "remove", REMOVE, action).map((item) => {
    const kind = checkKind(item.kind, action), name = checkName(item.name, action);
    once(kind, name, "remove");
    return { kind, name };
  });
  return { set, remove, label };
}
