// A small engine of log-structured merge trees over a manifest: the newest entries in memory and in a write-ahead segment, the others in sorted tables in levels. The catalog says which files there are.
//
// Invariants:
// - A write is acknowledged when its record is synced. Its log sequence number is one above that of the write before.
// - A file and its name are durable before the commit that names it. It is deleted only behind the commit that removes it, when no held version names it.
// - An entry is in a segment that the catalog names, or in a table that it names: flushing exchanges the one for the other in one commit.
// - Once a write or a background job has failed nothing is written any more: what is acknowledged is found by the next opening.
import { LsmCatalog } from "@waybill/manifest/lsm";
import type { Folder } from "@waybill/manifest/files";
import { compact, planCompaction } from "./compaction.ts";
import type { Entry } from "./entry.ts";
import { LsmError } from "./error.ts";
import { Lane } from "./lane.ts";
import { deleteObsolete, deleteOrphans } from "./leftovers.ts";
import { Memtable } from "./memtable.ts";
import { type EngineOptions, SIZES, type Sizes } from "./options.ts";
import { flushMemtable, makeDurable, recover, type RecoveryReport } from "./recovery.ts";
import { SegmentWriter } from "./segment.ts";
import { TableCache } from "./table_cache.ts";
import { type Pair, type ScanOptions, View } from "./view.ts";

interface Write {
  readonly entry: Entry;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** So many memtables wait to be flushed; then writes wait too. */
const FROZEN_MAX = 2;

/** The engine. */
export class Engine {
  /** The catalog, for looking. */
  readonly catalog: LsmCatalog;
  /** What opening has found. */
  readonly recovery: RecoveryReport;
  readonly #folder: Folder;
  readonly #sizes: Sizes;
  readonly #automatic: boolean;
  readonly #tables: TableCache;
  /** Writes and changes of the active segment. */
  readonly #log = new Lane();
  /** Flushes, compactions and deletions. */
  readonly #work = new Lane();
  #segment: SegmentWriter;
  #memtable: Memtable;
  /** Newest first. */
  #frozen: Memtable[] = [];
  #waiting: Write[] = [];
  #givenLsn: number;
  #lastLsn: number;
  #failure: unknown;
  #closed = false;

  private constructor(
    { folder, automatic = true }: EngineOptions,
    sizes: Sizes,
    catalog: LsmCatalog,
    tables: TableCache,
    { segment, lastLsn, report }: Awaited<ReturnType<typeof recover>>,
  ) {
    this.catalog = catalog;
    this.recovery = report;
    this.#folder = folder;
    this.#sizes = sizes;
    this.#automatic = automatic;
    this.#tables = tables;
    this.#segment = segment;
    this.#memtable = new Memtable(segment.id);
    this.#givenLsn = this.#lastLsn = lastLsn;
  }

  /** Opens the engine on the files of a folder; the manifest stays the caller's to close. DAMAGED when a file that the catalog names is missing or not what it was. */
  static async open(options: EngineOptions): Promise<Engine> {
    const { manifest, folder, memtableBytes, blockBytes, tableBytes, levelZeroTables, levelBytes } = options;
    const given = { memtableBytes, blockBytes, tableBytes, levelZeroTables, levelBytes };
    const sizes = { ...SIZES, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
    const catalog = await LsmCatalog.open(manifest);
    const tables = new TableCache(folder);
    return new Engine(options, sizes, catalog, tables, await recover(catalog, folder, tables, sizes.blockBytes));
  }

  /** Number of the last write that is acknowledged. */
  get lastLsn(): number {
    return this.#lastLsn;
  }

  // ---- writing ------------------------------------------------------------------------------------------------

  /** Gives a key a value. It survives every crash when this has resolved. */
  put(key: Uint8Array, value: Uint8Array): Promise<void> {
    return this.#write(key, value.slice());
  }

  /** Takes a key out; nothing needs to be there. */
  delete(key: Uint8Array): Promise<void> {
    return this.#write(key, undefined);
  }

  #write(key: Uint8Array, value: Uint8Array | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#assertUsable();
      this.#waiting.push({ entry: { key: key.slice(), lsn: ++this.#givenLsn, value }, resolve, reject });
      if (this.#waiting.length === 1) void this.#log.run(() => this.#append());
    });
  }

  /** Writes everything that waits with one sync. */
  async #append(): Promise<void> {
    const writes = this.#waiting;
    this.#waiting = [];
    try {
      this.#assertSound();
      if (this.#automatic && this.#memtable.sizeBytes >= this.#sizes.memtableBytes) await this.#rotate();
      await this.#segment.append(writes.map(({ entry }) => entry));
    } catch (error) {
      this.#fail(error);
      for (const { reject } of writes) reject(error);
      return;
    }
    for (const { entry, resolve } of writes) {
      this.#memtable.put(entry);
      this.#lastLsn = entry.lsn;
      resolve();
    }
  }

  /** Freezes the memtable and its segment, and begins the next ones. In the log's lane. */
  async #rotate(): Promise<void> {
    if (this.#frozen.length >= FROZEN_MAX) await this.#work.run(() => this.#flushFrozen());
    const next = await SegmentWriter.create(this.#folder, this.catalog.peekNextWalId());
    await this.catalog.rotateWal(next.id);
    await makeDurable(this.catalog);
    await this.#segment.close();
    this.#segment = next;
    this.#frozen.unshift(this.#memtable);
    this.#memtable = new Memtable(next.id);
    if (this.#automatic) this.#inBackground(() => this.#flushFrozen());
  }

  // ---- work ---------------------------------------------------------------------------------------------------

  /** Writes everything in memory to tables. */
  async flush(): Promise<void> {
    this.#assertUsable();
    await this.#guarded(async () => {
      await this.#log.run(async () => {
        if (this.#memtable.entries.length > 0) await this.#rotate();
      });
      await this.#work.run(() => this.#flushFrozen());
    });
  }

  async #flushFrozen(): Promise<void> {
    for (let memtable = this.#frozen.at(-1); memtable !== undefined; memtable = this.#frozen.at(-1)) {
      const sst = await flushMemtable(this.catalog, this.#folder, memtable, this.#sizes.blockBytes);
      await this.catalog.flush({ sst: sst === undefined ? [] : [sst], wal: memtable.wal, lsn: memtable.maxLsn });
      this.#frozen.pop();
    }
    if (this.#automatic) await this.#compactAll(false);
    else await this.#deleteObsolete();
  }

  /** Compacts until no level is too full; with `all` until everything is in the lowest level. Deletes what nobody needs any more. */
  async compact({ all = false }: { all?: boolean } = {}): Promise<void> {
    this.#assertUsable();
    await this.#guarded(() => this.#work.run(() => this.#compactAll(all)));
  }

  async #compactAll(all: boolean): Promise<void> {
    for (;;) {
      await this.#deleteObsolete();
      const plan = planCompaction(this.catalog, this.#sizes, all);
      if (plan === undefined) return;
      await compact(this.catalog, this.#folder, this.#tables, plan, this.#sizes);
    }
  }

  async #deleteObsolete(): Promise<void> {
    await deleteObsolete(this.catalog, this.#folder, this.#tables);
  }

  /** Deletes files that no state names and nobody is writing, whatever else goes on; returns how many. Opening has done it: only failed work leaves more. */
  async deleteOrphans(): Promise<number> {
    this.#assertUsable();
    return await deleteOrphans(this.catalog, this.#folder);
  }

  #inBackground(job: () => Promise<void>): void {
    this.#guarded(() => this.#work.run(job)).catch(() => {}); // kept for the next caller
  }

  async #guarded(job: () => Promise<void>): Promise<void> {
    try {
      await job();
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  // ---- reading ------------------------------------------------------------------------------------------------

  /** The value of a key. */
  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#assertUsable();
    for (const memtable of [this.#memtable, ...this.#frozen]) {
      const entry = memtable.get(key);
      if (entry !== undefined) return entry.value;
    }
    using version = this.catalog.pin(); // in the same turn as the look at memory: a flush cannot come between
    for (const sst of version.overlapping({ from: key, to: key })) {
      const entry = await (await this.#tables.get(sst)).get(key);
      if (entry !== undefined) return entry.value;
    }
    return undefined;
  }

  /** Keys with their values, by key, as they are when the scan begins. */
  async *scan(options?: ScanOptions): AsyncGenerator<Pair> {
    using view = this.view();
    yield* view.scan(options);
  }

  /** Holds the present state. */
  view(): View {
    this.#assertUsable();
    const memory = [this.#memtable, ...this.#frozen].map((memtable) => memtable.snapshot());
    return new View(memory, this.catalog.pin(), this.#tables, () => this.#onUnpinned());
  }

  #onUnpinned(): void {
    if (!this.#closed && this.#automatic) {
      this.#inBackground(async () => void await deleteObsolete(this.catalog, this.#folder, this.#tables));
    }
  }

  // ---- the end ------------------------------------------------------------------------------------------------

  /** Ends when everything that was begun has ended. What is in memory is in its segment too. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#log.run(async () => {});
    await this.#work.run(async () => {});
    await this.#segment.finish();
    await this.#tables.close();
  }

  /** The same as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
  }

  #assertUsable(): void {
    if (this.#closed) throw new LsmError("CLOSED", "Cannot use the engine: it is closed");
    this.#assertSound();
  }

  #assertSound(): void {
    if (this.#failure !== undefined) throw new LsmError("FAILED", "Cannot use the engine: it has failed", this.#failure);
  }
}
