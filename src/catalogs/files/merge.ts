// Looking through the entries of a dropped version: those that no kept version shows any more go, with their files when nothing else names them.
//
// A dropped version D lies between its neighbours P and X (kept, or dropped and waiting). The entries that began behind P up to D can now be seen only in X and later. Those whose name begins anew behind D up to X are not
// seen at all. To find them it is enough to go through one side, the smaller one, and look the name up on the other:
//
//   own      the changes behind P up to D; the next entry of the name is looked up
//   behind   the changes behind D up to X; the entry of the name before it is looked up
//
// When D is the oldest version there is no P, and its entries are in no change: the changes up to X are gone through, whatever they replace goes, removals have nothing left to hide, and the changes themselves go, because
// X is the oldest now. So a version costs the lesser of two changes, however many entries there are, and a change is moved between sides a logarithmic number of times at most, whatever is pinned.
//
// An entry that says the same as the one before it, now that the one between them is gone, goes too.
//
// One step is one transaction of at most STEP changes; where it stands is in the row of the drop, so a crash between steps loses nothing. A drop that has been begun is ended before another one begins: `merging` of the catalog.
import type { Transaction } from "../../manifest/transact/transaction.ts";
import { entryBefore, entryBehind, type Neighbour, Releases, setRow, versionBefore, versionBehind } from "./rows.ts";
import { type DropRow, fileChanges, fileDrops, fileEntries, type FileSetRow, fileSets, fileVersions } from "./tables.ts";
import { fail } from "../../errors.ts";

/** Changes looked at in one transaction. */
const STEP = 512;

interface Change {
  readonly version: number;
  readonly kind: string;
  readonly name: string;
}

/** One step through the entries of one dropped version. */
class Step {
  readonly #txn: Transaction;
  readonly #catalog: string;
  readonly #set: FileSetRow;
  readonly #drop: Neighbour;
  readonly #before: Neighbour | undefined;
  readonly #behind: Neighbour;
  readonly #releases = new Releases();
  /** Entries to delete, and whether they are in file_changes. */
  readonly #entries: (Change & { readonly change: boolean })[] = [];
  /** Changes to delete whose entries stay. */
  readonly #changes: Change[] = [];
  /** How many changes of D's side and of X's side go. */
  #ownGone = 0;
  #behindGone = 0;

  constructor(txn: Transaction, catalog: string, set: FileSetRow, drop: Neighbour) {
    this.#txn = txn;
    this.#catalog = catalog;
    this.#set = set;
    this.#drop = drop;
    this.#before = versionBefore(txn, catalog, drop.version);
    const behind = versionBehind(txn, catalog, drop.version);
    if (behind === undefined) {
      // The newest version is never dropped: a salvage has lost rows.
      fail("CORRUPT_RECORD", "Cannot prune: the versions behind a dropped one are missing", { detail: { table: fileVersions.name } });
    }
    this.#behind = behind;
  }

  run(now: number): void {
    const oldest = this.#before === undefined;
    const { row } = this.#drop;
    const side = oldest ? "behind" : row.side ?? (row.group <= this.#behind.row.group ? "own" : "behind");
    const changes = this.#next(side, oldest);
    for (const change of changes) {
      if (oldest) this.#replaceOldest(change);
      else if (side === "own") this.#own(change);
      else this.#after(change);
    }
    const last = changes.length < STEP ? undefined : changes.at(-1)!;
    const writeReleases = this.#releases.prepare(this.#txn, this.#catalog, this.#set, now);
    // ---- from here on only writes ----
    const txn = this.#txn, catalog = this.#catalog, set = this.#set;
    for (const { kind, name, version, change } of this.#entries) {
      txn.delete(fileEntries, [catalog, kind, name, version]);
      if (change) txn.delete(fileChanges, [catalog, version, kind, name]);
    }
    for (const { kind, name, version } of this.#changes) txn.delete(fileChanges, [catalog, version, kind, name]);
    set.entries -= this.#entries.length;
    set.changes -= this.#ownGone + this.#behindGone;
    writeReleases();
    const own = row.group - this.#ownGone;
    const behind = this.#behind.row.group - this.#behindGone;
    if (last === undefined) {
      txn.delete(fileDrops, [catalog, this.#drop.version]);
      this.#putGroup(this.#behind, own + behind);
      set.merging = 0;
    } else {
      const at: Partial<DropRow> = oldest ? {} : { afterVersion: last.version, afterKind: last.kind, afterName: last.name };
      txn.put(fileDrops, [catalog, this.#drop.version], { ...row, side, ...at, group: own });
      if (this.#behindGone > 0) this.#putGroup(this.#behind, behind);
      set.merging = this.#drop.version;
    }
    txn.put(fileSets, catalog, set);
  }

  #putGroup({ version, dropped, row }: Neighbour, group: number): void {
    if (dropped) this.#txn.put(fileDrops, [this.#catalog, version], { ...row, group });
    else this.#txn.put(fileVersions, [this.#catalog, version], { ...row, group });
  }

  /** The next changes of a side. */
  #next(side: "own" | "behind", oldest: boolean): Change[] {
    const { version, row } = this.#drop;
    const [from, to] = side === "own" ? [this.#before!.version, version] : [version, this.#behind.version];
    const position = !oldest && row.afterVersion !== undefined;
    const gt = position ? [this.#catalog, row.afterVersion!, row.afterKind!, row.afterName!] as const : [this.#catalog, from] as const;
    const keys = this.#txn.keys(fileChanges, { prefix: [this.#catalog], gt, lte: [this.#catalog, to], limit: STEP });
    return keys.toArray().map(([, version, kind, name]) => ({ version, kind, name }));
  }

  /** D was the oldest: what a change behind it replaces goes, and so does the change. */
  #replaceOldest({ kind, name, version }: Change): void {
    const before = entryBefore(this.#txn, this.#catalog, kind, name, version);
    if (before !== undefined) this.#drops({ kind, name, version: before.version, change: false }, before.path);
    const own = entryBefore(this.#txn, this.#catalog, kind, name, version + 1);
    this.#behindGone++;
    if (own?.path === undefined) this.#drops({ kind, name, version, change: true }, undefined);
    else this.#changes.push({ kind, name, version });
  }

  /** A change of D's side: it goes when its name begins anew up to X. */
  #own(change: Change): void {
    const { kind, name, version } = change;
    const next = entryBehind(this.#txn, this.#catalog, kind, name, version);
    if (next !== undefined && next.version <= this.#behind.version) this.#superseded(change, next);
  }

  /** A change of X's side: the one of its name on D's side goes. */
  #after({ kind, name, version }: Change): void {
    const before = entryBefore(this.#txn, this.#catalog, kind, name, version);
    if (before === undefined || before.version <= this.#before!.version) return;
    const own = entryBefore(this.#txn, this.#catalog, kind, name, version + 1)!;
    this.#superseded({ kind, name, version: before.version }, own);
  }

  /** An entry goes that `next` follows; `next` itself goes when it says what the entry before says. */
  #superseded({ kind, name, version }: Change, next: { readonly version: number; readonly path: string | undefined }): void {
    const path = entryBefore(this.#txn, this.#catalog, kind, name, version + 1)!.path;
    this.#drops({ kind, name, version, change: true }, path);
    this.#ownGone++;
    if (entryBefore(this.#txn, this.#catalog, kind, name, version)?.path !== next.path) return;
    this.#drops({ kind, name, version: next.version, change: true }, next.path);
    this.#behindGone++;
  }

  #drops(entry: Change & { readonly change: boolean }, path: string | undefined): void {
    this.#entries.push(entry);
    if (path !== undefined) this.#releases.add(path);
  }
}

/** Looks on through the entries of dropped versions, the oldest first, for one step; false when there are none left. */
export function stageMergeStep(txn: Transaction, catalog: string, now: number): boolean {
  const set = setRow(txn, catalog);
  const { merging } = set;
  const bounds = merging === 0 ? { prefix: [catalog] as const } : { prefix: [catalog] as const, gte: [catalog, merging] as const };
  for (const [[, version], row] of txn.range(fileDrops, { ...bounds, limit: 1 })) {
    new Step(txn, catalog, set, { version, dropped: true, row }).run(now);
    return true;
  }
  return false;
}
