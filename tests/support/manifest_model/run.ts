// One run of the model of a manifest: seeded transactions, cursors, reclaims, crashes and reopenings on a manifest and on the reference, side by side.
//
// Everything runs in microtasks, so that a seed replays exactly; a promise that does not settle is an error. The clock stands still within an action.
import { isManifestError, Manifest, memoryStorage, type ReadTransaction, refcounts } from "../../../mod.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { type TestEnvironment, testEnvironment } from "../environment.ts";
import { ModelStorage } from "../model_storage.ts";
import { type Random, seeded } from "../random.ts";
import { compareList, compareTableNames, compareTables, compareTouched, compareUserRange } from "./compare.ts";
import { Draw } from "./draw.ts";
import { jobsUnderWay, requeue } from "./jobs.ts";
import { ModelLog } from "./log.ts";
import { condemn, type Deleting, drawCall, keyOf, removeObjects } from "./reclaiming.ts";
import type { Undo } from "./rows.ts";
import { expectSame, show } from "./same.ts";
import { ACTIONS, type Actions, type Shape } from "./shapes.ts";
import { type ObjectKey, State } from "./state.ts";
import { ModelTransaction } from "./transaction.ts";
import { USER_DEFINITIONS } from "./user_tables.ts";

const VIEWS_MAX = 3;
const IDS_KEPT = 400;
/** A promise that is not settled after so many microtasks never will be. */
const TURNS_MAX = 20_000_000;
/** The log may be longer than what it keeps by so many changes. */
const LOG_SLACK = 70;
/** Deletes so many changes at a time: a log that is longer shrinks in steps. */
const LOG_STEP = 4000;

/** The bytes as they were, and what a manifest opened on them must hold. */
interface Image {
  readonly file: MemoryFile;
  /** States by their newest change, oldest first: one of them. */
  readonly states: readonly State[];
}

/** One run. */
export class ModelRun {
  /** Operations asked for, rows and lists compared, and what was come across, by name. */
  operations = 0;
  reads = 0;
  readonly reached = new Map<string, number>();
  /** The last action, for the error message. */
  action = "open";
  readonly #shape: Shape;
  readonly #random: Random;
  readonly #draw: Draw;
  readonly #actions: Readonly<Record<keyof Actions, () => void | Promise<void>>> = {
    commit: () => this.#commitOne(),
    group: () => this.#commitGroup(),
    empty: () => this.#commitNothing(),
    cursor: () => this.#registerOrEnd(),
    fetch: () => this.#fetch(),
    acknowledge: () => this.#acknowledge(),
    reclaim: () => this.#reclaim(),
    requeue: () => this.#requeue(),
    reserve: () => this.#reserve(),
    table: () => this.#table(),
    misuse: () => this.#misuse(),
    resolve: () => this.#resolve(),
    read: () => this.#readSome(),
    hold: () => this.#hold(),
    release: () => this.#release(),
    compare: () => this.#compareAll(),
    check: () => this.#check(),
    checkpoint: () => this.#checkpoint(),
    reopen: () => this.#reopen(),
    crash: () => this.#crash(),
    readOnly: () => this.#readOnly(),
  };
  readonly #weights: readonly [keyof Actions, number][];
  readonly #totalWeight: number;
  #state = new State();
  #log = new ModelLog();
  #manifest!: Manifest;
  #storage!: ModelStorage;
  #environment!: TestEnvironment;
  #now = 1_700_000_000_000;
  #views: { view: ReadTransaction; state: State }[] = [];
  /** Commit ids with their sequence; undefined: not applied. */
  #ids: { id: string; sequence: number | undefined }[] = [];
  /** The greatest job id that this handle has given out; the least that it may still give out, as the state was before the action. */
  #reserved = 0;
  #leastJobId = 1;
  /** Condemned objects whose bytes are gone. */
  #deleted = new Set<string>();
  #oldest = 1;
  /** The log was cut so far for cursors that have done it. */
  #cut = 1;
  /** Changes since there was a cursor, or since opening. */
  #changesAlone = 0;
  /** Where the slowest cursor stood at an acknowledge, and the newest change then. */
  #slowest: { at: number; next: number }[] = [];

  constructor(shape: Shape, seed: number) {
    this.#shape = shape;
    this.#random = seeded(seed);
    this.#draw = new Draw(shape, this.#random);
    this.#weights = Object.entries({ ...ACTIONS, ...shape.actions }) as [keyof Actions, number][];
    this.#totalWeight = this.#weights.reduce((sum, [, weight]) => sum + weight, 0);
    this.#draw.onJobId = (id) => this.#jobIdGiven(id);
    this.#state.note = (what) => this.#count(what);
  }

  // ---- running ----------------------------------------------------------------------------------------------

  /** Runs until enough operations were asked for, then compares, checks, reopens and closes. */
  async run(): Promise<void> {
    await this.#open(new MemoryFile(), [this.#state], "created");
    while (this.operations < this.#shape.operations) {
      let roll = this.#random.int(this.#totalWeight);
      const [action] = this.#weights.find(([, weight]) => (roll -= weight) < 0)!;
      this.action = action;
      this.#tick();
      await this.#actions[action]();
    }
    this.action = "the end";
    await this.#compareAll();
    await this.#check();
    await this.#reopen();
    this.#tally();
    this.#count("unreadable change", this.#log.unreadable);
    await this.#finish(this.#manifest.close());
    await this.#refuses("HANDLE_CLOSED", () => this.#manifest.begin().putDb(1, { name: "x" }).commit());
  }

  #count(what: string, times = 1): void {
    this.reached.set(what, (this.reached.get(what) ?? 0) + times);
  }

  /** Lets time pass. */
  #tick(): void {
    this.#leastJobId = this.#state.nextJobId;
    this.#state.durable = this.#state.sequence;
    const random = this.#random;
    if (random.chance(0.4)) this.#now += random.int(random.chance(0.1) ? 50_000 : 1000);
    if (this.#shape.backwards && random.chance(0.03)) this.#now -= random.int(20_000);
  }

  /** Waits for a promise. */
  async #finish<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const end = (): void => {
      settled = true;
    };
    promise.then(end, end);
    for (let turns = 1; !settled; turns++) {
      await null;
      if (turns % 500 === 0) this.#environment.advance(1);
      if (turns === TURNS_MAX) throw new Error("a promise of the manifest does not settle");
    }
    return await promise;
  }

  async #ticks(most: number): Promise<void> {
    for (let turns = this.#random.int(most); turns > 0; turns--) await null;
  }

  /** A call must fail with this code. */
  async #refuses(code: string, call: () => unknown): Promise<void> {
    let done = false;
    try {
      await this.#finish((async () => await call())());
      done = true;
    } catch (error) {
      if (!isManifestError(error)) throw error;
      if (error.code !== code) throw new Error(`a call failed with ${error.code}, ${error.message}, expected ${code}`, { cause: error });
      expectSame(error.outcome, "not_applied", `the outcome of ${code}`);
      this.#count(`code ${code}`);
    }
    if (done) throw new Error(`a call succeeded that must fail with ${code}`);
  }

  // ---- opening ----------------------------------------------------------------------------------------------

  /** Opens the bytes: they must hold one of the states. */
  async #open(file: MemoryFile, states: readonly State[], kind: "created" | "clean" | "crash"): Promise<void> {
    const random = this.#random;
    const environment = testEnvironment(random.u32());
    environment.now = () => this.#now;
    this.#environment = environment;
    const { options } = this.#shape;
    this.#storage = new ModelStorage(file, seeded(random.u32()), options.pageSize ?? 4096);
    const requeueJobs = random.chance(0.85);
    const cacheBytes = random.pick(this.#shape.caches);
    const opening = Manifest.open(this.#storage, { create: true, idleCheckpoint: 0, ...options, cacheBytes, requeueJobs, environment });
    const manifest = this.#manifest = await this.#finish(opening);
    const { created, clean, groups } = manifest.recovery;
    expectSame([created, clean], [kind === "created", kind === "clean"], "what opening did");
    this.#count(`open ${kind}`);
    this.#count("group replayed", groups);
    const requeued = manifest.requeuedJobs;
    const sequence = manifest.latestChangeSequence() - (requeued.length > 0 ? 1 : 0);
    this.#state = states.find((state) => state.sequence === sequence) ??
      fail(`behind a ${kind} the newest change is ${sequence}, expected ${states.map((state) => state.sequence)}`);
    this.#log.fall(sequence);
    for (const one of this.#ids) if (one.sequence !== undefined && one.sequence > sequence) one.sequence = undefined;
    const wanted = kind === "crash" && requeueJobs ? jobsUnderWay(this.#state) : [];
    expectSame(requeued, wanted.toSorted((a, b) => a - b), "the jobs that opening has put back");
    if (wanted.length > 0) {
      this.#count("requeued by opening");
      this.#applyRequeue(wanted);
    } else if (kind === "crash" && jobsUnderWay(this.#state).length > 0) this.#count("left under way by opening");
    if (this.#state.waiting("condemned").length > 0) this.#count(`condemned behind a ${kind}`);
    this.#reserved = 0;
    this.#leastJobId = this.#state.nextJobId;
    this.#changesAlone = 0;
    this.#slowest = [];
  }

  /** Takes over what this handle has come across. */
  #tally(): void {
    const { checkpoints, groups, pageReads } = this.#manifest.stats();
    this.#count("checkpoint", checkpoints);
    this.#count("group", groups);
    this.#count("page read", pageReads);
  }

  #closeViews(): void {
    for (const { view } of this.#views.splice(0)) view.close();
  }

  async #reopen(): Promise<void> {
    this.#closeViews();
    this.#tally();
    await this.#finish(this.#manifest.close());
    const file = this.#storage.image();
    await this.#open(file, [this.#state], "clean");
    await this.#compareAll();
  }

  /** The process is gone: the run goes on with what the file had. */
  async #fallBack({ file, states }: Image): Promise<void> {
    this.#closeViews();
    this.#tally();
    await this.#finish(this.#manifest.close());
    await this.#open(file, states, "crash");
    await this.#compareAll();
  }

  async #crash(): Promise<void> {
    if (this.#random.chance(0.3)) return await this.#fallBack({ file: this.#storage.image(), states: [this.#state.copy()] });
    this.#draw.alone = false;
    const states = [this.#state.copy()];
    const issued: Promise<unknown>[] = [];
    let acknowledged = this.#state.sequence;
    for (let n = this.#random.between(1, 12); n > 0; n--) {
      const transaction = this.#drawTransaction();
      if (transaction.sequence > 0) states.push(this.#state.copy());
      issued.push(
        this.#issue(transaction).then(() => {
          acknowledged = Math.max(acknowledged, transaction.sequence);
        }),
      );
      if (this.#random.chance(0.3)) await this.#ticks(30);
    }
    this.#draw.alone = true;
    if (this.#random.chance(0.2)) issued.push(this.#manifest.checkpoint());
    const ticks = this.#random.pick([0, 0, 10, 60]);
    if (ticks > 0) await this.#ticks(ticks);
    const kept = acknowledged;
    const file = this.#storage.image();
    await this.#finish(Promise.all(issued));
    const { sequence } = this.#state;
    await this.#fallBack({ file, states: states.filter((state) => state.sequence >= kept) });
    if (this.#state.sequence < sequence) this.#count("commits taken back");
  }

  /** A copy of the file is opened for reading only. */
  async #readOnly(): Promise<void> {
    const environment = testEnvironment(this.#random.u32());
    const storage = new MemoryStorage(this.#storage.image(), { readOnly: true });
    const manifest = await this.#finish(Manifest.open(storage, { readOnly: true, cacheBytes: 16 << 20, environment }));
    expectSame([manifest.readOnly, manifest.requeuedJobs], [true, []], "what opening for reading only did");
    expectSame(manifest.latestChangeSequence(), this.#state.sequence, "the newest change of a copy");
    compareTables(manifest, this.#state, this.#random);
    await this.#refuses("READ_ONLY", () => manifest.begin().putDb(1, { name: "x" }).commit());
    const report = await this.#finish(manifest.check({ level: "deep" }));
    expectSame(report.problems, [], "the check of a copy");
    await this.#finish(manifest.close());
    this.#count("open read-only");
  }

  // ---- transactions -----------------------------------------------------------------------------------------

  #drawTransaction(): ModelTransaction {
    const random = this.#random;
    const wrong = random.int(100) < this.#shape.wrong;
    const most = random.chance(0.05) ? 4 * this.#shape.most : this.#shape.most;
    return this.#made(ModelTransaction.draw(this.#manifest, this.#state, this.#draw, random, most, wrong, this.#now));
  }

  /** Notes a transaction that was made. */
  #made(transaction: ModelTransaction): ModelTransaction {
    const { names, rejection, sequence, origin, generations, shown } = transaction;
    this.operations += names.length;
    if (rejection !== undefined) {
      this.#count(`code ${rejection.code}`);
      if (rejection.operation !== undefined) this.#count(`rejected ${rejection.operation}`);
      return transaction;
    }
    for (const name of names) this.#count(`operation ${name}`);
    for (const { op } of shown) this.#count(`shown ${op}`);
    if (sequence > 0) this.#logged({ sequence, commitId: transaction.commitId, origin, generations, shown, unordered: false });
    return transaction;
  }

  #logged(change: Omit<Parameters<ModelLog["push"]>[0], "issuedAt">): void {
    this.#log.push({ ...change, issuedAt: this.#now });
    this.#changesAlone++;
  }

  async #issue(transaction: ModelTransaction): Promise<void> {
    const id = await transaction.commit();
    const { commitId, sequence, rejection } = transaction;
    if (rejection !== undefined) {
      if (commitId !== undefined) this.#remember(commitId, undefined);
      return;
    }
    if (sequence === 0) return;
    this.#log.at(sequence).commitId = id;
    this.#remember(id!, sequence);
  }

  #remember(id: string, sequence: number | undefined): void {
    this.#ids.push({ id, sequence });
    if (this.#ids.length > IDS_KEPT) this.#ids.shift();
  }

  async #commitOne(): Promise<void> {
    const transaction = this.#drawTransaction();
    await this.#finish(this.#issue(transaction));
    this.#compareTouched(transaction.touched);
  }

  #compareTouched(touched: Undo): void {
    compareTouched(this.#manifest, this.#state, touched);
    this.reads++;
  }

  /** Several transactions at once; readers and an acknowledge come in between. */
  async #commitGroup(): Promise<void> {
    const random = this.#random;
    this.#draw.alone = false;
    const states = random.chance(0.25) ? [this.#state.copy()] : undefined;
    const issued: Promise<unknown>[] = [];
    const touched: Undo = [];
    for (let n = random.between(2, random.chance(0.1) ? 40 : 8); n > 0; n--) {
      const transaction = this.#drawTransaction();
      touched.push(...transaction.touched);
      issued.push(this.#issue(transaction));
      if (transaction.sequence > 0) states?.push(this.#state.copy());
      if (random.chance(0.3)) await this.#ticks(20);
      if (states !== undefined && random.chance(0.3)) this.#compareBetween(states);
      if (random.chance(0.02)) issued.push(this.#manifest.checkpoint());
    }
    this.#draw.alone = true;
    await this.#finish(Promise.all(issued));
    this.#compareTouched(touched);
    this.#count("group of transactions");
  }

  /** What is durable while others are on their way: one of the states. */
  #compareBetween(states: readonly State[]): void {
    using view = this.#manifest.read();
    const state = states.find(({ sequence }) => sequence === view.sequence) ?? fail(`a reader sees change ${view.sequence}`);
    compareTables(view, state, this.#random);
    this.#count("read between commits");
  }

  /** A transaction without operations. */
  async #commitNothing(): Promise<void> {
    const txn = this.#manifest.begin();
    if (this.#random.chance(0.5)) txn.bumpGeneration(1, 0).adjustRefcount({ originDb: 1, chunkId: 1, generation: 1 }, 0);
    const receipt = await this.#finish(txn.commit());
    const generations = Object.fromEntries(this.#state.generations.all().map(({ key, value }) => [key[0], value.generation]));
    expectSame([receipt.sequence, receipt.generations], [0, generations], "the receipt of nothing");
    expectSame(this.#manifest.latestChangeSequence(), this.#state.sequence, "the newest change behind nothing");
    this.#count("commit of nothing");
  }

  /** What commits have become, by their id. */
  async #resolve(): Promise<void> {
    for (let n = 3; n > 0 && this.#ids.length > 0; n--) {
      const { id, sequence } = this.#random.pick(this.#ids);
      const found = await this.#finish(this.#manifest.resolve(id));
      if (found.state === "expired") this.#count("resolve expired");
      else if (sequence === undefined) expectSame(found, { state: "not_applied" }, `what became of ${id}`);
      else expectSame({ ...found, frame: 0 }, { state: "applied", sequence, frame: 0 }, `what became of ${id}`);
      this.#count(`resolve ${found.state}`);
    }
    const abandoned = this.#manifest.begin();
    if (this.#random.chance(0.3)) this.#remember(abandoned.commitId, undefined);
  }

  // ---- cursors ----------------------------------------------------------------------------------------------

  #cursorIds(): number[] {
    return this.#state.cursors.all().map(({ key }) => key[0] as number);
  }

  async #registerOrEnd(): Promise<void> {
    const ids = this.#cursorIds();
    if (ids.length > 0 && this.#random.chance(ids.length > 3 ? 0.8 : 0.4)) return await this.#end(this.#random.pick(ids));
    await this.#register(`consumer ${this.#random.int(6)}`);
  }

  async #register(name: string): Promise<number> {
    const random = this.#random;
    const { oldest, latest } = this.#compareLogBounds();
    const start = random.pick(["oldest", "latest", random.int(latest + 3)] as const);
    const there = this.#state.cursors.all().find(({ value }) => value.name === name);
    const found = await this.#finish(this.#manifest.registerChangeCursor(name, { start }));
    const common = { name, latestSequence: latest, oldestSequence: oldest };
    if (there !== undefined) {
      expectSame(found, { ...common, id: there.key[0], nextSequence: there.value.next }, "a cursor that was there");
      this.#count("cursor registered again");
      return found.id;
    }
    const id = this.#state.meta.get("next_cursor_id")?.number ?? 1;
    const next = start === "oldest" ? oldest : start === "latest" ? latest + 1 : Math.min(Math.max(start, oldest), latest + 1);
    const gap = typeof start === "number" && Math.max(start, 1) < oldest ? { first: Math.max(start, 1), last: oldest - 1 } : undefined;
    expectSame(found, { ...common, id, nextSequence: next, gap }, `a new cursor from ${start}`);
    this.#state.begin(this.#now);
    this.#state.cursors.set([id], { name, next, createdAt: this.#now, updatedAt: this.#now });
    this.#state.meta.set(["next_cursor_id"], { number: id + 1 });
    this.#compareTouched([...this.#state.undo]);
    this.#count(gap === undefined ? `cursor from ${typeof start === "number" ? "a sequence" : start}` : "cursor with a gap");
    return id;
  }

  async #end(id: number): Promise<void> {
    this.#compareLogBounds();
    await this.#finish(this.#manifest.unregisterChangeCursor(id));
    this.#state.begin(this.#now);
    this.#state.cursors.delete(id);
    this.#compareTouched([...this.#state.undo]);
    this.#slowest = [];
    this.#changesAlone = 0;
    this.#cut = this.#oldest;
    this.#count("cursor ended");
    await this.#refuses("CURSOR_UNKNOWN", () => this.#manifest.fetchChangePage(id));
    await this.#refuses("CURSOR_UNKNOWN", () => this.#manifest.acknowledgeChanges(id, 1));
    await this.#refuses("CURSOR_UNKNOWN", () => this.#manifest.unregisterChangeCursor(id));
  }

  /** A page of changes of some cursor. */
  async #fetch(): Promise<void> {
    const ids = this.#cursorIds();
    if (ids.length === 0) return;
    await this.#page(this.#random.pick(ids), this.#random.pick([1, 3, 20, 100]));
  }

  async #page(id: number, size: number): Promise<number> {
    const { next } = this.#state.cursors.get(id)!;
    const page = await this.#finish(this.#manifest.fetchChangePage(id, size));
    expectSame(page.cursorId, id, "the cursor of a page");
    this.reads++;
    return this.#log.compare(this.#manifest, this.#state, page, next, size, !this.#shape.backwards);
  }

  async #acknowledge(): Promise<void> {
    const random = this.#random;
    const ids = this.#cursorIds();
    if (ids.length === 0) return;
    const id = random.pick(ids);
    const row = this.#state.cursors.get(id)!;
    const latest = this.#state.sequence;
    if (random.chance(0.1)) {
      return await this.#refuses("INVALID_ARGUMENT", () => this.#manifest.acknowledgeChanges(id, latest + 2 + random.int(3)));
    }
    const size = random.pick([1, 10, 100, 1000]);
    const to = random.chance(0.1) ? random.int(row.next + 1) : random.chance(0.3) ? latest + 1 : await this.#page(id, size);
    const found = await this.#finish(this.#manifest.acknowledgeChanges(id, to));
    const next = Math.max(row.next, to);
    this.#state.begin(this.#now);
    if (to > row.next) this.#state.cursors.set([id], { ...row, next, updatedAt: this.#now });
    expectSame(
      { ...found, oldestSequence: 0 },
      { id, name: row.name, nextSequence: next, latestSequence: latest, oldestSequence: 0 },
      "an acknowledge",
    );
    this.#compareTouched([...this.#state.undo]);
    expectSame(this.#manifest.latestChangeSequence(), latest, "the newest change behind an acknowledge");
    if (to > row.next) this.#slowest.push({ at: latest, next: Math.min(...this.#state.cursors.all().map(({ value }) => value.next)) });
    this.#compareLogBounds();
    this.#count(to > row.next ? "acknowledge" : "acknowledge that goes back");
  }

  /** The log holds what it must, and not much more. */
  #compareLogBounds(): { oldest: number; latest: number } {
    const { latest, oldest } = this.#manifest.stats().changes;
    expectSame(latest, this.#state.sequence, "the newest change");
    if (oldest < this.#oldest) throw new Error(`the log begins at ${oldest} again, behind ${this.#oldest}`);
    const { changes = 1024, bytes = 1 << 20 } = this.#shape.options.logRetention ?? {};
    const keep = Math.max(1, changes);
    const cursors = this.#state.cursors.all();
    if (cursors.length > 0) {
      const slowest = Math.min(...cursors.map(({ value }) => value.next));
      if (oldest > slowest) throw new Error(`the log begins at ${oldest} and a cursor stands at ${slowest}`);
      const due = this.#slowest.filter(({ at }) => latest - at >= LOG_SLACK);
      for (const { next } of due) {
        if (oldest < next && latest - oldest < LOG_STEP) {
          throw new Error(`the log begins at ${oldest}, and all cursors have come to ${next}`);
        }
      }
      if (due.length > 0) this.#count("log cut for cursors");
      this.#slowest = this.#slowest.filter(({ at }) => latest - at < LOG_SLACK);
      this.#changesAlone = 0;
      this.#cut = oldest;
    } else {
      if (oldest > Math.max(this.#cut, latest)) throw new Error("the newest change is gone");
      if (bytes > 1 << 20 && oldest > Math.max(this.#cut, latest - keep + 1)) {
        throw new Error(`the log begins at ${oldest}, and the newest ${keep} changes up to ${latest} are to be kept`);
      }
      if (this.#changesAlone > LOG_SLACK && latest - oldest + 1 > keep + LOG_SLACK && latest - oldest < LOG_STEP) {
        throw new Error(`the log has ${latest - oldest + 1} changes, and the newest ${keep} are to be kept`);
      }
      if (oldest > this.#oldest) this.#count("log cut by retention");
    }
    this.#oldest = oldest;
    this.#log.truncate(oldest);
    return { oldest, latest };
  }

  /** Everything that the log holds for some cursor; without one, one is registered for it. */
  async #compareLog(): Promise<void> {
    this.#compareLogBounds();
    const ids = this.#cursorIds();
    const id = ids.length === 0 ? await this.#register("comparer") : this.#random.pick(ids);
    const { next } = this.#state.cursors.get(id)!;
    const size = Math.max(1, this.#state.sequence - next + 1);
    await this.#page(id, size);
    if (ids.length === 0) await this.#end(id);
  }

  // ---- stored objects ---------------------------------------------------------------------------------------

  async #reclaim(): Promise<void> {
    const random = this.#random;
    const call = drawCall(random, this.#now);
    const { limit, ...options } = call;
    if (random.chance(0.03)) {
      return await this.#refuses("ABORTED", () => this.#manifest.reclaim(5, () => {}, { ...options, signal: AbortSignal.abort() }));
    }
    this.#state.begin(this.#now);
    const condemned = condemn(this.#state, call);
    this.#state.commit();
    const marked: Undo = [...this.#state.undo];
    const gentle = random.chance(0.6);
    const abortAt = random.chance(0.06) ? random.int(condemned.length + 1) : -1;
    const meddleAt = random.chance(0.4) ? random.int(condemned.length + 1) : -1;
    const crashAt = random.chance(0.12) ? random.int(condemned.length + 1) : -1;
    const abort = new AbortController();
    const given: string[] = [];
    const done: ObjectKey[] = [];
    let failed = 0;
    let meddling = false;
    let image: Image | undefined;
    // What the callback finds wrong must not be taken for a deletion that failed.
    let broken: { error: unknown } | undefined;
    const look = async (key: ObjectKey): Promise<void> => {
      const facts = this.#state.facts(key);
      if (facts.state !== "condemned") throw new Error(`an object that is ${facts.state} is deleted: ${show(key)}`);
      expectSame(this.#manifest.get(refcounts, [...key])?.state, "condemned", "the state of an object while it is deleted");
      given.push(key.join("/"));
      const at = given.length - 1;
      if (at === meddleAt) {
        meddling = true;
        await this.#meddle(key);
        meddling = false;
      }
      if (at === crashAt && !meddling) image = { file: this.#storage.image(), states: [this.#state.copy()] };
      if (at === abortAt) abort.abort();
    };
    const running = this.#manifest.reclaim(limit, async (object) => {
      const key = keyOf(object);
      const how: Deleting = gentle ? "done" : random.pick(["done", "fails before", "fails behind"]);
      try {
        await look(key);
      } catch (error) {
        broken ??= { error };
      }
      this.#count(`reclaim ${how}`);
      const name = key.join("/");
      if (this.#deleted.has(name)) this.#count("deleted again");
      if (how !== "fails before") this.#deleted.add(name);
      if (how !== "done") {
        failed++;
        throw new Error(how);
      }
      done.push(key);
    }, { ...options, signal: abort.signal });
    const outcome = await this.#finish(Promise.allSettled([running]).then(([one]) => one));
    if (broken !== undefined) throw broken.error;
    // What it should have come to.
    this.#state.begin(this.#now);
    removeObjects(this.#state, done);
    for (const key of done) this.#deleted.delete(key.join("/"));
    this.#state.commit();
    marked.push(...this.#state.undo);
    const { shown } = this.#state;
    if (shown.length > 0) {
      const sequence = ++this.#state.sequence;
      this.#logged({ sequence, commitId: undefined, origin: undefined, generations: {}, shown, unordered: true });
      this.#count("reclaim with catalog rows");
    }
    // A signal behind the last deletion comes too late.
    const aborted = abort.signal.aborted && given.length < condemned.length;
    if (!aborted) expectSame(given.sort(), condemned.map((key) => key.join("/")).sort(), "the objects that were given to deleteObject");
    if (failed === 0 && !aborted) {
      if (outcome.status === "rejected") throw outcome.reason;
      expectSame(outcome.value, { deleted: done.length, remaining: this.#state.waiting("collectable").length }, "what a reclaim has done");
      this.#count(
        condemned.length === 0 ? "reclaim of nothing" : condemned.length === call.limit ? "reclaim up to the limit" : "reclaim of all",
      );
    } else {
      if (outcome.status === "fulfilled") throw new Error("a reclaim succeeded that must fail");
      const { reason } = outcome;
      if (!isManifestError(reason)) throw reason;
      const code = failed > 0 ? "CALLBACK_FAILED" : "ABORTED";
      const found = { code: reason.code, outcome: reason.outcome, deleted: reason.detail.deleted, failed: reason.detail.failed };
      expectSame(
        found,
        { code, outcome: done.length > 0 ? "applied" : "not_applied", deleted: done.length, failed },
        "the error of a reclaim",
      );
      this.#count(`code ${code}`);
    }
    this.#compareTouched(marked);
    if (image !== undefined) {
      this.#count("crash within a reclaim");
      await this.#fallBack(image);
    }
  }

  /** Other transactions while an object is being deleted; some name it, which must be refused. */
  async #meddle(key: ObjectKey): Promise<void> {
    for (let n = this.#random.between(1, 3); n > 0; n--) {
      const transaction = this.#random.chance(0.5) ? this.#drawTransaction() : this.#made(
        ModelTransaction.make(this.#manifest, this.#state, this.#random, this.#now, 1, () => this.#draw.useOf(this.#state, key)),
      );
      await this.#issue(transaction);
      this.#compareTouched(transaction.touched);
    }
    this.#count("commit within a reclaim");
  }

  // ---- jobs -------------------------------------------------------------------------------------------------

  #applyRequeue(ids: readonly number[]): void {
    this.#state.begin(this.#now);
    for (const id of ids) requeue(this.#state, id);
    this.#state.commit();
    const sequence = ++this.#state.sequence;
    const { shown } = this.#state;
    this.#logged({ sequence, commitId: undefined, origin: undefined, generations: {}, shown, unordered: true });
  }

  async #requeue(): Promise<void> {
    const under = jobsUnderWay(this.#state);
    const startedAt = (id: number): number => {
      const { state } = this.#state.jobs.get(id)!;
      return state.is === "in-flight" ? state.startedAt : 0;
    };
    const startedBefore = under.length > 0 && this.#random.chance(0.5)
      ? startedAt(this.#random.pick(under)) + this.#random.int(2)
      : undefined;
    const wanted = under.filter((id) => startedBefore === undefined || startedAt(id) < startedBefore);
    const found = await this.#finish(this.#manifest.requeueJobs(startedBefore === undefined ? {} : { startedBefore }));
    expectSame(found, wanted.toSorted((a, b) => a - b), "the jobs that were put back");
    if (wanted.length > 0) this.#applyRequeue(wanted);
    this.#compareTouched(wanted.length > 0 ? [...this.#state.undo] : []);
    this.#count(wanted.length > 0 ? "requeue" : "requeue of nothing");
  }

  #jobIdGiven(id: number): void {
    if (id <= this.#reserved || id < this.#leastJobId) throw new Error(`job id ${id} was given out again`);
    this.#reserved = id;
  }

  #reserve(): void {
    for (let n = this.#random.between(1, 3); n > 0; n--) this.#jobIdGiven(this.#manifest.reserveJobId());
    this.#count("reserved job id");
  }

  // ---- tables and wrong calls -------------------------------------------------------------------------------

  /** Makes or drops a user table. */
  async #table(): Promise<void> {
    const random = this.#random;
    const { userTables } = this.#state;
    if (userTables.size > 0 && random.chance(0.35)) {
      const name = random.pick([...userTables.keys()]);
      await this.#finish(this.#manifest.dropTable(random.chance(0.5) ? name : userTables.get(name)!.definition.table));
      userTables.delete(name);
      this.#count("table dropped");
      await this.#refuses("TABLE_UNKNOWN", () => this.#manifest.dropTable(name));
    } else {
      const definition = random.pick(USER_DEFINITIONS);
      const there = userTables.get(definition.table.name);
      if (there !== undefined && there.definition.version > definition.version) {
        return await this.#refuses("SCHEMA_TOO_NEW", () => this.#manifest.createTable(definition.table));
      }
      await this.#finish(this.#manifest.createTable(definition.table));
      this.#state.begin(this.#now);
      this.#state.userTable(definition);
      this.#count(there === undefined ? "table made" : there.definition === definition ? "table made again" : "table with more fields");
    }
    compareTableNames(this.#manifest, this.#state);
  }

  /** Calls that are wrong whatever the state. */
  async #misuse(): Promise<void> {
    const random = this.#random;
    const manifest = this.#manifest;
    // deno-lint-ignore no-explicit-any
    const any = (value: unknown): any => value;
    const [id = 1] = this.#cursorIds();
    const txn = manifest.begin();
    switch (random.int(12)) {
      case 0:
        await this.#finish(txn.commit());
        await this.#refuses("TXN_CLOSED", () => txn.putDb(1, { name: "x" }));
        return await this.#refuses("TXN_CLOSED", () => txn.commit());
      case 1:
        txn.putDb(1, { name: "given up" }).rollback();
        return await this.#refuses("TXN_CLOSED", () => txn.commit());
      case 2:
        return await this.#refuses("INVALID_ARGUMENT", () => txn.put(any({}), [1], {}));
      case 3:
        return await this.#refuses("INVALID_ARGUMENT", () => manifest.registerChangeCursor(random.pick(["", any(5), "x".repeat(256)])));
      case 4:
        return await this.#refuses("INVALID_ARGUMENT", () => manifest.fetchChangePage(id, random.pick([0, -1, 0.5, any("5")])));
      case 5:
        return await this.#refuses("CURSOR_UNKNOWN", () => manifest.acknowledgeChanges(1_000_000, 1));
      case 6:
        return await this.#refuses("INVALID_ARGUMENT", () => manifest.reclaim(random.pick([-1, 0.5, any("1")]), () => {}));
      case 7:
        return await this.#refuses("INVALID_ARGUMENT", () => manifest.reclaim(1, any(undefined)));
      case 8:
        return await this.#refuses("INVALID_ARGUMENT", () => manifest.dropTable("db"));
      case 9: {
        const missing = USER_DEFINITIONS.find(({ table }) => !this.#state.userTables.has(table.name));
        if (missing === undefined) return;
        return await this.#refuses("TABLE_UNKNOWN", () => manifest.get(missing.table, this.#draw.userKey(missing)));
      }
      case 10:
        return await this.#refuses("INVALID_ARGUMENT", () => manifest.resolve("x"));
      default:
        return await this.#refuses("INVALID_ARGUMENT", () => Manifest.open(memoryStorage(), { logRetention: { changes: -1 } }));
    }
  }

  // ---- comparing --------------------------------------------------------------------------------------------

  #readSome(): void {
    const random = this.#random;
    const held = this.#views.length > 0 && random.chance(0.2) ? random.pick(this.#views) : undefined;
    const reader = held?.view ?? this.#manifest;
    const state = held?.state ?? this.#state;
    for (let n = random.between(1, 4); n > 0; n--, this.reads++) compareList(reader, state, random);
    const tables = [...state.userTables.values()];
    if (tables.length === 0 || held !== undefined) return;
    const { definition, rows } = random.pick(tables);
    compareUserRange(reader, definition.table, rows, this.#draw.bounds(definition), random.chance(0.5));
  }

  #hold(): void {
    if (this.#views.length === VIEWS_MAX) return;
    const view = this.#manifest.read();
    expectSame(view.sequence, this.#state.sequence, "the sequence of a read transaction");
    this.#views.push({ view, state: this.#state.copy() });
    this.#count("read transaction");
  }

  #release(): void {
    if (this.#views.length === 0) return;
    const [{ view, state }] = this.#views.splice(this.#random.int(this.#views.length), 1) as [{ view: ReadTransaction; state: State }];
    compareTables(view, state, this.#random);
    view.close();
    this.reads++;
  }

  async #compareAll(): Promise<void> {
    compareTables(this.#manifest, this.#state, this.#random);
    compareTableNames(this.#manifest, this.#state);
    await this.#compareLog();
    this.reads++;
    this.#count("comparison of everything");
  }

  async #check(): Promise<void> {
    const report = await this.#finish(this.#manifest.check({ level: "deep" }));
    expectSame(report.problems, [], "the deep check");
    if (!report.ok) throw new Error("the deep check is not ok");
    this.#count("deep check");
  }

  async #checkpoint(): Promise<void> {
    await this.#finish(this.#random.chance(0.8) ? this.#manifest.checkpoint() : this.#manifest.compact());
  }
}

function fail(reason: string): never {
  throw new Error(reason);
}
