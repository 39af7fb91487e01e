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
import { SimDisk } from "./crash_storage.ts";
import { testEnvironment } from "./environment.ts";
import { MARKS } from "./kernel_disk.ts";
import { ModelClock } from "./model_clock.ts";
import { compareAll, compareRow, compareSome, compareTable, sameTables } from "./model_compare.ts";
import { keyBytes } from "./model_keys.ts";
import { damage, type Damaged } from "./model_damage.ts";
import { Draw } from "./model_draw.ts";
import { Ids } from "./model_ids.ts";
import { type Shape, WEIGHTS, type Weights } from "./model_shapes.ts";
import { type Change, type Entry, Model, type ModelTable, Rows, type Tables } from "./model_state.ts";
import { ModelRunner } from "./model_runner.ts";
import { ModelStorage } from "./model_storage.ts";
import { valueBytes } from "./model_value.ts";
import { seeded } from "./random.ts";

const encoder = new TextEncoder();
const READERS_MAX = 6;

interface Held {
  readonly transaction: ReadTransaction;
  readonly tables: Tables;
}

interface Snapshot {
  readonly file: MemoryFile;
  /** Undefined: a power loss, which may tear the newest group. */
  readonly damaged: Damaged | undefined;
  /** Commits up to this serial must be there. */
  readonly kept: number;
}

/** One run. */
export class ModelRun extends ModelRunner {
  readonly #shape: Shape;
  protected override readonly actions: Readonly<Record<keyof Weights, () => void | Promise<void>>> = {
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
    breakdown: () => this.#breakdown(),
    compare: () => this.#compareAll(),
  };
  readonly #draw: Draw;
  readonly #clock: ModelClock;
  /** Time of the newest receipt of this opening. */
  #committedAt = 0;
  readonly #model = new Model();
  readonly #ids = new Ids();
  #store!: Store;
  #storage!: ModelStorage;
  #file = new MemoryFile();
  #held: Held[] = [];
  #compacting = false;
  #names = 0;
  #extents = 0;

  constructor(shape: Shape, seed: number) {
    super(seed, shape.operations, { ...WEIGHTS, ...shape.weights });
    this.#shape = shape;
    this.#clock = new ModelClock(shape.clock ?? "right");
    this.#draw = new Draw(shape, this.random, (what) => this.count(what));
  }

  // ---- running --------------------------------------------------------------------------------------------

  protected override async begin(): Promise<void> {
    await this.#open(this.#file);
    for (let i = 0; i < this.#shape.tables; i++) await this.finish(this.#create());
  }

  override image(): MemoryFile {
    return this.#storage.image();
  }

  protected override prepare(): void {
    this.#clock.tick(this.random);
  }

  protected override async end(): Promise<void> {
    await this.#reopen();
    await this.#check();
    await this.#reopen();
    await this.quiet();
    this.#tally();
    await this.finish(this.#store.close());
  }

  /** Everything issued is acknowledged. */
  #settled(): void {
    this.#model.settle(this.#store.durableSequence, this.#options().durability === "sync");
  }

  #options(): StoreOptions & { durability: string } {
    return { durability: "sync", ...this.#shape.options };
  }

  async #open(file: MemoryFile): Promise<void> {
    const random = seeded(this.random.u32());
    const environment = testEnvironment(random.u32());
    // Where checkpoints are slow, commits beside them fill the journal.
    const pace = this.#shape.slow ? 1000 : random.pick([1, 20, 20, 400]);
    environment.yield = async () => {
      for (let turns = 1 + random.int(pace); turns > 0; turns--) await null;
    };
    environment.now = () => this.#clock.shown;
    this.environment = environment;
    this.#file = file;
    const medium = this.#shape.disk === true ? new SimDisk(file.bytes(), { garbage: random.chance(0.3) }) : file;
    this.#storage = new ModelStorage(medium, random, this.#shape.options.pageSize ?? 4096);
    this.#committedAt = 0;
    this.#storage.pace = pace;
    const cacheBytes = this.random.pick(this.#shape.caches);
    const opening = Store.open(this.#storage, { create: true, idleCheckpoint: 0, ...this.#shape.options, cacheBytes, environment });
    this.#store = await this.finish(opening);
    this.#extents = this.#store.stats().journalExtents;
  }

  /** Takes over what this instance of the store has come across. */
  #tally(): void {
    const { kernel } = this.#store;
    kernel.exports.marks();
    const at = kernel.word(CTRL_OUT_AT) >>> 2;
    MARKS.forEach((name, i) => this.count(name, kernel.u32[at + i]!));
    this.count("eviction", kernel.exports.cacheEvictions());
    this.count("spilled page", kernel.exports.cacheSpills());
    this.count("journal wrap", this.#storage.wraps);
    this.count("failed read", this.#storage.failed);
    const { checkpoints, groups } = this.#store.stats();
    this.count("checkpoint", checkpoints);
    this.count("group", groups);
  }

  protected override watch(): void {
    const { journalBytes, journalExtents, journalUsed, pinnedPages, spilledPages } = this.#store.stats();
    if (journalUsed > 0.6 * journalBytes) this.count("journal mostly full");
    if (journalExtents > this.#extents) this.count("journal growth");
    if (spilledPages > 0) this.count("spilled between");
    if (pinnedPages > 0) this.count("pinned between");
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
    this.commits++;
    const commitId = this.random.chance(0.1) ? this.#store.newCommitId() : undefined;
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
    assert(receipt.committedAt >= this.#committedAt, "the time of a receipt goes back");
    this.#committedAt = receipt.committedAt;
    entry.acknowledged = true;
  }

  /** Issues a commit that must fail: a key that is too long stands somewhere among good operations. */
  #issueBad(): Promise<void> {
    const changes = this.#draw.changes(this.#model.tables);
    const commitId = this.#store.newCommitId();
    this.#ids.refused(commitId);
    const commit = this.#store.commit({ stage: this.#stage(changes, this.random.int(changes.length)), commitId });
    return commit.then(() => {
      throw new Error("a commit with a key that is too long succeeded");
    }, (error) => {
      assert(isManifestError(error) && error.code === "LIMIT", `${error}`);
      this.count("refused commit");
    });
  }

  async #commitOne(): Promise<void> {
    if (this.random.chance(0.03)) await this.finish(this.#issueBad());
    else await this.finish(this.#issue(this.#draw.changes(this.#model.tables)));
    this.#settled();
  }

  /** Many commits at once, some of them bad; readers come in between. */
  async #commitGroup(): Promise<void> {
    const random = this.random;
    const pending: Promise<void>[] = [];
    const registry = random.chance(0.15);
    for (let n = random.between(2, random.chance(0.2) ? 60 : 12); n > 0; n--) {
      pending.push(random.chance(0.05) ? this.#issueBad() : this.#issue(this.#draw.changes(this.#model.tables)));
      if (registry) {
        if (random.chance(0.1)) pending.push(this.#create());
        if (random.chance(0.05)) pending.push(this.#drop());
      } else if (random.chance(0.15)) this.#readNewest();
      else if (random.chance(0.1)) this.#hold();
      if (random.chance(0.2)) await this.ticks(8);
      if (random.chance(0.02)) this.beside(this.#store.checkpoint());
    }
    if (!registry && random.chance(0.3)) this.#hold();
    await this.finish(Promise.all(pending));
    this.#settled();
  }

  /** Rows of the applied state, which no receipt has confirmed yet. */
  #readNewest(): void {
    const view = this.#store.newest;
    const { tables } = this.#model.at(view.sequence, () => true);
    for (let i = 0; i < 3; i++) {
      const table = this.random.pick([...tables.values()]);
      compareRow(view, table, this.#draw.key(table));
    }
    this.count("read of unconfirmed");
  }

  /** Commits while reads of the storage fail, or while it is full: each either has its receipt or has left nothing. */
  async #commitBesideFaults(): Promise<void> {
    await this.quiet();
    const { random } = this;
    const storage = this.#storage;
    const all = Array.from({ length: random.between(1, 4) }, () => this.#draw.changes(this.#model.tables));
    const full = random.chance(0.5);
    const code = full ? "NO_SPACE" : "IO_READ";
    // A commit may change tables only as they are now; the reference hears of it when its outcome is known.
    if (full) storage.room = storage.size() + random.pick([0, 0, 1, 6]) * this.#store.pageSize;
    else storage.failReads = random.between(1, 3);
    const issued = all.map((changes) => this.#store.commit({ stage: this.#stage(changes) }));
    const outcomes = await this.finish(Promise.allSettled(issued));
    storage.failReads = 0;
    outcomes.forEach((outcome, i) => {
      if (outcome.status === "fulfilled") {
        this.operations += all[i]!.length;
        this.commits++;
        const entry = this.#model.commit(all[i]!);
        this.#acknowledge(entry, outcome.value);
      } else this.#refused(outcome.reason, code);
    });
    if (full && random.chance(0.5)) {
      const act = random.chance(0.8) ? this.#store.checkpoint() : this.#store.compact();
      await this.finish(act.catch((error) => this.#refused(error, code, "maintenance")));
    }
    storage.room = Infinity;
    assert(!this.#store.readOnly, `${code} has ended writing`);
    this.#settled();
  }

  #refused(error: unknown, code: string, what = "commit"): void {
    if (!isManifestError(error)) throw error;
    assertEquals(error.outcome, "not_applied");
    // One behind it in the same group has been built on it.
    const behind = error.code === "UNAVAILABLE" && isManifestError(error.cause) && error.cause.code === code;
    if (!behind && error.code !== code) throw error;
    this.count(behind ? `${what} behind ${code}` : `${what} ${code}`);
  }

  /** A sync fails: writing has ended, what it was about is unknown until the file is opened again, and what was said not to be applied never is. */
  async #breakdown(): Promise<void> {
    await this.quiet();
    const known: { id: string; entry: Entry; outcome: string }[] = [];
    this.#storage.failSync();
    const issued: Promise<void>[] = [];
    for (let n = this.random.between(1, 12); n > 0; n--) {
      const changes = this.#draw.changes(this.#model.tables);
      this.operations += changes.length;
      const id = this.#store.newCommitId();
      const entry = this.#model.commit(changes);
      const one = { id, entry, outcome: "applied" };
      known.push(one);
      issued.push(
        this.#store.commit({ stage: this.#stage(changes), commitId: id }).then((receipt) => this.#acknowledge(entry, receipt), (error) => {
          if (!isManifestError(error) || !["SYNC_FAILED", "READ_ONLY"].includes(error.code)) throw error;
          one.outcome = error.outcome;
          this.count(`outcome ${error.outcome}`);
        }),
      );
      if (this.random.chance(0.2)) await this.ticks(8);
    }
    await this.finish(Promise.all(issued));
    for (const act of [() => this.#store.sync(), () => this.#store.checkpoint()]) {
      if (!this.#store.readOnly) await this.finish(act().catch(() => {}));
    }
    assert(this.#store.readOnly, "a failed sync has not ended writing");
    this.count("failed sync");
    const file = this.random.chance(0.5) ? this.#storage.powerLoss() : this.#storage.image();
    await this.#fallBack({ file, damaged: undefined, kept: this.#kept() });
    for (const { id, entry, outcome } of known) {
      const { state } = await this.finish(this.#store.resolve(id));
      assertEquals(state, entry.lost ? "not_applied" : "applied", `what became of a commit whose outcome was ${outcome}`);
      if (outcome === "not_applied") assert(entry.lost, "a commit that was not applied is there");
    }
  }

  // ---- tables ---------------------------------------------------------------------------------------------

  #create(): Promise<void> {
    const table: ModelTable = { id: -1, name: `table ${this.#names++}`, schema: `${this.random.u32()}`, rows: new Rows() };
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
    if (this.#model.tables.size < 2 * this.#shape.tables) await this.finish(this.#create());
    this.#settled();
  }

  async #dropTable(): Promise<void> {
    if (this.#model.tables.size > this.#shape.tables / 2) await this.finish(this.#drop());
    this.#settled();
  }

  async #describeTable(): Promise<void> {
    const { id, name } = this.#draw.table(this.#model.tables);
    const schema = `${this.random.u32()}`;
    const entry = this.#model.describe(id, schema);
    await this.finish(this.#store.setSchema(name, encoder.encode(schema)));
    entry.acknowledged = true;
    this.#settled();
  }

  /** Every row of a table, or nearly, goes: by range or one by one. */
  async #emptyTable(): Promise<void> {
    const { id, rows } = this.#draw.table(this.#model.tables);
    const [first, last] = [rows.keys[0], rows.keys.at(-1)];
    if (first === undefined || last === undefined) return;
    const changes: Change[] = this.random.chance(0.5)
      ? [{ kind: "deleteRange", table: id, key: first, upper: last }, { kind: "delete", table: id, key: last }]
      : this.random.shuffle(rows.keys.slice()).slice(this.random.int(3)).map((key) => ({ kind: "delete", table: id, key }));
    await this.finish(this.#issue(changes));
    this.#settled();
  }

  // ---- reading --------------------------------------------------------------------------------------------

  /** A view and the state that it must show. */
  #view(): { view: View; tables: Tables; end(): void } {
    const roll = this.random.int(4);
    if (roll < 2 && this.#held.length > 0) {
      const { transaction, tables } = this.random.pick(this.#held);
      if (tables.size > 0) return { view: transaction, tables, end: () => {} };
    }
    if (roll === 2) return { view: this.#store.published, tables: this.#model.tables, end: () => {} };
    const transaction = this.#store.read();
    assertEquals(transaction.sequence, this.#model.sequence, "the sequence of a read transaction");
    return { view: transaction, tables: this.#model.tables, end: () => transaction.close() };
  }

  #readRows(): void {
    const { view, tables, end } = this.#view();
    for (let n = this.random.between(5, 30); n > 0; n--) {
      const table = this.random.pick([...tables.values()]);
      const { keys } = table.rows;
      compareRow(view, table, keys.length > 0 && this.random.chance(0.6) ? this.random.pick(keys) : this.#draw.key(table));
      this.reads++;
    }
    end();
  }

  #readRanges(): void {
    const { view, tables, end } = this.#view();
    const table = this.random.pick([...tables.values()]);
    for (let n = this.random.between(1, 3); n > 0; n--, this.reads++) compareSome(view, table, this.random, () => this.#draw.key(table));
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
    this.count("reader");
  }

  #release(): void {
    if (this.#held.length === 0) return;
    const [{ transaction, tables }] = this.#held.splice(this.random.int(this.#held.length), 1) as [Held];
    if (this.random.chance(0.7)) compareAll(transaction, tables, this.random);
    this.reads++;
    transaction.close();
  }

  #releaseAll(): void {
    for (const { transaction, tables } of this.#held.splice(0)) {
      for (const table of tables.values()) if (this.random.chance(0.3)) compareTable(transaction, table, this.random);
      transaction.close();
    }
  }

  #compareAll(): void {
    using transaction = this.#store.read();
    assertEquals(transaction.sequence, this.#model.sequence, "the sequence of the published state");
    compareAll(transaction, this.#model.tables, this.random);
    this.reads++;
  }

  async #resolve(): Promise<void> {
    await this.#ids.verify(this.random, this.#store.newest.frame, (id) => this.finish(this.#store.resolve(id)));
    if (this.random.chance(0.3)) this.#ids.refused(this.#store.newCommitId());
  }

  // ---- durability -----------------------------------------------------------------------------------------

  async #checkpoint(): Promise<void> {
    if (this.random.chance(0.5)) this.beside(this.#store.checkpoint());
    else await this.finish(this.#store.checkpoint());
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
    this.count("compaction");
    if (this.random.chance(0.5)) return this.beside(compacted);
    await this.finish(compacted);
    this.#compareAll();
  }

  async #checked(store: Store): Promise<void> {
    const report = await store.check();
    assertEquals(report.problems, [], "the check of the whole file");
    assert(report.ok);
    this.count("check");
  }

  async #check(): Promise<void> {
    if (this.random.chance(0.3)) return this.beside(this.#checked(this.#store));
    await this.quiet();
    await this.finish(this.#checked(this.#store));
  }

  async #sync(): Promise<void> {
    await this.finish(this.#store.sync());
    assertEquals(this.#store.durableSequence, this.#model.sequence, "the durable sequence behind sync");
    this.#model.settle(this.#model.sequence, true);
  }

  async #passTime(): Promise<void> {
    this.environment.advance(this.random.int(300));
    await this.ticks(40);
  }

  async #reopen(): Promise<void> {
    await this.quiet();
    this.#releaseAll();
    this.#tally();
    await this.finish(this.#store.close());
    this.#model.settle(this.#model.sequence, true);
    await this.#open(this.#shape.disk === true ? this.#storage.image() : this.#file);
    const { clean, groups, rebuilt } = this.#store.recovery;
    assertEquals([clean, groups, rebuilt.length], [true, 0, 0], "what opening behind an orderly close did");
    this.count("clean opening");
    this.#compareAll();
  }

  /** The bytes as they are while commits are on their way, some journal blocks destroyed. */
  async #snapshot(): Promise<Snapshot> {
    const random = this.random;
    const pending = random.chance(0.6)
      ? Array.from({ length: random.between(1, 15) }, () => this.#issue(this.#draw.changes(this.#model.tables)))
      : [];
    if (random.chance(0.2)) this.beside(this.#store.checkpoint());
    await this.ticks(random.pick([1, 10, 60, 300]));
    if (random.chance(0.6)) { for (let turns = 300; turns > 0 && !this.#storage.unsynced; turns--) await null; }
    const kept = this.#kept();
    const power = this.#shape.disk === true && random.chance(0.6);
    const file = power ? this.#storage.powerLoss() : this.#storage.image();
    const damaged = power ? undefined : damage(file, this.#storage.groups, random);
    this.count(power ? "power loss" : "process crash");
    await this.finish(Promise.all(pending));
    return { file, damaged, kept };
  }

  /** Serial of the newest commit that a crash must leave now. */
  #kept(): number {
    return this.#model.kept(this.#store.durableSequence, this.#options().durability === "sync");
  }

  /** What a store opened on a snapshot must show; how many commits of the log it has. */
  #expected(store: Store, { damaged, kept }: Snapshot): { sequence: number; tables: Tables; held: number } {
    const { clean, cut, groups, rebuilt } = store.recovery;
    assert(!clean, "a crash was taken for an orderly close");
    if (damaged !== undefined) {
      damaged.compare(store.recovery);
      assertEquals(cut, undefined, "what opening has cut off");
    }
    this.count("group replayed", groups);
    this.count("parity rebuild", rebuilt.length);
    if (cut !== undefined) this.count("torn tail");
    using transaction = store.read();
    const { sequence } = transaction;
    assert(sequence <= this.#model.sequence, "a crash made up commits");
    const { tables, held } = this.#model.at(sequence, (tables) => sameTables(transaction, tables));
    assert(kept === 0 || this.#model.serialOf(held) >= kept, `a crash took a durable commit back: the newest is ${sequence}`);
    compareAll(transaction, tables, this.random);
    return { sequence, tables, held };
  }

  /** The process is gone: the run goes on with what the file had. */
  async #crash(): Promise<void> {
    const snapshot = await this.#snapshot();
    await this.quiet();
    await this.#fallBack(snapshot);
  }

  async #fallBack(snapshot: Snapshot): Promise<void> {
    this.#releaseAll();
    this.#tally();
    this.#storage.close();
    this.#clock.uncertain();
    await this.#open(snapshot.file);
    const { sequence, tables, held } = this.#expected(this.#store, snapshot);
    if (sequence < this.#model.sequence) this.count("commits taken back", this.#model.sequence - sequence);
    this.#model.fall(sequence, tables, held);
    this.#model.settle(sequence, true);
    this.count("crash");
    if (tables.size === 0) await this.finish(this.#create());
  }

  /** A copy of the file is opened beside, for reading only or as a successor would. */
  async #fork(): Promise<void> {
    const snapshot = await this.#snapshot();
    const readOnly = this.random.chance(0.4);
    const environment = testEnvironment(this.random.u32());
    const storage = new ModelStorage(snapshot.file, seeded(this.random.u32()), this.#shape.options.pageSize ?? 4096);
    const options = { ...this.#shape.options, cacheBytes: readOnly ? 64 << 20 : this.#shape.caches[0]!, environment };
    const store = await this.finish(Store.open(storage, { ...options, idleCheckpoint: 0, readOnly }));
    this.#expected(store, snapshot);
    if (this.random.chance(0.5) && !readOnly) await this.finish(this.#checked(store));
    await this.finish(store.close());
    this.#settled();
    this.count(readOnly ? "read-only opening" : "fork");
  }
}
