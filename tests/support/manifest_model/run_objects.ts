// Reclaiming stored objects with callbacks that fail, meddle and crash; jobs that are put back; ids in reserve.
import { isManifestError, refcounts } from "../../../mod.ts";
import { jobsUnderWay } from "./jobs.ts";
import { condemn, type Deleting, drawCall, keyOf, removeObjects } from "./reclaiming.ts";
import type { Undo } from "./rows.ts";
import type { Image } from "./run_base.ts";
import { RunCursors } from "./run_cursors.ts";
import { expectSame, show } from "./same.ts";
import type { ObjectKey } from "./state.ts";
import { ModelTransaction } from "./transaction.ts";

/** Stored objects and jobs. */
export abstract class RunObjects extends RunCursors {
  /** Condemned objects whose bytes are gone. */
  protected deleted: Set<string> = new Set();

  protected async reclaim(): Promise<void> {
    const random = this.random;
    const call = drawCall(random, this.clock.time);
    const { limit, ...options } = call;
    if (random.chance(0.03)) {
      return await this.refuses("ABORTED", () => this.manifest.reclaim(5, () => {}, { ...options, signal: AbortSignal.abort() }));
    }
    this.state.begin(this.clock.time);
    const condemned = condemn(this.state, call);
    this.state.commit();
    const marked: Undo = [...this.state.undo];
    const gentle = random.chance(0.6);
    const abortAt = random.chance(0.06) ? random.int(condemned.length + 1) : -1;
    const meddleAt = random.chance(0.4) ? random.int(condemned.length + 1) : -1;
    const crashAt = this.syncs && random.chance(0.12) ? random.int(condemned.length + 1) : -1;
    const abort = new AbortController();
    const given: string[] = [];
    const done: ObjectKey[] = [];
    let failed = 0;
    let meddling = false;
    let image: Image | undefined;
    // What the callback finds wrong must not be taken for a deletion that failed.
    let broken: { error: unknown } | undefined;
    const look = async (key: ObjectKey): Promise<void> => {
      const facts = this.state.facts(key);
      if (facts.state !== "condemned") throw new Error(`an object that is ${facts.state} is deleted: ${show(key)}`);
      expectSame(this.manifest.get(refcounts, [...key])?.state, "condemned", "the state of an object while it is deleted");
      given.push(key.join("/"));
      const at = given.length - 1;
      if (at === meddleAt) {
        meddling = true;
        await this.meddle(key);
        meddling = false;
      }
      if (at === crashAt && !meddling) image = { file: this.storage.image(), states: [this.state.copy()] };
      if (at === abortAt) abort.abort();
    };
    const running = this.manifest.reclaim(limit, async (object) => {
      const key = keyOf(object);
      const how: Deleting = gentle ? "done" : random.pick(["done", "fails before", "fails behind"]);
      try {
        await look(key);
      } catch (error) {
        broken ??= { error };
      }
      this.count(`reclaim ${how}`);
      const name = key.join("/");
      if (this.deleted.has(name)) this.count("deleted again");
      if (how !== "fails before") this.deleted.add(name);
      if (how !== "done") {
        failed++;
        throw new Error(how);
      }
      done.push(key);
    }, { ...options, signal: abort.signal });
    const outcome = await this.finish(Promise.allSettled([running]).then(([one]) => one));
    if (broken !== undefined) throw broken.error;
    // What it should have come to.
    this.state.begin(this.clock.time);
    removeObjects(this.state, done);
    for (const key of done) this.deleted.delete(key.join("/"));
    this.state.commit();
    marked.push(...this.state.undo);
    const { shown } = this.state;
    if (shown.length > 0) {
      const sequence = ++this.state.sequence;
      this.logged({ sequence, commitId: undefined, origin: undefined, generations: {}, shown, unordered: true });
      this.count("reclaim with catalog rows");
    }
    // A signal behind the last deletion comes too late.
    const aborted = abort.signal.aborted && given.length < condemned.length;
    if (!aborted) expectSame(given.sort(), condemned.map((key) => key.join("/")).sort(), "the objects that were given to deleteObject");
    if (failed === 0 && !aborted) {
      if (outcome.status === "rejected") throw outcome.reason;
      expectSame(outcome.value, { deleted: done.length, remaining: this.state.waiting("collectable").length }, "what a reclaim has done");
      this.count(
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
      this.count(`code ${code}`);
    }
    this.compareTouched(marked);
    if (image !== undefined) {
      this.count("crash within a reclaim");
      await this.fallBack(image);
    }
  }

  /** Other transactions while an object is being deleted; some name it, which must be refused. */
  protected async meddle(key: ObjectKey): Promise<void> {
    for (let n = this.random.between(1, 3); n > 0; n--) {
      const transaction = this.random.chance(0.5) ? this.drawTransaction() : this.made(
        ModelTransaction.make(this.manifest, this.state, this.random, this.clock.time, 1, () => this.draw.useOf(this.state, key)),
      );
      await this.issue(transaction);
      this.compareTouched(transaction.touched);
    }
    this.count("commit within a reclaim");
  }

  // ---- jobs -------------------------------------------------------------------------------------------------

  protected async requeue(): Promise<void> {
    const under = jobsUnderWay(this.state);
    const startedAt = (id: number): number => {
      const { state } = this.state.jobs.get(id)!;
      return state.is === "in-flight" ? state.startedAt : 0;
    };
    const startedBefore = under.length > 0 && this.random.chance(0.5) ? startedAt(this.random.pick(under)) + this.random.int(2) : undefined;
    const wanted = under.filter((id) => startedBefore === undefined || startedAt(id) < startedBefore);
    const found = await this.finish(this.manifest.requeueJobs(startedBefore === undefined ? {} : { startedBefore }));
    expectSame(found, wanted.toSorted((a, b) => a - b), "the jobs that were put back");
    if (wanted.length > 0) this.applyRequeue(wanted);
    this.compareTouched(wanted.length > 0 ? [...this.state.undo] : []);
    this.count(wanted.length > 0 ? "requeue" : "requeue of nothing");
  }

  protected reserve(): void {
    for (let n = this.random.between(1, 3); n > 0; n--) this.jobIdGiven(this.manifest.reserveJobId());
    this.count("reserved job id");
  }
}
