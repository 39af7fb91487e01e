// Orphans: files of the engine that no state names and that nobody is writing.
//
// The rule is one-sided: a file is told to be an orphan only when that is certain. Named is what the newest state names (active, frozen and retired segments and obsolete files included) or a version that somebody
// holds, by its id or by its file name. Under way is what this process may be writing: ids given out since it opened the catalog that it has not named yet. Unknown is what the catalog never had an id for: not one of its files, or files of a state
// that this one does not know of.
import { type OptionNames, readArgument, takeOptions } from "../../arguments.ts";
import { fail, failType } from "../../errors.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import type { LsmCore } from "./core.ts";
import { namesNothing } from "./core.ts";
import { checkFile, type FileRef } from "./edit.ts";
import { namesFile, stateOf } from "./reader.ts";
import { checkList, checkNumber, ID_MAX } from "./sst.ts";
import { lsmObsolete, lsmSsts } from "./tables.ts";

/** A file that was found. */
export interface FoundFile {
  /** What it is, as far as the engine can tell from its name. */
  readonly file?: FileRef;
  /** Its name. */
  readonly fileName?: string;
}

/**
 * Why orphans cannot be told. `empty`: the catalog names nothing, or named nothing when it was opened, and there are files that it does not know. `damaged`: opening the manifest has repaired damage that no crash leaves.
 * `foreign`: the manifest was restored or salvaged.
 */
export type OrphanDoubt = "empty" | "damaged" | "foreign";

/** How to look for orphans. */
export interface OrphanOptions {
  /** Which file a name stands for; undefined: none of the engine's. A number is the id of a sorted table. */
  idOf?: (fileName: string) => FileRef | number | undefined;
  /** Doubts that the caller has looked into: they do not refuse. */
  accept?: Iterable<OrphanDoubt>;
}

/** What the files that were found are. */
export interface OrphanReport {
  /** No state names them and nobody is writing them: they may be deleted. */
  readonly orphans: readonly FoundFile[];
  /** This process may be writing them. */
  readonly underWay: readonly FoundFile[];
  /** The catalog never gave out their id, or they have none. */
  readonly unknown: readonly FoundFile[];
  /** How many the catalog names, removed ones that are not forgotten included. */
  readonly named: number;
}

const NAMES: OptionNames<OrphanOptions> = { idOf: true, accept: true };
const DOUBTS: readonly OrphanDoubt[] = ["empty", "damaged", "foreign"];
const ACTION = "tell orphans";

/** Tells what the files are that were found. */
export function tellOrphans(
  rows: Manifest,
  name: string,
  core: LsmCore,
  found: Iterable<number | string | FileRef>,
  options: OrphanOptions,
): OrphanReport {
  const { idOf, accept } = takeOptions(options, NAMES, ACTION);
  if (idOf !== undefined && typeof idOf !== "function") failType(`Cannot ${ACTION}: idOf is not a function`, { field: "idOf" });
  const accepted = new Set(checkList(ACTION, "accept", accept));
  for (const doubt of accepted) {
    if (!DOUBTS.includes(doubt)) failType(`Cannot ${ACTION}: accept holds none of ${DOUBTS.join(", ")}`, { field: "accept" });
  }
  const files = checkList(ACTION, "found", found).map((item) => foundFile(item, idOf));
  const refuse = (reason: OrphanDoubt, why: string): void => {
    if (!accepted.has(reason)) {
      fail("ORPHANS_REFUSED", `Cannot ${ACTION}: ${why}`, { detail: { catalog: name, reason, files: files.length } });
    }
  };
  const state = stateOf(rows, name);
  if (files.length > 0 && state.foreign) {
    refuse("foreign", "the manifest was restored or salvaged, and nobody has said that the catalog is right");
  }
  if (files.length > 0 && wasDamaged(rows)) refuse("damaged", "opening the manifest has repaired damage");
  const report = { orphans: [] as FoundFile[], underWay: [] as FoundFile[], unknown: [] as FoundFile[], named: 0 };
  const names = files.some(({ fileName }) => fileName !== undefined) ? namesIn(rows, name) : new Set<string>();
  const isName = (fileName: string): boolean => names.has(fileName) || core.holders.namesFileName(fileName);
  for (const one of files) {
    const { file, fileName } = one;
    if ((fileName !== undefined && isName(fileName)) || (file !== undefined && isNamed(rows, name, core, file))) report.named++;
    else if (file === undefined || file.id >= (file.kind === "sst" ? state.nextSstId : state.nextWalId)) report.unknown.push(one);
    else if (file.id >= core.floor[file.kind] && !core.named[file.kind].has(file.id)) report.underWay.push(one);
    else report.orphans.push(one);
  }
  const strange = report.orphans.length + report.unknown.filter(({ file }) => file !== undefined).length;
  if (strange > 0 && (core.wasEmpty || namesNothing(rows, name))) refuse("empty", "the catalog names nothing, and there are files");
  // A reader of this process whose state is older may not begin to hold it now.
  if (report.orphans.length > 0) core.holders.release(state.edit);
  return report;
}

/** Whether opening has repaired what no crash leaves. */
function wasDamaged({ recovery: { damagedSlots, damagedGroups } }: Manifest): boolean {
  return damagedSlots.length + damagedGroups.length > 0;
}

function foundFile(item: number | string | FileRef, idOf: OrphanOptions["idOf"]): FoundFile {
  if (typeof item === "number") return { file: { kind: "sst", id: checkNumber(ACTION, "id", item, ID_MAX) } };
  if (typeof item !== "string") return { file: checkFile(ACTION, item) };
  const ref = idOf === undefined ? undefined : readArgument(ACTION, "what idOf returns", () => idOf(item));
  if (ref === undefined) return { fileName: item };
  if (typeof ref === "string") failType(`Cannot ${ACTION}: idOf returns a text`, { field: "idOf" });
  return { ...foundFile(ref, undefined), fileName: item };
}

/** Whether any state that counts names a file. */
function isNamed(rows: Reader, name: string, core: LsmCore, { kind, id }: FileRef): boolean {
  if (namesFile(rows, name, kind, id) || rows.has(lsmObsolete, [name, kind, id])) return true;
  return core.holders.names(kind, id);
}

/** All file names that the newest state tells. */
function namesIn(rows: Reader, name: string): Set<string> {
  const names = new Set<string>();
  const add = (fileName: string | undefined): void => void (fileName !== undefined && names.add(fileName));
  for (const { fileName } of rows.values(lsmSsts, { prefix: [name] })) add(fileName);
  for (const { fileName } of rows.values(lsmObsolete, { prefix: [name] })) add(fileName);
  return names;
}
