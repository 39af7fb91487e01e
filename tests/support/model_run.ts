// One run of the model: seeded operations on a store and on the reference, side by side.
//
// Everything runs in microtasks, so that a seed replays exactly; a promise that does not settle is an error. Commits enter the reference when they are issued, and the sequence of a
// read transaction says which of them it must show.
import { CTRL_OUT_AT } from "../../assembly/format.ts";
import { isManifestError } from "../../src/errors.ts";
import { MemoryFile } from "../../src/storage/memory.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { type ReadTransaction, type Receipt, Store, type StoreOptions, type View } from "../../src/store/store.ts";
import { assert, assertEquals } from "./assert.ts";
import { type TestEnvironment, testEnvironment } from "./environment.ts";
import { MARKS } from "./kernel_disk.ts";
import { compareAll, compareRow, compareSome, compareTable, sameTables } from "./model_compare.ts";
import { keyBytes } from "./model_keys.ts";
import { damage, type Damaged } from "./model_damage.ts";
import { Draw } from "./model_draw.ts";
import { Ids } from "./model_ids.ts";
import { type Shape, WEIGHTS, type Weights } from "./model_shapes.ts";
import { type Change, type Entry, Model, type ModelTable, Rows, type Tables } from "./model_state.ts";
import { ModelStorage } from "./model_storage.ts";
import { valueBytes } from "./model_value.ts";
import { type Random, seeded } from "./random.ts";

const encoder = new TextEncoder();
const READERS_MAX = 6;
/** A promise that is not settled after so many microtasks never will be. */
const TURNS_MAX = 50_000_000;

interface Held {
  readonly transaction: ReadTransaction;
  readonly tables: Tables;
}

interface Snapshot {
  readonly file: MemoryFile;
  readonly damaged: Damaged;
  /** Commits up to this serial must be there. */
  readonly kept: number;
}

/** One run. */
export class ModelRun {
  /** Operations committed, rows and ranges compared, and what was come across, by name. */
  operations = 0;
  reads = 0;
  readonly reached = new Map<string, number>();
  /** The last action, for the error message. */
  action = "open";
  readonly #shape: Shape;
  readonly #actions: Readonly<Record<keyof Weights, () => void | Promise<void>>> = {
    commit: () => this.#commitOne(),
    group: () => this.#commitGroup(),
    rows: () => this.#readRows(),
    range: () => this.#readRanges(),
    hold: () => this.#hold(),
    release: () => this.#release(),
    create: () => this.#createTable(),
    drop: () => this.#dropTable(),
    describe: () => this.#describeTable(),
    empty: () => this.#emptyTable(),
    checkpoint: () => this.#checkpoint(),
    compact: () => this.#compact(),
    check: () => this.#check(),
    reopen: () => this.#reopen(),
    crash: () => this.#crash(),
    fork: () => this.#fork(),
    resolve: () => this.#resolve(),
    sync: () => this.#sync(),
    time: () => this.#passTime(),
    fault: () => this.#commitBesideFaults(),
    compare: () => this.#compareAll(),
  };
  readonly #random: Random;
  readonly #weights: readonly [keyof Weights, number][];
  readonly #totalWeight: number;
  readonly #draw: Draw;
  readonly #model = new Model();
  readonly #ids = new Ids();
  #store!: Store;
  #storage!: ModelStorage;
  #environment!: TestEnvironment;
  #file = new MemoryFile();
  #held: Held[] = [];
  #background = new Set<Promise<unknown>>();
  #compacting = false;
  #failure: { error: unknown } | undefined;
  #names = 0;
  #extents = 0;

  constructor(shape: Shape, seed: number) {
    this.#shape = shape;
    this.#random = seeded(seed);
    this.#weights = Object.entries({ ...WEIGHTS, ...shape.weights }) as [keyof Weights, number][];
    this.#totalWeight = this.#weights.reduce((sum, [, weight]) => sum + weight, 0);
    this.#draw = new Draw(shape, this.#random, (what) => this.#count(what));
  }

  // ---- running --------------------------------------------------------------------------------------------

  /** Runs until enough operations are committed, then compares, checks and closes. */
  async run(): Promise<void> {
    await this.#open(this.#file);
    for (let i = 0; i < this.#shape.tables; i++) await this.#finish(this.#create());
    while (this.operations < this.#shape.operations) {
      let roll = this.#random.int(this.#totalWeight);
      const [action] = this.#weights.find(([, weight]) => (roll -= weight) < 0)!;
      this.action = action;
      await this.#actions[action]();
      this.#watch();
    }
    this.action = "the end";
    await this.#reopen();
    await this.#check();
    await this.#reopen();
    await this.#quiet();
    this.#tally();
    await this.#finish(this.#store.close());
  }

  #count(what: string, times = 1): void {
    this.reached.set(what, (this.reached.get(what) ?? 0) + times);
  }

  /** Waits for a promise; lets time pass when nothing else happens. */
  async #finish<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const end = (): void => {
      settled = true;
    };
    promise.then(end, end);
    for (let turns = 1; !settled; turns++) {
      await null;
      if (turns % 500 === 0) this.#environment.advance(1);
      if (turns === TURNS_MAX) throw new Error("a promise of the store does not settle");
    }
    if (this.#failure) throw this.#failure.error;
    return await promise;
  }

  /** Goes on beside a promise; its error ends the run. */
  #beside(promise: Promise<unknown>): void {
    const watched = promise.catch((error) => {
      this.#failure ??= { error };
    }).finally(() => this.#background.delete(watched));
    this.#background.add(watched);
  }

  async #quiet(): Promise<void> {
    await this.#finish(Promise.all(this.#background));
  }

  async #ticks(most: number): Promise<void> {
    for (let turns = this.#random.int(most); turns > 0; turns--) await null;
  }

  /** Everything issued is acknowledged. */
  #settled(): void {
    this.#model.settle(this.#store.durableSequence, this.#options().durability === "sync");
  }

  #options(): StoreOptions & { durability: string } {
    return { durability: "sync", ...this.#shape.options };
  }

  async #open(file: MemoryFile): Promise<void> {
    const random = seeded(this.#random.u32());
    const environment = testEnvironment(random.u32());
    // Where checkpoints are slow, commits beside them fill the journal.
    const pace = this.#shape.slow ? 1000 : random.pick([1, 20, 20, 400]);
    environment.yield = async () => {
      for (let turns = 1 + random.int(pace); turns > 0; turns--) await null;
    };
    this.#environment = environment;
    this.#file = file;
    this.#storage = new ModelStorage(file, random, this.#shape.options.pageSize ?? 4096);
    this.#storage.pace = pace;
    const cacheBytes = this.#random.pick(this.#shape.caches);
    const opening = Store.open(this.#storage, { create: true, idleCheckpoint: 0, ...this.#shape.options, cacheBytes, environment });
    this.#store = await this.#finish(opening);
    this.#extents = this.#store.stats().journalExtents;
  }

  /** Takes over what this instance of the store has come across. */
  #tally(): void {
    const { kernel } = this.#store;
    kernel.exports.marks();
    const at = kernel.word(CTRL_OUT_AT) >>> 2;
    MARKS.forEach((name, i) => this.#count(name, kernel.u32[at + i]!));
    this.#count("eviction", kernel.exports.cacheEvictions());
    this.#count("spilled page", kernel.exports.cacheSpills());
    this.#count("journal wrap", this.#storage.wraps);
    this.#count("failed read", this.#storage.failed);
    const { checkpoints, groups } = this.#store.stats();
    this.#count("checkpoint", checkpoints);
    this.#count("group", groups);
  }

  #watch(): void {
    if (this.#failure) throw this.#failure.error;
    const { journalBytes, journalExtents, journalUsed, pinnedPages, spilledPages } = this.#store.stats();
    if (journalUsed > 0.6 * journalBytes) this.#count("journal mostly full");
    if (journalExtents > this.#extents) this.#count("journal growth");
    if (spilledPages > 0) this.#count("spilled between");
    if (pinnedPages > 0) this.#count("pinned between");
    this.#extents = journalExtents;
  }

  #stage(changes: readonly Change[], tooLong = -1): Parameters<Store["commit"]>[0]["stage"] {
    return () =>
      stageRaw(
        this.#store.kernel,
        changes.map((change, i) => {
          const { kind, table } = change;
          const key = i === tooLong ? new Uint8Array(1025) : keyBytes(change.key);
          if (change.kind === "put") return { kind, table, key, value: valueBytes(change.value) };
          return change.kind === "delete" ? { kind, table, key } : { kind, table, key, value: keyBytes(change.upper) };
        }),
      );
  }

  // ---- commits --------------------------------------------------------------------------------------------

  /** Issues a commit that succeeds. */
  #issue(changes: readonly Change[]): Promise<void> {
    this.operations += changes.length;
    const commitId = this.#random.chance(0.1) ? this.#store.newCommitId() : undefined;
    const entry = this.#model.commit(changes);
    const commit = this.#store.commit({ stage: this.#stage(changes), ...commitId === undefined ? {} : { commitId } });
    return commit.then((receipt) => {
      this.#acknowledge(entry, receipt);
      if (commitId !== undefined) {
        assertEquals(receipt.commitId, commitId);
        this.#ids.applied(receipt, entry);
      }
    });
  }

  #acknowledge(entry: Entry, receipt: Receipt): void {
    assertEquals(receipt.sequence, entry.sequence, "the sequence of a receipt");
    if (this.#options().durability === "sync") assert(this.#store.durableSequence >= receipt.sequence, "a receipt before its sync");
    entry.acknowledged = true;
  }

  /** Issues a commit that must fail: a key that is too long stands somewhere among good operations. */
  #issueBad(): Promise<void> {
    const changes = this.#draw.changes(this.#model.tables);
    const commitId = this.#store.newCommitId();
    this.#ids.refused(commitId);
    const commit = this.#store.commit({ stage: this.#stage(changes, this.#random.int(changes.length)), commitId });
    return commit.then(() => {
      throw new Error("a commit with a key that is too long succeeded");
    }, (error) => {
      assert(isManifestError(error) && error.code === "LIMIT", `${error}`);
      this.#count("refused commit");
    });
  }

  async #commitOne(): Promise<void> {
    if (this.#random.chance(0.03)) await this.#finish(this.#issueBad());
    else await this.#finish(this.#issue(this.#draw.changes(this.#model.tables)));
    this.#settled();
  }

  /** Many commits at once, some of them bad; readers come in between. */
  async #commitGroup(): Promise<void> {
    const random = this.#random;
    const pending: Promise<void>[] = [];
    const registry = random.chance(0.15);
    for (let n = random.between(2, random.chance(0.2) ? 60 : 12); n > 0; n--) {
      pending.push(random.chance(0.05) ? this.#issueBad() : this.#issue(this.#draw.changes(this.#model.tables)));
      if (registry) {
        if (random.chance(0.1)) pending.push(this.#create());
        if (random.chance(0.05)) pending.push(this.#drop());
      } else if (random.chance(0.15)) this.#readNewest();
      else if (random.chance(0.1)) this.#hold();
      if (random.chance(0.2)) await this.#ticks(8);
      if (random.chance(0.02)) this.#beside(this.#store.checkpoint());
    }
    if (!registry && random.chance(0.3)) this.#hold();
    await this.#finish(Promise.all(pending));
    this.#settled();
  }

  /** Rows of the applied state, which no receipt has confirmed yet. */
  #readNewest(): void {
    const view = this.#store.newest;
    const { tables } = this.#model.at(view.sequence, () => true);
    for (let i = 0; i < 3; i++) {
      const table = this.#random.pick([...tables.values()]);
      compareRow(view, table, this.#draw.key(table));
    }
    this.#count("read of unconfirmed");
  }

  /** Commits while reads of the storage fail: each either has its receipt or has left nothing. */
  async #commitBesideFaults(): Promise<void> {
    await this.#quiet();
    const all = Array.from({ length: this.#random.between(1, 4) }, () => this.#draw.changes(this.#model.tables));
    // A commit may change tables only as they are now; the reference hears of it when its outcome is known.
    this.#storage.failReads = this.#random.between(1, 3);
    const issued = all.map((changes) => this.#store.commit({ stage: this.#stage(changes) }));
    const outcomes = await this.#finish(Promise.allSettled(issued));
    this.#storage.failReads = 0;
    outcomes.forEach((outcome, i) => {
      if (outcome.status === "fulfilled") {
        this.operations += all[i]!.length;
        const entry = this.#model.commit(all[i]!);
        this.#acknowledge(entry, outcome.value);
      } else {
        const { reason } = outcome;
        assert(isManifestError(reason) && reason.code === "IO_READ" && reason.outcome === "not_applied", `${reason}`);
        this.#count("commit that failed to read");
      }
    });
    assert(!this.#store.readOnly, "a failed read has ended writing");
    this.#settled();
  }

  // ---- tables ---------------------------------------------------------------------------------------------

  #create(): Promise<void> {
    const table: ModelTable = { id: -1, name: `table ${this.#names++}`, schema: `${this.#random.u32()}`, rows: new Rows() };
    const entry = this.#model.create(table);
    return this.#store.createTable(table.name, encoder.encode(table.schema)).then((id) => {
      assert(!this.#model.tables.has(id), "a table id was given twice");
      table.id = id;
      this.#model.created(table);
      entry.acknowledged = true;
    });
  }

  #drop(): Promise<void> {
    if (this.#model.tables.size < 2) return Promise.resolve();
    const { id, name } = this.#draw.table(this.#model.tables);
    const entry = this.#model.drop(id);
    return this.#store.dropTable(name).then(() => {
      entry.acknowledged = true;
    });
  }

  async #createTable(): Promise<void> {
    if (this.#model.tables.size < 2 * this.#shape.tables) await this.#finish(this.#create());
    this.#settled();
  }

  async #dropTable(): Promise<void> {
    if (this.#model.tables.size > this.#shape.tables / 2) await this.#finish(this.#drop());
    this.#settled();
  }

  async #describeTable(): Promise<void> {
    const { id, name } = this.#draw.table(this.#model.tables);
    const schema = `${this.#random.u32()}`;
    const entry = this.#model.describe(id, schema);
    await this.#finish(this.#store.setSchema(name, encoder.encode(schema)));
    entry.acknowledged = true;
    this.#settled();
  }

  /** Every row of a table, or nearly, goes: by range or one by one. */
  async #emptyTable(): Promise<void> {
    const { id, rows } = this.#draw.table(this.#model.tables);
    const [first, last] = [rows.keys[0], rows.keys.at(-1)];
    if (first === undefined || last === undefined) return;
    const changes: Change[] = this.#random.chance(0.5)
      ? [{ kind: "deleteRange", table: id, key: first, upper: last }, { kind: "delete", table: id, key: last }]
      : this.#random.shuffle(rows.keys.slice()).slice(this.#random.int(3)).map((key) => ({ kind: "delete", table: id, key }));
    await this.#finish(this.#issue(changes));
    this.#settled();
  }

  // ---- reading --------------------------------------------------------------------------------------------

  /** A view and the state that it must show. */
  #view(): { view: View; tables: Tables; end(): void } {
    const roll = this.#random.int(4);
    if (roll < 2 && this.#held.length > 0) {
      const { transaction, tables } = this.#random.pick(this.#held);
      if (tables.size > 0) return { view: transaction, tables, end: () => {} };
    }
    if (roll === 2) return { view: this.#store.published, tables: this.#model.tables, end: () => {} };
    const transaction = this.#store.read();
    assertEquals(transaction.sequence, this.#model.sequence, "the sequence of a read transaction");
    return { view: transaction, tables: this.#model.tables, end: () => transaction.close() };
  }

  #readRows(): void {
    const { view, tables, end } = this.#view();
    for (let n = this.#random.between(5, 30); n > 0; n--) {
      const table = this.#random.pick([...tables.values()]);
      const { keys } = table.rows;
      compareRow(view, table, keys.length > 0 && this.#random.chance(0.6) ? this.#random.pick(keys) : this.#draw.key(table));
      this.reads++;
    }
    end();
  }

  #readRanges(): void {
    const { view, tables, end } = this.#view();
    const table = this.#random.pick([...tables.values()]);
    for (let n = this.#random.between(1, 3); n > 0; n--, this.reads++) compareSome(view, table, this.#random, () => this.#draw.key(table));
    end();
  }

  /** Pins what is published now: among unconfirmed commits that is what its sequence says. */
  #hold(): void {
    if (this.#held.length === READERS_MAX) return;
    const transaction = this.#store.read();
    const { sequence } = transaction;
    assert(sequence <= this.#model.sequence, "a reader sees a commit that was never issued");
    const kept = this.#options().durability === "sync" ? this.#model.kept(0, true) : 0;
    const { tables, held } = this.#model.at(sequence, (tables) => sameTables(transaction, tables));
    assert(this.#model.serialOf(held) >= kept || held === 0 && kept === 0, "a reader does not see an acknowledged commit");
    this.#held.push({ transaction, tables });
    this.#count("reader");
  }

  #release(): void {
    if (this.#held.length === 0) return;
    const [{ transaction, tables }] = this.#held.splice(this.#random.int(this.#held.length), 1) as [Held];
    if (this.#random.chance(0.7)) compareAll(transaction, tables, this.#random);
    this.reads++;
    transaction.close();
  }

  #releaseAll(): void {
    for (const { transaction, tables } of this.#held.splice(0)) {
      for (const table of tables.values()) if (this.#random.chance(0.3)) compareTable(transaction, table, this.#random);
      transaction.close();
    }
  }

  #compareAll(): void {
    using transaction = this.#store.read();
    assertEquals(transaction.sequence, this.#model.sequence, "the sequence of the published state");
    compareAll(transaction, this.#model.tables, this.#random);
    this.reads++;
  }

  async #resolve(): Promise<void> {
    await this.#ids.verify(this.#random, this.#store.newest.frame, (id) => this.#finish(this.#store.resolve(id)));
    if (this.#random.chance(0.3)) this.#ids.refused(this.#store.newCommitId());
  }

  // ---- durability -----------------------------------------------------------------------------------------

  async #checkpoint(): Promise<void> {
    if (this.#random.chance(0.5)) this.#beside(this.#store.checkpoint());
    else await this.#finish(this.#store.checkpoint());
  }

  async #compact(): Promise<void> {
    if (this.#compacting) return;
    this.#compacting = true;
    const storage = this.#storage;
    storage.shrinking = true;
    const compacted = this.#store.compact().finally(() => {
      this.#compacting = false;
      storage.shrinking = false;
    });
    this.#count("compaction");
    if (this.#random.chance(0.5)) return this.#beside(compacted);
    await this.#finish(compacted);
    this.#compareAll();
  }

  async #checked(store: Store): Promise<void> {
    const report = await store.check();
    assertEquals(report.problems, [], "the check of the whole file");
    assert(report.ok);
    this.#count("check");
  }

  async #check(): Promise<void> {
    if (this.#random.chance(0.3)) return this.#beside(this.#checked(this.#store));
    await this.#quiet();
    await this.#finish(this.#checked(this.#store));
  }

  async #sync(): Promise<void> {
    await this.#finish(this.#store.sync());
    assertEquals(this.#store.durableSequence, this.#model.sequence, "the durable sequence behind sync");
    this.#model.settle(this.#model.sequence, true);
  }

  async #passTime(): Promise<void> {
    this.#environment.advance(this.#random.int(300));
    await this.#ticks(40);
  }

  async #reopen(): Promise<void> {
    await this.#quiet();
    this.#releaseAll();
    this.#tally();
    await this.#finish(this.#store.close());
    this.#model.settle(this.#model.sequence, true);
    await this.#open(this.#file);
    const { clean, groups, rebuilt } = this.#store.recovery;
    assertEquals([clean, groups, rebuilt.length], [true, 0, 0], "what opening behind an orderly close did");
    this.#count("clean opening");
    this.#compareAll();
  }

  /** The bytes as they are while commits are on their way, some journal blocks destroyed. */
  async #snapshot(): Promise<Snapshot> {
    const random = this.#random;
    const pending = random.chance(0.6)
      ? Array.from({ length: random.between(1, 15) }, () => this.#issue(this.#draw.changes(this.#model.tables)))
      : [];
    if (random.chance(0.2)) this.#beside(this.#store.checkpoint());
    await this.#ticks(random.pick([1, 10, 60, 300]));
    const { durability } = this.#options();
    const kept = this.#model.kept(this.#store.durableSequence, durability === "sync");
    const file = this.#storage.image();
    const damaged = damage(file, this.#storage.groups, random);
    await this.#finish(Promise.all(pending));
    return { file, damaged, kept };
  }

  /** What a store opened on a snapshot must show; how many commits of the log it has. */
  #expected(store: Store, { damaged, kept }: Snapshot): { sequence: number; tables: Tables; held: number } {
    damaged.compare(store.recovery);
    assertEquals([store.recovery.clean, store.recovery.cut], [false, undefined], "what opening behind a crash did");
    this.#count("group replayed", store.recovery.groups);
    this.#count("parity rebuild", store.recovery.rebuilt.length);
    using transaction = store.read();
    const { sequence } = transaction;
    assert(sequence <= this.#model.sequence, "a crash made up commits");
    const { tables, held } = this.#model.at(sequence, (tables) => sameTables(transaction, tables));
    assert(kept === 0 || this.#model.serialOf(held) >= kept, `a crash took a durable commit back: the newest is ${sequence}`);
    compareAll(transaction, tables, this.#random);
    return { sequence, tables, held };
  }

  /** The process is gone: the run goes on with what the file had. */
  async #crash(): Promise<void> {
    const snapshot = await this.#snapshot();
    await this.#quiet();
    this.#releaseAll();
    this.#tally();
    this.#storage.close();
    await this.#open(snapshot.file);
    const { sequence, tables, held } = this.#expected(this.#store, snapshot);
    if (sequence < this.#model.sequence) this.#count("commits taken back", this.#model.sequence - sequence);
    this.#model.fall(sequence, tables, held);
    this.#model.settle(sequence, true);
    this.#count("crash");
    if (tables.size === 0) await this.#finish(this.#create());
  }

  /** A copy of the file is opened beside, for reading only or as a successor would. */
  async #fork(): Promise<void> {
    const snapshot = await this.#snapshot();
    const readOnly = this.#random.chance(0.4);
    const environment = testEnvironment(this.#random.u32());
    const storage = new ModelStorage(snapshot.file, seeded(this.#random.u32()), this.#shape.options.pageSize ?? 4096);
    const options = { ...this.#shape.options, cacheBytes: readOnly ? 64 << 20 : this.#shape.caches[0]!, environment };
    const store = await this.#finish(Store.open(storage, { ...options, idleCheckpoint: 0, readOnly }));
    this.#expected(store, snapshot);
    if (this.#random.chance(0.5) && !readOnly) await this.#finish(this.#checked(store));
    await this.#finish(store.close());
    this.#settled();
    this.#count(readOnly ? "read-only opening" : "fork");
  }
}
