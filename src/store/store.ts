// The store: tables of bytes in one page file. A facade; each part has a file of its own.
import { META_BITMAP, META_BYTES } from "../../assembly/format.ts";
import { fail, isManifestError, ManifestError, type ManifestErrorFields, withHandle } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { LockHolder, Storage } from "../storage/storage.ts";
import { checkFile } from "./check.ts";
import { Checkpointer } from "./checkpoint.ts";
import { Committer } from "./commit.ts";
import { resolveCommit } from "./commit_ids.ts";
import { compactStore } from "./compact.ts";
import type { Core } from "./core.ts";
import { newestMeta } from "./meta.ts";
import { openCore } from "./opening.ts";
import { type Continued, type ResolvedOptions, resolveOptions } from "./options.ts";
import { Readers, ReadTransaction } from "./readers.ts";
import { Replay } from "./recovery.ts";
import { Registry, type RegistryRow } from "./registry.ts";
import { RunReader } from "./runs.ts";
import type {
  CheckReport,
  CommitRequest,
  Receipt,
  RecoveryReport,
  Resolution,
  StoreEvent,
  StoreOptions,
  StoreStats,
  TableDefinition,
  TableInfo,
} from "./types.ts";
import { ARENA_START, type ReadContext, Scan, Tree, View } from "./views.ts";
import type { WriteWatch } from "./write_log.ts";

export type * from "./types.ts";
export { ARENA_START, ReadTransaction, Scan, Tree, View };
export { keyBytes, keyText, type WriteWatch } from "./write_log.ts";

/** A reader beside a writer: a page that is not what it was has been reused when a newer generation exists, else it is damaged. */
function expiredOr(core: Core, error: Error): Error {
  if (!isManifestError(error) || error.code !== "CORRUPT_PAGE") return error;
  const region = new Uint8Array(META_BYTES);
  core.file.read(0, region);
  if ((newestMeta(region, core.checksum, core.meta.fileId)?.generation ?? -1) <= core.meta.generation) return error;
  return new ManifestError(
    "SNAPSHOT_EXPIRED",
    "Cannot read: a writer has replaced the state that was opened; refresh, or open again, for the newest",
    {
      cause: error,
    },
  );
}

/** Storage objects that belong to stores. */
const inUse = new WeakSet<Storage>();

/** A storage and the stores over it: one, or a reader and its successors. */
interface Holding {
  readonly storage: Storage;
  stores: number;
}

function letGo(holding: Holding): void {
  if (--holding.stores > 0) return;
  inUse.delete(holding.storage);
  holding.storage.close();
}

/** Closes a storage behind an error that says more than one of the close would. */
function closeQuietly(storage: Storage): void {
  try {
    storage.close();
  } catch {
    // the platform frees what is left
  }
}

/** A store over one storage. */
export class Store {
  /** The kernel instance: arena, codecs, control block. */
  readonly kernel: Kernel;
  /** What recovery did. */
  readonly recovery: RecoveryReport;
  readonly #core: Core;
  readonly #context: ReadContext;
  readonly #checkpointer: Checkpointer;
  readonly #committer: Committer;
  readonly #registry: Registry;
  readonly #readers: Readers;
  readonly #newest: View;
  readonly #listeners = new Set<(sequence: number) => void>();
  readonly #holding: Holding;
  #refreshing: Promise<Store> | undefined;
  #retired = false;
  /** What `newest` shows when the unsynced part is lost. */
  #fallen: ReadTransaction | undefined;
  #published: ReadTransaction | undefined;
  #closing: Promise<void> | undefined;
  readonly #compactions = new Set<Promise<void>>();

  private constructor(core: Core, recovery: RecoveryReport, holding: Holding) {
    const { kernel, io, file } = core;
    this.#core = core;
    this.#holding = holding;
    this.kernel = kernel;
    this.recovery = recovery;
    const fileId = new DataView(core.meta.bytes.buffer, 32, 16);
    const runs = new RunReader(kernel, file, core.pageSize, fileId.getUint32(0, true), fileId.getUint32(4, true));
    if (file.readOnly) io.onDamage = runs.onDamage = (error) => expiredOr(core, error);
    this.#registry = new Registry(kernel);
    this.#context = {
      kernel,
      io,
      runs,
      tablesOf: (view) => this.#registry.tablesOf(view, this.newest),
      checkReadable: () => core.checkReadable(),
    };
    this.#newest = new View(this.#context, -1);
    this.#readers = new Readers(this.#context, core.environment);
    this.#checkpointer = new Checkpointer(core);
    io.assist = () => this.#checkpointer.assist();
    this.#committer = new Committer(core, this.#checkpointer, this.#registry, () => this.#notify());
    core.onPublish = () => {
      const before = this.#published;
      this.#published = undefined;
      before?.close();
    };
    kernel.onTrap = (error) => {
      core.ended = io.trapped = file.failure = error; // nothing reaches the storage from here on
      this.#committer.failAll(error);
    };
  }

  /** Throws what `open` would throw for these options, without touching any storage. */
  static checkOptions(options: StoreOptions): void {
    resolveOptions(options);
  }

  /**
   * Opens or creates a store. The storage belongs to it from then on: it is closed with the store, and when opening fails. A new file's numbers begin behind those of `continued`.
   */
  static async open(storage: Storage, options: StoreOptions = {}, continued?: Continued): Promise<Store> {
    // The first store must not lose its storage because somebody has tried to open it twice.
    if (inUse.has(storage)) {
      fail("LOCKED", `Cannot open "${storage.name}": this storage object belongs to a store that is open`, {
        detail: { file: storage.name },
      });
    }
    inUse.add(storage);
    try {
      const { core, report } = await openCore(storage, resolveOptions(options, continued));
      return new Store(core, report, { storage, stores: 1 });
    } catch (error) {
      inUse.delete(storage);
      closeQuietly(storage);
      throw withHandle(error, "closed");
    }
  }

  /** Whether it was opened for reading only, or a failed write has made it so. */
  get readOnly(): boolean {
    return this.#core.file.readOnly || this.#core.failure !== undefined;
  }

  /** File id, 32 hex digits. */
  get fileId(): string {
    return this.#core.meta.fileId;
  }

  /** History id, 32 hex digits. */
  get historyId(): string {
    return this.#core.meta.historyId;
  }

  /** Page size of the file. */
  get pageSize(): number {
    return this.#core.pageSize;
  }

  /** The newest applied state, followed as commits are applied. Not pinned: use it within one turn, or inside `stage`. */
  get newest(): View {
    // Behind a failed write the applied state is not what the file holds: the published one is.
    if (this.#core.failure && !this.#core.ended) return this.#fallen ??= this.#readers.open();
    return this.#newest;
  }

  /** Newest durable change sequence: all that consumers may see. */
  get durableSequence(): number {
    return this.#core.durableSequence;
  }

  /** Newest applied change sequence. */
  get appliedSequence(): number {
    return this.newest.sequence;
  }

  /** Newest durable frame number. */
  get durableFrame(): number {
    return this.#core.durableFrame;
  }

  /** Newest commit time, milliseconds since 1970; 0 before the first. */
  get committedAt(): number {
    return this.#core.committedAt;
  }

  /** The time that a commit would be given now, milliseconds since 1970: what the clock shows, and never less than the commit before was given. */
  now(): number {
    return this.#core.now();
  }

  /** A commit id: 48 bits of the newest durable frame number, 80 random bits; 32 hex digits. */
  newCommitId(): string {
    return this.#committer.ids.next().toString();
  }

  /** Commits a transaction. The promise resolves with the receipt when the durability mode's promise holds. */
  commit(request: CommitRequest): Promise<Receipt> {
    return this.#commit(request, false);
  }

  #commit(request: CommitRequest, registry: boolean): Promise<Receipt> {
    if (this.#closing) return Promise.reject(this.#closedError("commit"));
    return this.#committer.commit(request, registry);
  }

  #closedError(action: string): ManifestError {
    return new ManifestError("HANDLE_CLOSED", `Cannot ${action}: the store is closed`);
  }

  /** Throws HANDLE_CLOSED when the store is closed, or what has ended it; `action` completes "Cannot …". */
  assertOpen(action: string): void {
    this.#checkOpen(action);
  }

  /** Throws what keeps the store from being written, or read; `action` completes "Cannot …". */
  assertWritable(action: string): void {
    this.#checkOpen(action);
    this.#core.checkWritable(action);
  }

  #checkOpen(action: string): void {
    if (this.#closing) throw this.#closedError(action);
    this.#core.checkReadable();
  }

  /** Pins the newest published state. */
  read(): ReadTransaction {
    this.#checkOpen("read");
    return this.#readers.open();
  }

  /**
   * The newest published state, for reads outside a read transaction. The same object until the next publication, which ends it: use it within one turn and
   * compare it to know whether anything has changed. Not to be closed.
   */
  get published(): View {
    if (this.#published !== undefined) return this.#published;
    this.#checkOpen("read");
    return this.#published = this.#readers.open(true);
  }

  /** Pins the newest sealed state: applied, perhaps not published yet, and lost if it never is: see `whenPublished`. */
  readSealed(): ReadTransaction {
    this.#checkOpen("read");
    // Behind a failed write the newest sealed state is not what the file holds.
    return this.readOnly ? this.#readers.open() : this.#readers.open(false, this.kernel.exports.versionNewest());
  }

  /** Whether applied transactions are about to be sealed: `whenSealed(newest.frame)` waits for them. */
  get sealing(): boolean {
    return this.#committer.sealing;
  }

  /** Whether applied transactions wait to be sealed, be it behind a group that is on its way. */
  get gathering(): boolean {
    return this.#committer.gathering;
  }

  /** Resolves when a frame that was applied has been sealed, or dropped, or writing has ended. */
  whenSealed(frame: number): Promise<void> {
    return this.#committer.progress.sealed(frame);
  }

  /** Resolves when the state at a frame has been published: when the durability mode's promise holds for it. Rejects when it is lost. */
  whenPublished(frame: number): Promise<void> {
    return this.#committer.progress.published(frame);
  }

  /** Keeps what is written behind a state, which must be the newest sealed one, until the watch is ended. */
  watchWrites(frame: number): WriteWatch {
    return this.#committer.watchWrites(frame);
  }

  // ---- tables ---------------------------------------------------------------------------------------------

  /** Registers a table; EXISTS when the name is taken. Returns its id. */
  async createTable(name: string, schema: Uint8Array): Promise<number> {
    return (await this.createTables([{ name, schema }]))[0]!;
  }

  /** Registers several tables in one commit. Returns their ids in order. */
  async createTables(tables: readonly TableDefinition[]): Promise<number[]> {
    const ids: number[] = [];
    await this.#commit({ change: false, stage: () => this.#registry.stageCreate(this.newest, tables, ids) }, true);
    return ids;
  }

  /** The id that the next table gets in the newest applied state. For use inside `stage`. */
  nextTableId(): number {
    return this.#registry.nextId(this.newest);
  }

  /** Rows of TABLE_ID_TABLES with which a transaction registers a table itself, under this id; it then says so with `registry`. EXISTS. For use inside `stage`. */
  tableRows(definition: TableDefinition, id: number): RegistryRow[] {
    return this.#registry.create(this.newest, definition, id);
  }

  /** The row of TABLE_ID_TABLES with which a transaction replaces a table's schema itself; it then says so with `registry`. */
  schemaRow(table: TableInfo, schema: Uint8Array): RegistryRow {
    return this.#registry.replace(table, schema);
  }

  /** Replaces a table's schema bytes. */
  async setSchema(name: string, schema: Uint8Array): Promise<void> {
    await this.#commit({ change: false, stage: () => this.#registry.stageSchema(this.newest, name, schema) }, true);
  }

  /** Drops a table; TABLE_UNKNOWN when there is none. Its pages are freed in bounded steps. `dropped` is called before anybody can hear of it. */
  async dropTable(name: string, dropped?: () => void): Promise<void> {
    await this.#commit({ change: false, stage: () => this.#registry.stageDrop(this.newest, name), finish: () => dropped?.() }, true);
  }

  /** All tables of the newest applied state, by name. */
  listTables(): TableInfo[] {
    return this.newest.tables();
  }

  /** A table of the newest applied state. */
  table(name: string): TableInfo | undefined {
    return this.newest.table(name);
  }

  // ---- durability -----------------------------------------------------------------------------------------

  /** Calls back after each publication that moved the durable sequence; returns a function that ends it. */
  onDurable(listener: (sequence: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(this.#core.durableSequence);
      } catch (error) {
        // A listener's error must not stop the commit that it hears about; it surfaces as an error of its own turn.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Calls back when a checkpoint is done and when writing has ended for good: inside the engine, so it must neither throw nor use the store. */
  set onEvent(listener: (event: StoreEvent) => void) {
    this.#core.onEvent = listener;
  }

  /** Whether `commit` would accept one more transaction. */
  get hasRoom(): boolean {
    return this.#committer.queue.hasRoom;
  }

  /** Calls back when there is room again after there was none: inside the engine, so it must neither throw nor use the store. */
  set onRoom(listener: () => void) {
    this.#committer.queue.onRoom = listener;
  }

  /** What ended writing, if anything did. */
  get failure(): ManifestErrorFields | undefined {
    return this.#core.ended ?? this.#core.failure;
  }

  /** Rises when applied transactions are taken back: what was read from `newest` before may be wrong then. */
  get discards(): number {
    return this.#core.discards;
  }

  /** Epoch of the newest writer that this handle knows: its own when it writes. */
  get epoch(): number {
    return this.#core.epoch;
  }

  /** The last frame that the newest durable meta generation holds: later ones are in the journal. */
  get checkpointFrame(): number {
    return this.#core.meta.frame;
  }

  /** The writer claim; undefined when opened for reading only. */
  get holder(): LockHolder | undefined {
    return this.#core.lock?.holder;
  }

  /** The options in effect. */
  get options(): ResolvedOptions {
    return this.#core.options;
  }

  // ---- reading beside a writer ----------------------------------------------------------------------------

  /**
   * Of a store opened for reading: the store that shows the newest state of the file. It is this one when the writer has only added to the journal, which is applied; otherwise another one over the same storage, and
   * this one is to be retired. Calls while one is under way share it.
   */
  refresh(): Promise<Store> {
    return this.#refreshing ??= this.#refresh().finally(() => this.#refreshing = undefined);
  }

  async #refresh(): Promise<Store> {
    this.#checkOpen("refresh");
    const core = this.#core;
    if (!core.file.readOnly) fail("INVARIANT", "Cannot refresh: the store was opened for writing");
    if (this.#follows()) return this;
    this.#holding.stores++;
    try {
      const { core: next, report } = await openCore(this.#holding.storage, core.options);
      return new Store(next, report, this.#holding);
    } catch (error) {
      letGo(this.#holding);
      throw withHandle(error, "ok"); // what was open before still is
    }
  }

  /** Applies what the writer has added to the journal; false when that is not all that it has done. */
  #follows(): boolean {
    const core = this.#core;
    if (this.recovery.cut !== undefined || core.failure) return false;
    const region = new Uint8Array(META_BYTES);
    try {
      core.file.read(0, region);
      const newest = newestMeta(region, core.checksum, core.meta.fileId);
      if (newest === undefined || newest.generation !== core.meta.generation || newest.epoch !== core.meta.epoch) return false;
      if (core.meta.clean) return true; // a writer would have begun another generation
      if (new Replay(core, { ...this.recovery, rebuilt: [] }).follow()) {
        this.#registry.changed(core.kernel.exports.versionFrame(-1));
        core.durable(core.kernel.exports.versionSequence(-1), core.kernel.exports.versionFrame(-1), core.journal.nextGroup - 1);
        this.#notify();
      }
      return true;
    } catch (error) {
      if (!isManifestError(error)) throw error;
      // What was applied half way stays unpublished; another store starts from the file.
      core.failure = error;
      return false;
    }
  }

  /** Closes it as soon as its last read transaction is closed, then calls back. */
  retire(closed: () => void): void {
    if (this.#retired) return;
    this.#retired = true;
    const end = (): void => void this.close().then(closed, closed);
    if (this.#readers.count === 0) end();
    else this.#readers.onLast = end;
  }

  // ---- checkpoints and checks -----------------------------------------------------------------------------

  /** Moves everything applied into the tree and frees the journal. */
  async checkpoint(): Promise<void> {
    this.#checkOpen("checkpoint");
    this.#core.checkWritable("checkpoint");
    await this.#committer.checkpoint();
  }

  /** Moves pages low and cuts the tail of the file. */
  async compact(): Promise<void> {
    this.#checkOpen("compact");
    this.#core.checkWritable("compact");
    const compaction = compactStore({
      ...this.#context,
      core: this.#core,
      committer: this.#committer,
      newest: this.newest,
      closing: () => this.#closing !== undefined,
    });
    this.#compactions.add(compaction);
    try {
      await compaction;
    } finally {
      this.#compactions.delete(compaction);
    }
  }

  /** Checks the whole file, the contents of overflow values included. Writes a checkpoint first unless opened for reading only; then SNAPSHOT_EXPIRED when a writer has replaced the state. */
  async check(): Promise<CheckReport> {
    this.#checkOpen("check");
    const force = new DataView(this.#core.meta.bytes.buffer).getUint32(META_BITMAP, true) === 0;
    if (!this.readOnly) await this.#committer.checkpoint({ force });
    const pinned = this.#readers.open();
    try {
      const report = await checkFile(this.#core, this.#core.meta, 2);
      // Beside a writer what looks damaged may have been replaced: that is no finding about the file.
      if (!report.ok && this.#core.file.readOnly) {
        const damage = new ManifestError("CORRUPT_PAGE", "Cannot check: pages of the state that was opened are damaged");
        const verdict = expiredOr(this.#core, damage);
        if (verdict !== damage) throw verdict;
      }
      return report;
    } finally {
      pinned.close();
    }
  }

  /** Resolves when everything applied before the call is durable. */
  async sync(): Promise<void> {
    this.#checkOpen("sync");
    this.#core.checkWritable("sync");
    await this.#committer.settled();
    if (this.#core.options.durability === "relaxed") await this.#committer.flush();
    if (this.#core.options.durability === "none") await this.#committer.checkpoint();
    this.#core.checkWritable("sync");
  }

  /** What became of a commit id; waits for commits that are on their way. */
  async resolve(commitId: string): Promise<Resolution> {
    this.#checkOpen("resolve a commit");
    await this.#committer.settled();
    if (this.#core.failure) this.#core.checkWritable("resolve a commit");
    const transaction = this.#readers.open();
    try {
      return resolveCommit(transaction, commitId);
    } finally {
      transaction.close();
    }
  }

  /** Numbers about the store. */
  stats(): StoreStats {
    this.#checkOpen("tell numbers");
    const { kernel, file, journal, meta } = this.#core;
    return {
      fileBytes: file.size(),
      pageSize: this.#core.pageSize,
      journalBytes: journal.capacity * 4096,
      journalUsed: journal.liveBlocks * 4096,
      journalExtents: journal.extents.length,
      generation: meta.generation,
      epoch: this.#core.epoch,
      appliedSequence: this.appliedSequence,
      durableSequence: this.#core.durableSequence,
      durableFrame: this.#core.durableFrame,
      cachePages: this.#core.frames,
      dirtyPages: kernel.exports.dirtyPages(),
      spilledPages: kernel.exports.spilledPages(),
      pinnedPages: kernel.exports.pinnedPages(),
      memoryBytes: kernel.memoryBytes,
      commits: this.#committer.commits,
      groups: this.#committer.groups,
      syncs: file.syncs,
      writes: file.writes,
      bytesWritten: file.bytesWritten,
      pageReads: this.#core.io.pageReads,
      checkpoints: this.#core.checkpoints,
      waiting: this.#committer.waiting,
      readers: this.#readers.stats(),
    };
  }

  // ---- end ------------------------------------------------------------------------------------------------

  /** Checkpoints, marks the file clean and closes the storage. A second call waits for the first. */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const core = this.#core;
    try {
      this.#committer.stopTimers();
      await Promise.allSettled(this.#compactions);
      await this.#committer.settled();
      await this.#committer.idle();
      if (!this.readOnly && !core.ended) await this.#committer.checkpoint({ clean: true });
    } finally {
      this.#committer.stopTimers();
      try {
        if (!core.ended) this.#readers.closeAll();
      } finally {
        core.ended ??= this.#closedError("use the store");
        core.io.trapped ??= core.ended;
        this.#committer.end(core.ended);
        this.#published = undefined;
        this.#listeners.clear();
        core.lock?.release();
        letGo(this.#holding);
      }
    }
  }

  /** Closes the store. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
