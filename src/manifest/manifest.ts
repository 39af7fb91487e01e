// The manifest: an open store with the built-in tables. A facade; each part has a file of its own.
import { checkSignal, readArgument, takeOptions } from "../arguments.ts";
import { failRange, failType, ManifestError, withHandle } from "../errors.ts";
import { type AnyTable, type Table, tableFromSchema } from "../schema/schema.ts";
import { openFile } from "../storage/file.ts";
import type { Durability, Storage } from "../storage/storage.ts";
import { type CheckReport, type DurabilityMode, type RecoveryReport, type Resolution, Store, type StoreStats } from "../store/store.ts";
import { Batch } from "./write/batch.ts";
import type { Change } from "./log/change.ts";
import {
  type ChangeCursor,
  type ChangePage,
  checkCursorName,
  checkCursorOptions,
  checkPageSize,
  type CursorOptions,
} from "./log/change_cursor.ts";
import { changesOf, type ChangesOptions } from "./log/changes.ts";
import { ManifestCore } from "./core.ts";
import { checkTable } from "./write/operation_builder.ts";
import { diagnose, type Diagnostics } from "./diagnostics.ts";
import { DeepCheck } from "./gc/deep_check.ts";
import { BUILT_IN, builtInNamed } from "./operations/built_in.ts";
import { type DeleteObject, Reclaimer, type ReclaimOptions, type ReclaimReport } from "./gc/reclaim.ts";
import { Requeue } from "./write/requeue.ts";
import { type EventListener, Events } from "./events.ts";
import { type ChangeFollower, FOLLOW_OPTIONS, Follower, type FollowOptions } from "./log/follower.ts";
import { LagWatch } from "./log/lag_watch.ts";
import { type ManifestOptions, type ResolvedManifestOptions, resolveManifestOptions } from "./options.ts";
import type { RangeSource } from "./read/range.ts";
import { ReadTransaction } from "./read/read_transaction.ts";
import { Reader } from "./read/reader.ts";
import type { TableReader } from "./read/table_reader.ts";
import { transact, type TransactOptions, type TransactResult } from "./transact/transact.ts";
import type { Transaction } from "./transact/transaction.ts";
import { ManifestTxn, TXN_OPTIONS, type TxnOptions } from "./write/txn.ts";
import { isVirtual } from "./read/virtual_tables.ts";
import type { WaitOptions } from "./log/waiters.ts";
import { Watch } from "./log/watch.ts";

/** What a storage must be able to do. */
const STORAGE: readonly (keyof Storage)[] = ["size", "read", "write", "truncate", "sync", "syncAsync", "lock", "close"];

function closedError(action: string): ManifestError {
  return new ManifestError("HANDLE_CLOSED", `Cannot ${action}: the manifest is closed`);
}

/** A table of a manifest. */
export interface TableSummary {
  /** Its name. */
  readonly name: string;
  /** Whether it is one of the manifest's own. */
  readonly builtIn: boolean;
  /** Its rows. */
  readonly rows: number;
}

/** Numbers about a manifest. */
export interface ManifestStats extends StoreStats {
  /** The newest durable change and the oldest that is kept. */
  changes: { latest: number; oldest: number };
  /** Registered cursors and how many changes each has before it. */
  cursors: { id: number; name: string; nextSequence: number; lag: number }[];
  /** Stored objects that no snapshot lists any more. */
  collectable: number;
}

/** What a commit of this manifest survives. */
export interface DurabilityReport {
  /** When receipts are delivered. */
  readonly mode: DurabilityMode;
  /** What a completed sync of the storage promises. */
  readonly storage: Durability;
}

/**
 * A manifest: the crash-safe source of truth that a storage system keeps about itself, in one file.
 *
 * Reads outside a {@linkcode ReadTransaction} show the newest state at the time of the call for which the durability mode's promise holds: with "sync" a durable one, with "relaxed" and "none" one that a crash of the machine may take back.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * await manifest.begin().putDb(1, { name: "events" }).commit();
 * console.log(manifest.getDb(1)?.name, manifest.latestChangeSequence());
 * ```
 */
export class Manifest extends Reader {
  /** What recovery did when the manifest was opened. */
  readonly recovery: RecoveryReport;
  /**
   * Names the bytes within this process: equal for every manifest that is open over them.
   * @internal
   */
  readonly storageIdentity: string;
  /** Replaced only when opened for reading: then the state that is read moves on with `refresh`. */
  #core: ManifestCore;
  readonly #options: ResolvedManifestOptions;
  readonly #events = new Events();
  readonly #watch: Watch;
  readonly #lag: LagWatch | undefined;
  readonly #followers = new Set<Follower>();
  /** Stores that were moved on from, with read transactions that are still open. */
  readonly #retired = new Set<Store>();
  readonly #reclaimer: Reclaimer;
  readonly #durability: DurabilityReport;
  #requeuedJobs: readonly number[] = [];
  #closing: Promise<void> | undefined;

  private constructor(core: ManifestCore, options: ResolvedManifestOptions, storage: Storage) {
    super();
    const { store } = core;
    const reading = store.readOnly;
    this.#core = core;
    this.#options = options;
    this.#reclaimer = new Reclaimer(core);
    this.#durability = { mode: options.store.durability ?? "sync", storage: storage.durability };
    this.recovery = store.recovery;
    this.storageIdentity = storage.identity;
    const host = { core: () => this.#core, refresh: () => this.refresh() };
    this.#watch = new Watch(host, core.environment, storage.identity, reading ? options.pollMs : undefined);
    this.#lag = reading ? undefined : new LagWatch(store, core.log, this.#events, options.lagWarning);
    if (options.onEvent !== undefined) this.#events.subscribe(options.onEvent);
    store.onRoom = () => this.#watch.room();
    store.onEvent = (event) => {
      if (event.type === "write-failed") this.#watch.end(event.error);
      this.#events.emit(event);
    };
    this.#adopt(core);
    if (this.crashDetected || this.recovery.repairedSlots.length > 0) this.#events.emit({ type: "recovered", report: this.recovery });
  }

  #adopt(core: ManifestCore): void {
    core.records.ends(core.log.latest);
    core.store.onDurable(() => {
      core.records.truncated(core.log.truncated);
      this.#lag?.look();
      this.#watch.durable();
    });
  }

  /**
   * Opens a manifest in a file or in another storage. The storage belongs to the manifest from then on. The built-in tables are made when they are missing and checked otherwise:
   * SCHEMA_MISMATCH, SCHEMA_TOO_NEW, and TABLE_UNKNOWN when one is missing and the manifest is opened for reading only. Every error of it has the handle "closed".
   */
  static async open(at: string | URL | Storage, options: ManifestOptions = {}): Promise<Manifest> {
    try {
      return await Manifest.#open(at, options);
    } catch (error) {
      throw withHandle(error, "closed");
    }
  }

  static async #open(at: string | URL | Storage, options: ManifestOptions): Promise<Manifest> {
    const resolved = resolveManifestOptions(options);
    const { followSymlink, store: { create, readOnly } } = resolved;
    const given = readArgument("open", "the storage", () => {
      if (typeof at === "string" || at instanceof URL) return undefined;
      if (typeof at !== "object" || at === null || STORAGE.some((name) => typeof at[name] !== "function")) {
        failType("Cannot open: neither a path nor a storage was given");
      }
      return at;
    });
    const storage = given ?? openFile(at as string | URL, { create, readOnly, followSymlink });
    const store = await Store.open(storage, resolved.store);
    try {
      const core = new ManifestCore(store, store.options.environment, resolved);
      await core.openTables(BUILT_IN.map(({ table }) => table));
      const manifest = new Manifest(core, resolved, storage);
      if (resolved.requeueJobs && !store.readOnly && manifest.crashDetected) {
        manifest.#requeuedJobs = await manifest.requeueJobs();
      }
      return manifest;
    } catch (error) {
      await store.close().catch(() => {}); // what has ended the opening says more than what followed
      throw error;
    }
  }

  /** Whether writing is refused: opened for reading only, or after a failed sync. */
  get readOnly(): boolean {
    return this.#core.store.readOnly;
  }

  /** Whether the last writer had not closed the file: it has crashed, or, when this is opened for reading, it may still be at work. */
  get crashDetected(): boolean {
    return !this.recovery.clean && !this.recovery.created;
  }

  /** Jobs that were under way when the last writer died, and wait again. */
  get requeuedJobs(): readonly number[] {
    return this.#requeuedJobs;
  }

  /** Names the file for its whole life, 32 hex digits. */
  get fileId(): string {
    return this.#core.store.fileId;
  }

  /** Names the history of the file, 32 hex digits: another one after a restore or a salvage, where numbers of changes may come again. */
  get historyId(): string {
    return this.#core.store.historyId;
  }

  // ---- writing ------------------------------------------------------------------------------------------------

  /** Begins a transaction. */
  begin(options?: TxnOptions): ManifestTxn {
    let origin: string | undefined;
    if (options !== undefined) {
      const { capacity, ...taken } = takeOptions(options, TXN_OPTIONS, "begin a transaction");
      origin = taken.origin;
      if (origin !== undefined && typeof origin !== "string") {
        failType("Cannot begin a transaction: origin is not a string", { field: "origin" });
      }
      if (capacity !== undefined && (typeof capacity !== "number" || !(capacity >= 0))) {
        failType("Cannot begin a transaction: capacity is not a number from 0 on", { field: "capacity" });
      }
    }
    return new ManifestTxn(this.#core, new Batch(this.#core, origin));
  }

  /**
   * Runs a read-write transaction: what `fn` reads is one state, what it writes is applied together, and both are as if the transaction had run alone at the moment of its commit. When another commit has
   * changed what was read, nothing is applied and `fn` runs again on the newest state: it must not do anything outside that may not be done twice.
   *
   * Resolves when what was read and written is durable as the durability mode says. Rejects with nothing applied: CONFLICT behind the last retry, TIMEOUT, ABORTED, what `fn` has thrown
   * (CALLBACK_FAILED with it as the cause, unless it is an error of this package), or what a commit may reject with.
   *
   * @example
   * ```ts
   * import { defineTable, Manifest, memoryStorage, text, u53 } from "@waybill/manifest";
   *
   * const counters = defineTable({ name: "counters", key: [text("name")], value: { n: u53() } });
   * await using manifest = await Manifest.open(memoryStorage(), { create: true });
   * const { value } = await manifest.transact((txn) => {
   *   const n = (txn.get(counters, "visits")?.n ?? 0) + 1;
   *   txn.put(counters, "visits", { n });
   *   return n;
   * });
   * console.log(value, manifest.get(counters, "visits")?.n);
   * ```
   */
  transact<T>(fn: (txn: Transaction) => T | Promise<T>, options?: TransactOptions): Promise<TransactResult<T>> {
    return transact(this.#core, fn, options);
  }

  /** What became of a transaction, by its id: applied with its change, certainly not applied, or too long ago to tell. Knows at least the newest 1,024 commits. */
  resolve(commitId: string): Promise<Resolution> {
    return this.#core.store.resolve(commitId);
  }

  /** Resolves when everything committed before the call is durable, whatever the durability mode. */
  sync(): Promise<void> {
    return this.#core.store.sync();
  }

  /**
   * Resolves when the queue accepts another commit: what to wait for when `commit` has failed with UNAVAILABLE. A hint: another one may be faster. TIMEOUT, ABORTED, HANDLE_CLOSED, READ_ONLY.
   *
   * @example
   * ```ts
   * import { isManifestError, Manifest, memoryStorage } from "@waybill/manifest";
   *
   * await using manifest = await Manifest.open(memoryStorage(), { create: true, queueCapacity: 64 });
   * const commits: Promise<unknown>[] = [];
   * for (let db = 1; db <= 1000; db++) {
   *   await manifest.ready();
   *   commits.push(manifest.begin().putDb(db, { name: `db ${db}` }).commit());
   * }
   * await Promise.all(commits);
   * ```
   */
  ready(options: WaitOptions = {}): Promise<void> {
    return this.#watch.ready(options);
  }

  // ---- reading ------------------------------------------------------------------------------------------------

  /**
   * Opened for reading: moves to the newest state of the file, journal included. Read transactions and ranges that are open keep theirs. That is the file as reads show it: a writer may have its newest group still
   * to sync. Opened for writing it does nothing, because it shows the newest state anyway.
   */
  async refresh(): Promise<void> {
    const before = this.#core;
    before.store.assertOpen("refresh");
    if (this.#lag !== undefined) return;
    const store = await before.store.refresh();
    if (store === before.store || store === this.#core.store) return;
    if (this.#core !== before || this.#closing !== undefined) {
      await store.close();
      if (this.#closing !== undefined) throw closedError("refresh");
      return;
    }
    const core = new ManifestCore(store, before.environment, this.#options);
    this.#core = core;
    this.#retired.add(before.store);
    before.store.retire(() => this.#retired.delete(before.store));
    this.#adopt(core);
  }

  /** Pins the newest state that reads show. Close it. */
  read(): ReadTransaction {
    const core = this.#core;
    return new ReadTransaction((view, table) => core.reader(view, table), core.store.read());
  }

  /**
   * The reader of a table.
   * @internal
   */
  protected override source(table: AnyTable): TableReader {
    return this.#core.publishedReader(table);
  }

  /**
   * Where a range reads.
   * @internal
   */
  protected override openSource(table: AnyTable): RangeSource {
    const transaction = this.#core.store.read();
    try {
      return { reader: this.#core.reader(transaction, table), release: () => transaction.close() };
    } catch (error) {
      transaction.close();
      throw error;
    }
  }

  // ---- tables -------------------------------------------------------------------------------------------------

  /** Makes a table. A transaction does so by itself when it first writes to one; a table that is there is checked and left. */
  async createTable<K extends readonly unknown[], V>(table: Table<K, V>): Promise<void> {
    if (isVirtual(checkTable(table).name)) failType(`Cannot make table "${table.name}": its rows are computed`, { table: table.name });
    await this.#core.makeTable(table);
  }

  /**
   * Drops a table with all its rows. TABLE_UNKNOWN when there is none; the manifest's own cannot be dropped. It is no change: consumers of the change log are not told, and what they have
   * not fetched of the table by then comes as `unreadable` operations, as bytes.
   */
  async dropTable(table: string | AnyTable): Promise<void> {
    const name = typeof table === "string" ? table : checkTable(table).name;
    if (builtInNamed(name) !== undefined) failType(`Cannot drop table "${name}": it is one of the manifest's own`, { table: name });
    const { store, records } = this.#core;
    await store.dropTable(name, () => records.forget());
  }

  /** All tables, by name: also those whose rows are computed. */
  listTables(): TableSummary[] {
    const view = this.#core.published();
    const stored = view.tables().map(({ id, name }) => ({ name, builtIn: builtInNamed(name) !== undefined, rows: view.tree(id).rows }));
    const computed = this.#core.virtual.list(view).map(({ name, rows }) => ({ name, builtIn: true, rows }));
    return [...stored, ...computed].sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  }

  /** A table's definition as the file keeps it, for reading tables that the program does not know; undefined when there is none. */
  tableDefinition(name: string): AnyTable | undefined {
    const info = this.#core.published().table(name);
    return info && tableFromSchema(info.name, info.schema);
  }

  // ---- jobs -----------------------------------------------------------------------------------------------------

  /**
   * A new job id, for `putJob`: greater than every one that was reserved or enqueued before. It is durable with the first job that is enqueued at or above it; a process that dies before
   * has reserved nothing, unless `persistJobCounter` says otherwise. READ_ONLY where no job can be put.
   */
  reserveJobId(): number {
    this.#core.store.assertWritable("reserve a job id");
    return this.#core.jobIds.next();
  }

  /**
   * Puts jobs that are under way back among those that wait: all, or those taken before a time. Those whose database is gone stay as they are. Whoever opens a manifest for writing after a crash has this done already. Returns their ids.
   */
  async requeueJobs(options: { startedBefore?: number } = {}): Promise<number[]> {
    const { startedBefore } = takeOptions(options, { startedBefore: true }, "requeue jobs");
    if (startedBefore !== undefined && typeof startedBefore !== "number") {
      failType("Cannot requeue jobs: startedBefore is not a number", { field: "startedBefore" });
    }
    if (Number.isNaN(startedBefore)) failRange("Cannot requeue jobs: startedBefore is NaN", { field: "startedBefore" });
    if (this.listJobs({ state: "in-flight", limit: 1 }).length === 0) return [];
    const requeue = new Requeue(this.#core, startedBefore);
    await this.#core.store.commit(requeue);
    return requeue.ids;
  }

  // ---- stored objects -------------------------------------------------------------------------------------------

  /**
   * Deletes up to `limit` stored objects that no snapshot lists and nobody holds. First they are condemned, durably: from then on no snapshot can list them. Then `deleteObject` is called for each; it
   * must be idempotent, because after a crash it is called again. Then their rows go, with the chunk or delta that still names them. Calls at the same time take different objects.
   *
   * Throws CALLBACK_FAILED when `deleteObject` has failed for some: the others are done, those stay condemned, and the next call begins with them.
   *
   * @example
   * ```ts
   * import { Manifest, memoryStorage } from "@waybill/manifest";
   *
   * await using manifest = await Manifest.open(memoryStorage(), { create: true });
   * await manifest.begin().putDb(1, { name: "events" }).upsertChunk([1, 42], { fileName: "c-42.seg" })
   *   .publishSnapshot([1, 1], { chunks: [{ chunkId: 42 }] }).commit();
   * await manifest.begin().dropSnapshot([1, 1]).commit();
   * const { deleted } = await manifest.reclaim(100, async (object) => {
   *   console.log("delete the file of chunk", object.chunkId, "generation", object.generation);
   * });
   * console.log(deleted, manifest.getChunk(1, 42)); // 1 undefined
   * ```
   */
  // deno-lint-ignore require-await
  async reclaim(limit: number, deleteObject: DeleteObject, options?: ReclaimOptions): Promise<ReclaimReport> {
    return this.#reclaimer.reclaim(limit, deleteObject, options);
  }

  // ---- change log ---------------------------------------------------------------------------------------------

  /** The sequence of the newest durable change, 0 when there never was one. */
  latestChangeSequence(): number {
    this.#core.store.assertOpen("read");
    return this.#core.log.latest;
  }

  /**
   * Registers a change cursor: from then on the log is kept for it. A name that exists is returned where it stands; `start` counts only for a new one, `maxLag` for both. When changes to start at are no
   * longer kept, `gap` names them.
   *
   * @example
   * ```ts
   * import { Manifest, memoryStorage } from "@waybill/manifest";
   *
   * await using manifest = await Manifest.open(memoryStorage(), { create: true });
   * const cursor = await manifest.registerChangeCursor("replica-a", { start: "oldest" });
   * await manifest.begin().putDb(1, { name: "events" }).commit();
   * const page = await manifest.fetchChangePage(cursor.id, 100);
   * for (const change of page.changes) console.log(change.sequence, change.operations.length);
   * await manifest.acknowledgeChanges(cursor.id, page.nextSequence);
   * ```
   */
  registerChangeCursor(name: string, options: CursorOptions = {}): Promise<ChangeCursor> {
    return this.#core.cursors.register(name, options);
  }

  /** The next changes of a cursor, oldest first, at most `size` and about 8 MiB of them. Fetching does not move it. CURSOR_UNKNOWN; CURSOR_TRUNCATED when changes that it has not done are gone. */
  // deno-lint-ignore require-await
  async fetchChangePage(cursorId: number, pageSize: number = 100): Promise<ChangePage> {
    return this.#core.cursors.page(cursorId, pageSize);
  }

  /** Everything before `nextSequence` is done. Going back does nothing; going beyond the newest change is an error. Resolves when that is durable. */
  acknowledgeChanges(cursorId: number, nextSequence: number): Promise<ChangeCursor> {
    return this.#core.cursors.acknowledge(cursorId, nextSequence);
  }

  /** Ends a cursor: the log is no longer kept for it, and its followers end with CURSOR_UNKNOWN. */
  async unregisterChangeCursor(cursorId: number): Promise<void> {
    await this.#core.cursors.unregister(cursorId);
    for (const follower of [...this.#followers]) follower.unregistered(cursorId);
  }

  /** All change cursors, by id. */
  listChangeCursors(): ChangeCursor[] {
    return this.#core.cursors.list(this.#core.published());
  }

  /**
   * The changes of the log, from a sequence, from where a cursor stands, or from the oldest on, to the newest durable one at the time it gets there. Nothing is acknowledged. Iterating again reads
   * again. CURSOR_TRUNCATED when the first ones are gone, or go while it is under way; CURSOR_UNKNOWN; a RangeError when `from` is beyond the newest.
   */
  changes(options: ChangesOptions = {}): AsyncIterable<Change> {
    return changesOf(() => this.#core, options);
  }

  /**
   * Follows the log as the cursor of this name, which is registered when it is missing: yields change after change and waits for new ones; it never ends by itself. When the next change is asked for, the
   * one before is done and will be acknowledged, soon and together with others. `break`, `return` or an error in the loop first acknowledge what is done; the change handed out last is not, and comes again.
   *
   * ABORTED by the signal, HANDLE_CLOSED when the manifest is closed, CURSOR_TRUNCATED when changes that it has not done are gone (also when a new cursor's `start` is): then acknowledge `oldestSequence` of the
   * detail, and follow again.
   *
   * @example
   * ```ts
   * import { Manifest, memoryStorage } from "@waybill/manifest";
   *
   * await using manifest = await Manifest.open(memoryStorage(), { create: true });
   * await manifest.begin().putDb(1, { name: "events" }).commit();
   * for await (const change of manifest.follow("replica-a")) {
   *   console.log(change.sequence);
   *   break; // change 1 is not done: it comes again
   * }
   * ```
   */
  follow(name: string, options: FollowOptions = {}): ChangeFollower {
    checkCursorName(name);
    const taken = checkCursorOptions(options, FOLLOW_OPTIONS, "follow the change log");
    checkSignal(taken.signal, "follow the change log");
    const pageSize = checkPageSize(taken.pageSize ?? 100);
    this.#core.store.assertWritable("follow the change log");
    const { cursors, store } = this.#core;
    const host = { cursors, watch: this.#watch, hasRoom: () => store.hasRoom, followers: this.#followers };
    return new Follower(host, name, pageSize, taken);
  }

  /**
   * Resolves with the newest durable change as soon as it is behind `since`: at once when it is already. TIMEOUT, ABORTED, HANDLE_CLOSED, and what ended writing when nothing can come any more. Opened for reading
   * it hears of a writer in this process at once, and looks for others every `pollMs`.
   *
   * @example
   * ```ts
   * import { Manifest, memoryStorage } from "@waybill/manifest";
   *
   * await using manifest = await Manifest.open(memoryStorage(), { create: true });
   * const soon = manifest.waitForChange(manifest.latestChangeSequence(), { timeoutMs: 1000 });
   * await manifest.begin().putDb(1, { name: "events" }).commit();
   * console.log(await soon); // 1
   * ```
   */
  waitForChange(since: number, options: WaitOptions = {}): Promise<number> {
    return this.#watch.waitForChange(since, options);
  }

  /** Resolves with the durable generation of a component as soon as it is at least `target`: at once when it is already. Fails as `waitForChange`. */
  waitForGeneration(component: number, target: number, options: WaitOptions = {}): Promise<number> {
    return this.#watch.waitForGeneration(component, target, options);
  }

  // ---- the store ----------------------------------------------------------------------------------------------

  /** Moves everything applied into the tree and frees the journal. */
  checkpoint(): Promise<void> {
    return this.#core.store.checkpoint();
  }

  /** Moves pages to the front of the file and cuts its end. */
  async compact(): Promise<void> {
    const { store } = this.#core;
    const bytesBefore = store.stats().fileBytes;
    await store.compact();
    this.#events.emit({ type: "compacted", bytesBefore, bytesAfter: store.stats().fileBytes });
  }

  /**
   * Checks the whole file: every page, checksum, key order and count. With level "deep" also what the tables say of each other: every record reads back, the change log has no gap, every cursor stands
   * within it, every reference count equals a recount from the snapshots, every index holds what its rows say.
   */
  async check(options: { level?: "tree" | "deep" } = {}): Promise<CheckReport> {
    const { level = "tree" } = takeOptions(options, { level: true }, "check");
    if (level !== "tree" && level !== "deep") failType('Cannot check: the level is neither "tree" nor "deep"', { field: "level" });
    const report = await this.#core.store.check();
    if (level === "tree") return report;
    const view = this.#core.store.read();
    try {
      const deep = new DeepCheck(this.#core, view);
      await deep.run();
      return { ...report, ok: report.ok && deep.count === 0, problems: [...report.problems, ...deep.problems] };
    } finally {
      view.close();
    }
  }

  /** Numbers about the manifest. */
  stats(): ManifestStats {
    const latest = this.#core.log.latest;
    return {
      ...this.#core.store.stats(),
      changes: { latest, oldest: this.#core.log.oldest(this.#core.published()) },
      cursors: this.listChangeCursors().map(({ id, name, nextSequence }) => ({
        id,
        name,
        nextSequence,
        lag: Math.max(0, latest + 1 - nextSequence),
      })),
      collectable: this.countCollectable(),
    };
  }

  /** What a commit survives. */
  durability(): DurabilityReport {
    return this.#durability;
  }

  /** Everything that somebody who looks into a problem would ask for, as plain JSON without any data of the user. Works as long as the object does, also behind a failure. */
  diagnostics(): Diagnostics {
    return diagnose(this.#core, this.#options, {
      durability: this.#durability,
      recovery: this.recovery,
      crashDetected: this.crashDetected,
      waiters: this.#watch.counts,
      followers: this.#followers.size,
      listeners: this.#events.size,
    });
  }

  /** Hears events from now on; returns what ends that. A listener may use the manifest; what it throws surfaces as an error of a turn of its own. */
  subscribe(listener: EventListener): () => void {
    return this.#events.subscribe(listener);
  }

  /**
   * Ends read-write transactions whose function is running (HANDLE_CLOSED), waits for what was committed, then closes the manifest and its storage. Whoever waits gets HANDLE_CLOSED; what followers have done is
   * acknowledged before. A second call waits for the first.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const error = closedError("go on");
    for (const running of [...this.#core.running]) running.close();
    for (const follower of [...this.#followers]) follower.close(error);
    const closed = this.#core.store.close();
    this.#watch.close(error);
    try {
      await closed;
    } finally {
      for (const store of [...this.#retired]) await store.close();
      this.#events.emit({ type: "closed" });
    }
  }

  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
