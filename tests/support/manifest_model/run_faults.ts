// Crashes, and storage that fails: what is there afterwards is a state of the past, and no receipt has lied.
import { isManifestError, Manifest } from "../../../mod.ts";
import { type MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { testEnvironment } from "../environment.ts";
import { compareTables } from "./compare.ts";
import { fail } from "./run_base.ts";
import { RunTransactions } from "./run_transactions.ts";
import { expectSame } from "./same.ts";
import type { State } from "./state.ts";
import type { ModelTransaction } from "./transaction.ts";

/** Crashes and faults. */
export abstract class RunFaults extends RunTransactions {
  /** States that a crash may lead to, the newest included: without durability "sync", all since the last sync. */
  #possible(): State[] {
    return this.syncs ? [this.state.copy()] : this.history.slice();
  }

  /** What a crash leaves: of the process, or of the machine. */
  #wreck(): MemoryFile {
    const power = this.shape.disk === true && this.random.chance(0.6);
    this.count(power ? "power loss" : "process crash");
    return power ? this.storage.powerLoss() : this.storage.image();
  }

  /** Issues some transactions at once. `states` gets the state behind each; `settled` hears of each that is decided. */
  async #issueSome(states: State[], settled: (transaction: ModelTransaction) => void, faulty: boolean): Promise<Promise<void>[]> {
    this.draw.alone = false;
    const issued: Promise<void>[] = [];
    for (let n = this.random.between(1, 12); n > 0; n--) {
      const transaction = this.drawTransaction();
      if (transaction.sequence > 0) states.push(this.state.copy());
      issued.push(this.issue(transaction, faulty).then(() => settled(transaction)));
      if (this.random.chance(0.3)) await this.ticks(30);
    }
    this.draw.alone = this.syncs;
    return issued;
  }

  protected async crash(): Promise<void> {
    if (this.random.chance(0.3)) return await this.fallBack({ file: this.#wreck(), states: this.#possible() });
    const states = this.#possible();
    let acknowledged = this.syncs ? this.state.sequence : 0;
    const issued = await this.#issueSome(states, ({ sequence }) => {
      if (this.syncs) acknowledged = Math.max(acknowledged, sequence);
    }, false);
    if (this.random.chance(0.2)) issued.push(this.manifest.checkpoint());
    const ticks = this.random.pick([0, 0, 10, 60]);
    if (ticks > 0) await this.ticks(ticks);
    const kept = Math.max(acknowledged, this.manifest.stats().durableSequence);
    const file = this.#wreck();
    await this.finish(Promise.all(issued));
    const { sequence } = this.state;
    await this.fallBack({ file, states: states.filter((state) => state.sequence >= kept) });
    if (this.state.sequence < sequence) this.count("commits taken back");
  }

  // ---- storage that fails -----------------------------------------------------------------------------------

  /** Reads or a write fail, or the disk is full, while transactions are committed one after the other: each has its receipt or has left nothing, and behind it everything works as before. */
  protected async fault(): Promise<void> {
    const { random, storage } = this;
    const code = random.pick(["IO_READ", "IO_WRITE", "NO_SPACE"] as const);
    const full = code === "NO_SPACE";
    if (full) storage.room = storage.size() + random.pick([0, 0, 1, 4]) * this.manifest.stats().pageSize;
    this.draw.alone = false;
    for (let n = random.between(1, full ? 16 : 4); n > 0; n--) {
      if (!await this.#commitBeside(code)) return void (this.draw.alone = this.syncs);
      if (full && random.chance(0.2)) await this.#tolerate(code, this.manifest.checkpoint());
      if (full && random.chance(0.05)) await this.#tolerate(code, this.manifest.compact());
    }
    storage.room = Infinity;
    this.draw.alone = this.syncs;
    this.clock.uncertain();
    compareTables(this.manifest, this.state, random);
    await this.commitOne();
    if (full) this.count("room again");
  }

  /** Commits one transaction, which may fail with a code. Returns whether the manifest is still the one that it was. */
  async #commitBeside(code: string): Promise<boolean> {
    const before = this.#possible();
    const transaction = this.drawTransaction();
    if (code === "IO_READ") this.storage.failReads = this.random.between(1, 3);
    if (code === "IO_WRITE") this.storage.failWrites = 1;
    await this.finish(this.issue(transaction, true));
    this.storage.failReads = this.storage.failWrites = 0;
    const { fault, rejection, sequence, touched } = transaction;
    if (fault !== undefined) {
      const changes = rejection === undefined && sequence > 0;
      this.count(`code ${code}`);
      expectSame(fault.code, code, "the code of storage that fails");
      if (changes && fault.outcome === "unknown" && code === "IO_WRITE") {
        this.count("unknown outcome");
        await this.#abandon([...before, this.state.copy()]);
        return false;
      }
      expectSame(fault.outcome, "not_applied", "the outcome of storage that fails");
      if (changes) this.#takeBack();
      if (this.random.chance(0.3)) {
        // Nothing of it may come back, whatever was written before the write failed.
        const file = this.#wreck();
        this.storage.room = Infinity;
        await this.fallBack({ file, states: this.#possible() });
        this.count("crash behind a refused commit");
        return false;
      }
    }
    this.compareTouched(touched);
    return true;
  }

  /** The newest transaction has left nothing. */
  #takeBack(): void {
    this.state.rollback();
    this.log.fall(--this.state.sequence);
    this.history.pop();
    this.ids.at(-1)!.sequence = undefined;
    this.commits--;
    this.changesAlone--;
  }

  async #tolerate(code: string, promise: Promise<unknown>): Promise<void> {
    const [outcome] = await this.finish(Promise.allSettled([promise]));
    if (outcome!.status === "fulfilled") return;
    const { reason } = outcome as PromiseRejectedResult;
    if (!isManifestError(reason) || reason.code !== code) throw reason;
    this.count(`maintenance ${code}`);
  }

  /** A sync fails: writing has ended, what it was about is unknown until the file is opened again, and what was said not to be applied never is. */
  protected async breakdown(): Promise<void> {
    const states = this.#possible();
    const before = this.state.sequence;
    this.storage.failSync();
    const decided: ModelTransaction[] = [];
    const issued = await this.#issueSome(states, (transaction) => void decided.push(transaction), true);
    await this.finish(Promise.all(issued));
    for (const act of [() => this.manifest.sync(), () => this.manifest.checkpoint()]) {
      if (!this.manifest.readOnly) await this.finish(act().catch(() => {}));
    }
    if (!this.manifest.readOnly) fail("a failed sync has not ended writing");
    this.count("failed sync");
    let kept = this.syncs ? before : 0;
    let limit = Infinity;
    for (const { sequence, fault, rejection } of decided) {
      if (rejection !== undefined || sequence === 0) continue;
      if (fault === undefined) kept = this.syncs ? Math.max(kept, sequence) : kept;
      else if (fault.outcome === "not_applied") limit = Math.min(limit, sequence);
      else this.count("unknown outcome");
      if (fault !== undefined) this.count(`code ${fault.code}`);
    }
    kept = Math.max(kept, this.manifest.stats().durableSequence);
    // The handle goes on reading what was published.
    {
      using view = this.manifest.read();
      const seen = states.find(({ sequence }) => sequence === view.sequence) ?? fail(`the handle shows change ${view.sequence}`);
      compareTables(view, seen, this.random);
    }
    await this.#abandon(states.filter(({ sequence }) => sequence >= kept && sequence < limit));
  }

  /** Writing has ended: nothing can be committed, and the run goes on with what the file has. */
  async #abandon(states: readonly State[]): Promise<void> {
    await this.refuses("READ_ONLY", () => this.manifest.begin().putDb(1, { name: "x" }).commit());
    await this.fallBack({ file: this.#wreck(), states });
    await this.resolve();
  }

  /** A copy of the file is opened for reading only. */
  protected async readOnly(): Promise<void> {
    const environment = testEnvironment(this.random.u32());
    const storage = new MemoryStorage(this.storage.image(), { readOnly: true });
    const manifest = await this.finish(Manifest.open(storage, { readOnly: true, cacheBytes: 16 << 20, environment }));
    expectSame([manifest.readOnly, manifest.requeuedJobs], [true, []], "what opening for reading only did");
    expectSame(manifest.latestChangeSequence(), this.state.sequence, "the newest change of a copy");
    compareTables(manifest, this.state, this.random);
    await this.refuses("READ_ONLY", () => manifest.begin().putDb(1, { name: "x" }).commit());
    const report = await this.finish(manifest.check({ level: "deep" }));
    expectSame(report.problems, [], "the check of a copy");
    await this.finish(manifest.close());
    this.count("open read-only");
  }
}
