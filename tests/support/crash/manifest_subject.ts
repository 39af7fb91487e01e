// A manifest, and its reference: the model of tests/support/manifest_model/, tables and change log.
import { type ChangePage, Manifest, type ManifestOptions, type Transaction } from "../../../mod.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import type { StoreOptions } from "../../../src/store/store.ts";
import { testEnvironment } from "../environment.ts";
import { compareTableNames, compareTables } from "../manifest_model/compare.ts";
import { Draw } from "../manifest_model/draw.ts";
import { jobsUnderWay, requeue } from "../manifest_model/jobs.ts";
import { type ModelChange, ModelLog } from "../manifest_model/log.ts";
import type { ModelOperation } from "../manifest_model/operation.ts";
import { condemn, keyOf, type ReclaimCall, removeObjects } from "../manifest_model/reclaiming.ts";
import { SHAPES } from "../manifest_model/shapes.ts";
import { State } from "../manifest_model/state.ts";
import { ModelTransaction } from "../manifest_model/transaction.ts";
import type { UserDefinition } from "../manifest_model/user_tables.ts";
import { type Random, seeded } from "../random.ts";
import type { Confirm } from "./history.ts";
import { Subject } from "./subject.ts";

/** A manifest under test with its reference. */
export class ManifestSubject extends Subject<Manifest, State> {
  manifest!: Manifest;
  now = 1_700_000_100_000; // behind the commits that made the file
  /** Options that a store does not have; they count from the next opening on. */
  manifestOptions: ManifestOptions = {};
  readonly #draw: Draw;
  #changes: readonly ModelChange[] = [];
  #state = new State();

  constructor(random: Random, start: Uint8Array, sector: number) {
    super(random, start, sector);
    this.#draw = new Draw({ ...SHAPES.dense!, longest: 120 }, random);
    this.#draw.alone = false;
  }

  /** The state of the reference. */
  get model(): State {
    return this.#state;
  }

  protected override state(): State {
    return this.#state.copy();
  }

  protected override restore(state: State): void {
    this.#state = state.copy();
    this.#changes = this.#changes.slice(0, state.sequence);
  }

  protected override async begin(storage: Storage): Promise<void> {
    const environment = Object.assign(this.environment, { now: () => this.now });
    this.manifest = await Manifest.open(storage, { requeueJobs: false, ...this.options, ...this.manifestOptions, environment });
  }

  protected override confirm(state: State): Confirm<Manifest> {
    const known = this.#changes;
    return async (manifest) => {
      compareTables(manifest, state, seeded(1));
      compareTableNames(manifest, state);
      const { latest, oldest } = manifest.stats().changes;
      if (latest !== state.sequence) throw new Error(`the newest change is ${latest}, expected ${state.sequence}`);
      const changes: ChangePage["changes"][number][] = [];
      for await (const change of manifest.changes()) changes.push(change);
      const page = { cursorId: 0, changes, nextSequence: latest + 1, latestSequence: latest, oldestSequence: oldest } as ChangePage;
      const log = new ModelLog();
      for (const change of known) log.push({ ...change });
      log.compare(manifest, state, page, oldest, latest + 1);
    };
  }

  override async examine(storage: Storage, options: StoreOptions, confirm: Confirm<Manifest>): Promise<void> {
    const environment = Object.assign(testEnvironment(2), { now: () => this.now });
    const manifest = await Manifest.open(storage, { ...options, requeueJobs: false, environment });
    await confirm(manifest);
    const { ok, problems } = await manifest.check({ level: "deep" });
    if (!ok || problems.length > 0) throw new Error(`the check finds ${JSON.stringify(problems.slice(0, 3))}`);
    await manifest.close();
  }

  // ---- transactions -----------------------------------------------------------------------------------------

  /** Lets time pass. */
  tick(milliseconds: number = this.random.int(1000)): void {
    this.now += milliseconds;
    this.#state.durable = this.#state.sequence;
  }

  /** Commits operations that are possible. */
  commit(...operations: readonly ModelOperation[]): Promise<void> {
    return this.#issue(ModelTransaction.make(this.manifest, this.#state, seeded(0), this.now, operations.length, (i) => operations[i]!));
  }

  /** Commits up to `most` random operations, which may turn out to be impossible. */
  some(most: number): Promise<void> {
    return this.#issue(ModelTransaction.draw(this.manifest, this.#state, this.#draw, this.random, most, false, this.now));
  }

  async #issue(transaction: ModelTransaction): Promise<void> {
    const { rejection, sequence, origin, generations, shown, names } = transaction;
    if (rejection !== undefined || names.length === 0) return void await transaction.commit();
    if (sequence > 0) this.#logged(sequence, { origin, generations, shown });
    await this.handOver(() => transaction.commit());
  }

  #logged(sequence: number, { shown, origin, generations = {}, unordered = false }: Partial<ModelChange>): void {
    this.#changes = [...this.#changes, {
      sequence,
      commitId: undefined,
      committedAt: this.now,
      origin,
      generations,
      shown: shown ?? [],
      unordered,
    }];
  }

  /** Does to the reference what something else than a transaction of its own does to the manifest. */
  #apply(change: (state: State) => void, isChange: boolean, unordered = false): void {
    const state = this.#state;
    state.begin(this.now);
    change(state);
    state.commit();
    if (isChange) this.#logged(++state.sequence, { shown: state.shown, unordered });
  }

  /** Runs a read-write transaction; `operations`: what it does in the end. */
  async transact(fn: (txn: Transaction) => void | Promise<void>, ...operations: readonly ModelOperation[]): Promise<void> {
    await this.manifest.transact(fn);
    this.#apply((state) => operations.forEach((operation) => operation.apply(state)), operations.length > 0);
  }

  /** Other transactions have been committed, in this order. */
  committed(...transactions: readonly ModelOperation[]): void {
    for (const operation of transactions) this.#apply((state) => operation.apply(state), true);
    this.settle();
  }

  // ---- change cursors ---------------------------------------------------------------------------------------

  /** Registers a new cursor. */
  async register(name: string, start: "oldest" | "latest" | number = "oldest", maxLag?: number): Promise<number> {
    const { id, nextSequence } = await this.manifest.registerChangeCursor(name, { start, ...maxLag === undefined ? {} : { maxLag } });
    this.#apply((state) => {
      const next = state.meta.get("next_cursor_id")?.number ?? 1;
      if (id !== next) throw new Error(`a new cursor has id ${id}, expected ${next}`);
      state.cursors.set([id], {
        name,
        next: nextSequence,
        createdAt: this.now,
        updatedAt: this.now,
        ...maxLag === undefined ? {} : { maxLag },
      });
      state.meta.set(["next_cursor_id"], { number: id + 1 });
    }, false);
    this.settle();
    return id;
  }

  /** Acknowledges, beside others. */
  async acknowledge(id: number, next: number): Promise<void> {
    await this.manifest.acknowledgeChanges(id, next);
    this.moved(id, next);
    this.settle();
  }

  /** A cursor has moved. */
  moved(id: number, next: number): void {
    const row = this.#state.cursors.get(id)!;
    if (next > row.next) this.#apply((state) => state.cursors.set([id], { ...row, next, updatedAt: this.now }), false);
  }

  /** Ends a cursor. */
  async unregister(id: number): Promise<void> {
    await this.manifest.unregisterChangeCursor(id);
    this.#apply((state) => state.cursors.delete(id), false);
    this.settle();
  }

  // ---- stored objects, jobs, tables -------------------------------------------------------------------------

  /** Reclaims; `fails` says which deletions do, by their number. */
  async reclaim(call: ReclaimCall, fails: (number: number) => boolean = () => false): Promise<void> {
    this.#state.begin(this.now);
    const condemned = condemn(this.#state, call);
    this.#state.commit();
    const done: ReturnType<typeof keyOf>[] = [];
    let number = 0;
    const { limit, ...options } = call;
    const reclaiming = this.manifest.reclaim(limit, (object) => {
      if (number === 0) this.settle(); // condemned, and durable
      if (fails(number++)) throw new Error("not this one");
      done.push(keyOf(object));
    }, { parallel: 1, ...options });
    const [{ status, reason }] = await Promise.allSettled([reclaiming]) as [PromiseRejectedResult];
    if (number !== condemned.length) throw new Error(`${number} objects were deleted, expected ${condemned.length}`);
    if ((status === "rejected") !== (done.length < number)) throw reason ?? new Error("a reclaim succeeded that must fail");
    this.#state.begin(this.now);
    removeObjects(this.#state, done);
    this.#state.commit();
    if (this.#state.shown.length > 0) this.#logged(++this.#state.sequence, { shown: this.#state.shown, unordered: true });
    this.settle();
  }

  /** Puts jobs under way back among those that wait. */
  async requeue(): Promise<void> {
    const ids = await this.manifest.requeueJobs();
    const wanted = jobsUnderWay(this.#state);
    if (ids.join() !== wanted.toSorted((a, b) => a - b).join()) throw new Error(`the jobs ${ids} were put back, expected ${wanted}`);
    if (wanted.length > 0) this.#apply((state) => wanted.forEach((id) => requeue(state, id)), true, true);
    this.settle();
  }

  /** Makes a user table. */
  async make(definition: UserDefinition): Promise<void> {
    await this.manifest.createTable(definition.table);
    this.#apply((state) => state.userTable(definition), false);
    this.settle();
  }

  /** Drops a user table. */
  async drop(definition: UserDefinition): Promise<void> {
    const { name } = definition.table;
    await this.manifest.dropTable(name);
    this.#state.userTables.delete(name);
    this.settle();
  }
}
