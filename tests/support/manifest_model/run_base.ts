// What every part of a run of the model of a manifest needs: the manifest, the reference, the clock; opening, and transactions from drawing to receipt.
//
// The clock stands still within an action. Without durability "sync" only transactions are ever in doubt: everything else is synced before and behind.
import { isManifestError, Manifest, type ReadTransaction } from "../../../mod.ts";
import { MemoryFile } from "../../../src/storage/memory.ts";
import { SimDisk } from "../crash_storage.ts";
import { testEnvironment } from "../environment.ts";
import { ModelRunner } from "../model_runner.ts";
import { ModelStorage } from "../model_storage.ts";
import { seeded } from "../random.ts";
import { ModelClock } from "../model_clock.ts";
import { compareTouched } from "./compare.ts";
import { Draw } from "./draw.ts";
import { jobsUnderWay, requeue } from "./jobs.ts";
import { ModelLog } from "./log.ts";
import type { Undo } from "./rows.ts";
import { expectSame } from "./same.ts";
import { ACTIONS, type Shape } from "./shapes.ts";
import { State } from "./state.ts";
import { ModelTransaction } from "./transaction.ts";

const IDS_KEPT = 400;
/** Actions that leave nothing in doubt but transactions, and commit exactly what they say. */
const PLAIN: ReadonlySet<string> = new Set(["commit", "group", "transact", "read", "hold", "release"]);

/** The bytes as they were, and what a manifest opened on them must hold. */
export interface Image {
  readonly file: MemoryFile;
  /** States by their newest change, oldest first: one of them. */
  readonly states: readonly State[];
}

/** What every part of a run needs. */
export abstract class RunBase extends ModelRunner {
  protected readonly shape: Shape;
  protected readonly draw: Draw;
  protected readonly clock: ModelClock;
  protected state: State = new State();
  protected log: ModelLog = new ModelLog();
  protected manifest!: Manifest;
  protected storage!: ModelStorage;
  /** States since the newest that is certainly durable, while commits may be acknowledged and not durable. */
  protected history: State[] = [];
  protected views: { view: ReadTransaction; state: State }[] = [];
  /** Commit ids with their sequence; undefined: not applied. */
  protected ids: { id: string; sequence: number | undefined }[] = [];
  /** The greatest job id that this handle has given out; the least that it may still give out, as the state was before the action. */
  protected reserved = 0;
  protected leastJobId = 1;
  /** Changes since there was a cursor, or since opening. */
  protected changesAlone = 0;
  /** Where the slowest cursor stood at an acknowledge, and the newest change then. */
  protected slowest: { at: number; next: number }[] = [];

  constructor(shape: Shape, seed: number) {
    super(seed, shape.operations, { ...ACTIONS, ...shape.actions });
    this.shape = shape;
    this.draw = new Draw(shape, this.random);
    this.draw.alone = this.syncs;
    this.clock = new ModelClock(shape.clock ?? "right");
    this.draw.onJobId = (id) => this.jobIdGiven(id);
    this.state.note = (what) => this.count(what);
  }

  /** Whether a receipt means durable. */
  protected get syncs(): boolean {
    return (this.shape.options.durability ?? "sync") === "sync";
  }

  /** Compares everything. */
  protected abstract compareAll(): Promise<void>;

  // ---- running ----------------------------------------------------------------------------------------------

  protected override async begin(): Promise<void> {
    await this.open(new MemoryFile(), [this.state], "created");
  }

  override image(): MemoryFile {
    return this.storage.image();
  }

  protected override async prepare(action: string): Promise<void> {
    this.clock.tick(this.random);
    this.leastJobId = this.state.nextJobId;
    if (!PLAIN.has(action)) {
      this.clock.uncertain();
      await this.settle();
    }
    this.state.durable = this.state.sequence;
  }

  protected override async watch(action: string): Promise<void> {
    if (!PLAIN.has(action)) await this.settle();
  }

  /** Makes everything durable, where receipts do not. */
  protected async settle(): Promise<void> {
    if (this.syncs || this.manifest.readOnly) return;
    await this.finish(this.manifest.sync());
    expectSame(this.manifest.stats().durableSequence, this.state.sequence, "the durable change behind a sync");
    this.history = [this.state.copy()];
  }

  /** A call must fail with this code. */
  protected async refuses(code: string, call: () => unknown): Promise<void> {
    let done = false;
    try {
      await this.finish((async () => await call())());
      done = true;
    } catch (error) {
      if (!isManifestError(error)) throw error;
      if (error.code !== code) throw new Error(`a call failed with ${error.code}, ${error.message}, expected ${code}`, { cause: error });
      expectSame(error.outcome, "not_applied", `the outcome of ${code}`);
      this.count(`code ${code}`);
    }
    if (done) throw new Error(`a call succeeded that must fail with ${code}`);
  }

  // ---- opening ----------------------------------------------------------------------------------------------

  /** Opens the bytes: they must hold one of the states. */
  protected async open(file: MemoryFile, states: readonly State[], kind: "created" | "clean" | "crash"): Promise<void> {
    const random = this.random;
    const environment = testEnvironment(random.u32());
    environment.now = () => this.clock.shown;
    this.environment = environment;
    const { options, disk } = this.shape;
    const medium = disk === true ? new SimDisk(file.bytes(), { garbage: random.chance(0.3) }) : file;
    this.storage = new ModelStorage(medium, seeded(random.u32()), options.pageSize ?? 4096);
    const requeueJobs = random.chance(0.85);
    const cacheBytes = random.pick(this.shape.caches);
    if (kind === "crash") this.clock.uncertain();
    if (kind === "created") this.clock.committed(); // its tables
    const manifest = this.manifest = await this.finish(Manifest.open(this.storage, {
      create: true,
      idleCheckpoint: 0,
      ...options,
      cacheBytes,
      requeueJobs,
      environment,
      onEvent: (event) => this.count(`event ${event.type}`),
    }));
    const { created, clean, groups } = manifest.recovery;
    expectSame([created, clean], [kind === "created", kind === "clean"], "what opening did");
    this.count(`open ${kind}`);
    this.count("group replayed", groups);
    const requeued = manifest.requeuedJobs;
    const sequence = manifest.stats().appliedSequence - (requeued.length > 0 ? 1 : 0);
    this.state = states.find((state) => state.sequence === sequence) ??
      fail(`behind a ${kind} the newest change is ${sequence}, expected ${states.map((state) => state.sequence)}`);
    this.log.fall(sequence);
    for (const one of this.ids) if (one.sequence !== undefined && one.sequence > sequence) one.sequence = undefined;
    const wanted = kind === "crash" && requeueJobs ? jobsUnderWay(this.state) : [];
    expectSame(requeued, wanted.toSorted((a, b) => a - b), "the jobs that opening has put back");
    if (wanted.length > 0) {
      this.count("requeued by opening");
      this.applyRequeue(wanted);
    } else if (kind === "crash" && jobsUnderWay(this.state).length > 0) this.count("left under way by opening");
    if (this.state.waiting("condemned").length > 0) this.count(`condemned behind a ${kind}`);
    this.reserved = 0;
    this.leastJobId = this.state.nextJobId;
    this.changesAlone = 0;
    this.slowest = [];
    await this.settle();
    this.state.durable = this.state.sequence;
  }

  /** Takes over what this handle has come across. */
  protected tally(): void {
    const { checkpoints, groups, pageReads } = this.manifest.stats();
    this.count("checkpoint", checkpoints);
    this.count("group", groups);
    this.count("page read", pageReads);
  }

  protected closeViews(): void {
    for (const { view } of this.views.splice(0)) view.close();
  }

  protected async reopen(): Promise<void> {
    this.closeViews();
    this.tally();
    await this.finish(this.manifest.close());
    const file = this.storage.image();
    await this.open(file, [this.state], "clean");
    await this.compareAll();
  }

  /** The process is gone: the run goes on with what the file had. */
  protected async fallBack({ file, states }: Image): Promise<void> {
    this.closeViews();
    this.tally();
    await this.finish(this.manifest.close());
    await this.open(file, states, "crash");
    await this.compareAll();
  }

  // ---- transactions -----------------------------------------------------------------------------------------

  protected drawTransaction(): ModelTransaction {
    const random = this.random;
    const wrong = random.int(100) < this.shape.wrong;
    const most = random.chance(0.05) ? 4 * this.shape.most : this.shape.most;
    return this.made(ModelTransaction.draw(this.manifest, this.state, this.draw, random, most, wrong, this.clock.time));
  }

  /** Notes a transaction that was made. */
  protected made(transaction: ModelTransaction): ModelTransaction {
    const { names, rejection, sequence, origin, generations, shown } = transaction;
    this.operations += names.length;
    if (rejection !== undefined) {
      this.count(`code ${rejection.code}`);
      if (rejection.operation !== undefined) this.count(`rejected ${rejection.operation}`);
      return transaction;
    }
    if (names.length > 0) {
      this.commits++;
      this.clock.committed();
    }
    for (const name of names) this.count(`operation ${name}`);
    for (const { op } of shown) this.count(`shown ${op}`);
    if (sequence > 0) this.logged({ sequence, commitId: transaction.commitId, origin, generations, shown, unordered: false });
    if (!this.syncs && sequence > 0) this.history.push(this.state.copy());
    return transaction;
  }

  protected logged(change: Omit<Parameters<ModelLog["push"]>[0], "committedAt">): void {
    this.log.push({ ...change, committedAt: this.clock.time });
    this.changesAlone++;
  }

  /** Commits a transaction; with `faulty`, storage may fail under it. */
  protected async issue(transaction: ModelTransaction, faulty = false): Promise<void> {
    this.issued(transaction, await transaction.commit(faulty));
  }

  /** Notes what became of a transaction. */
  protected issued({ txn, commitId, sequence, rejection, fault }: ModelTransaction, id: string | undefined): void {
    if (fault !== undefined) return this.remember(txn.commitId, rejection === undefined ? sequence : undefined);
    if (rejection !== undefined) {
      if (commitId !== undefined) this.remember(commitId, undefined);
      return;
    }
    if (sequence === 0) return;
    this.log.at(sequence).commitId = id;
    this.remember(id!, sequence);
  }

  protected remember(id: string, sequence: number | undefined): void {
    this.ids.push({ id, sequence });
    if (this.ids.length > IDS_KEPT) this.ids.shift();
  }

  protected compareTouched(touched: Undo): void {
    compareTouched(this.manifest, this.state, touched);
    this.reads++;
  }

  protected applyRequeue(ids: readonly number[]): void {
    this.state.begin(this.clock.time);
    for (const id of ids) requeue(this.state, id);
    this.state.commit();
    const sequence = ++this.state.sequence;
    const { shown } = this.state;
    this.logged({ sequence, commitId: undefined, origin: undefined, generations: {}, shown, unordered: true });
  }

  protected jobIdGiven(id: number): void {
    if (id <= this.reserved || id < this.leastJobId) throw new Error(`job id ${id} was given out again`);
    this.reserved = id;
  }
}

/** Throws. */
export function fail(reason: string): never {
  throw new Error(reason);
}
