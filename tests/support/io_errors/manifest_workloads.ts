// What manifests do while a call fails.
import { databases, type Manifest, snapshots } from "../../../mod.ts";
import { SimDisk } from "../crash_storage.ts";
import { FaultPlan } from "../faulty_storage.ts";
import { acknowledge } from "../manifest_model/cursors.ts";
import { expectSame } from "../manifest_model/same.ts";
import { State } from "../manifest_model/state.ts";
import { drawPlans, ManifestSubject, type Plan } from "./manifest_subject.ts";
import type { AnySubject, Workload } from "./workload.ts";

const SEED = 9;

/** Bytes to begin with, and the state in them. */
interface Base {
  readonly image: Uint8Array;
  readonly state: State;
}

function baseOf(make: (subject: ManifestSubject) => Promise<void>): () => Promise<Base> {
  let made: Promise<Base> | undefined;
  return () =>
    made ??= (async () => {
      const subject = new ManifestSubject(new SimDisk(), new FaultPlan(), [], SEED);
      await make(subject);
      subject.lose();
      const state = subject.stateAfter(new Set(subject.ledger.with("applied")));
      return { image: subject.disk.live(), state };
    })();
}

/** Two cursors, one of which has the whole log before it, and a few of everything. */
async function begin(subject: ManifestSubject): Promise<void> {
  await subject.start();
  for (const name of ["a", "b"]) {
    const { id } = await subject.open.registerChangeCursor(name, { start: "oldest" });
    const now = subject.environment.now();
    subject.base.cursors.set([id], { name, next: 1, createdAt: now, updatedAt: now });
    subject.base.meta.set(["next_cursor_id"], { number: id + 1 });
  }
  subject.base.undo.length = 0;
  for (const plan of drawPlans(subject.base, 6, SEED)) await subject.transaction(plan);
}

/** A file that was closed in order. */
export const closed: () => Promise<Base> = baseOf(async (subject) => {
  await begin(subject);
  await subject.stop();
});

const crashed = baseOf(async (subject) => {
  await begin(subject);
  await subject.attempt(() => subject.open.checkpoint());
  const state = subject.stateAfter(new Set(subject.ledger.with("applied")));
  for (const plan of drawPlans(state, 5, SEED + 1)) await subject.transaction(plan);
});

/** A workload whose transactions are drawn once. */
export function workload(
  run: (subject: ManifestSubject, plans: Plan[]) => Promise<void>,
  base?: () => Promise<Base>,
  Kind: typeof ManifestSubject = ManifestSubject,
): Workload {
  let state = new State();
  let plans: Plan[] | undefined;
  return {
    disk: async () => {
      const made = await base?.();
      if (made !== undefined) state = made.state;
      plans ??= drawPlans(state, 16, SEED + 2);
      return new SimDisk(made?.image);
    },
    subject: (disk, plan, codes, seed) => {
      const subject = new Kind(disk, plan, codes, seed);
      subject.base = state;
      return subject as unknown as AnySubject;
    },
    run: (subject) => run(subject as unknown as ManifestSubject, plans!),
  };
}

async function each(subject: ManifestSubject, plans: readonly Plan[]): Promise<void> {
  for (const plan of plans) await subject.transaction(plan);
}

function together(subject: ManifestSubject, plans: readonly Plan[]): Promise<unknown> {
  return Promise.all(plans.map((plan) => subject.transaction(plan)));
}

/** Reads what a cursor has before it; acknowledges a part. */
async function consume(subject: ManifestSubject, id: number, count: number): Promise<void> {
  let next = 0;
  await subject.attempt(async () => {
    const page = await subject.open.fetchChangePage(id, count);
    let expected = page.nextSequence - page.changes.length;
    for (const change of page.changes) expectSame(change.sequence, expected++, "the next change of a cursor");
    next = page.nextSequence;
  });
  if (next > 0 && subject.ledger.with("unknown").length === 0) await subject.transaction([acknowledge(id, next)]);
}

/** Reclaims: which rows are left depends on how far it got, so only what it must not touch is compared, and the deep check counts everything again. */
class ReclaimSubject extends ManifestSubject {
  protected override compare(manifest: Manifest, kept: ReadonlySet<number>): void {
    const state = this.stateAfter(kept);
    expectSame(manifest.stats().appliedSequence, state.sequence, "the newest change");
    expectSame(manifest.range(databases).toArray(), state.databases.sorted().map(({ key, value }) => [key, value]), "the databases");
    expectSame(manifest.range(snapshots).toArray(), state.snapshots.sorted().map(({ key, value }) => [key, value]), "the snapshots");
  }

  /** Deletes what may be deleted; nothing that a snapshot lists. */
  async reclaim(): Promise<void> {
    await this.attempt(() =>
      this.open.reclaim(100, ({ originDb, chunkId, generation, deltaId }) => {
        const counts = this.stateAfter(new Set(this.ledger.with("applied"))).counts();
        const name = `${originDb}/${chunkId}/${generation}/${deltaId ?? -1}`;
        if (counts.has(name)) throw new Error(`${name} is listed by a snapshot and was to be deleted`);
      }, { unnamedBefore: Number.MAX_SAFE_INTEGER })
    );
  }
}

/** By name. */
export const MANIFEST_WORKLOADS: Readonly<Record<string, Workload>> = {
  "a new manifest": workload(async (subject, plans) => {
    await subject.start();
    await each(subject, plans.slice(0, 2));
    await subject.stop();
  }),
  "transactions": workload(async (subject, plans) => {
    await subject.start();
    await each(subject, plans.slice(0, 7));
    await subject.read();
    await subject.stop();
    await subject.start();
    await each(subject, plans.slice(7, 9));
  }, closed),
  "groups of transactions": workload(async (subject, plans) => {
    await subject.start();
    for (let i = 0; i < 16; i += 4) await together(subject, plans.slice(i, i + 4));
    await subject.attempt(() => subject.open.checkpoint());
    await subject.read();
  }, closed),
  "asynchronous transactions": workload(async (subject, plans) => {
    await subject.start({ syncMode: "async" });
    const waiting: Promise<unknown>[] = [];
    for (const [i, plan] of plans.entries()) {
      waiting.push(subject.transaction(plan));
      if (i % 3 === 0) await undefined;
      if (i % 5 === 4) await Promise.all(waiting.splice(0));
    }
    await Promise.all(waiting);
    await subject.read();
  }, closed),
  "cursors": workload(async (subject, plans) => {
    await subject.start();
    for (let i = 0; i < 4; i++) {
      await each(subject, plans.slice(i * 2, i * 2 + 2));
      await consume(subject, 1 + i % 2, 3);
    }
    await subject.read();
    await subject.stop();
  }, closed),
  "transact": workload(async (subject, plans) => {
    await subject.start();
    for (let i = 0; i < 4; i++) await subject.transact();
    await Promise.all([subject.transaction(plans[0]!), subject.transact(), subject.transact()]);
    await subject.read();
  }, closed),
  "reclaim": workload(
    async (subject, plans) => {
      const reclaiming = subject as ReclaimSubject;
      await subject.start();
      await reclaiming.reclaim();
      await each(subject, plans.slice(0, 2));
      await reclaiming.reclaim();
      await subject.stop();
    },
    closed,
    ReclaimSubject,
  ),
  "relaxed transactions": workload(async (subject, plans) => {
    await subject.start({ durability: "relaxed" });
    await each(subject, plans.slice(0, 4));
    subject.environment.advance(200);
    await subject.attempt(() => subject.open.sync());
    await each(subject, plans.slice(4, 7));
    await subject.stop();
  }, closed),
  "recovery of a manifest": workload(async (subject, plans) => {
    await subject.start();
    await subject.read();
    await each(subject, plans.slice(0, 3));
    subject.lose();
    await subject.start();
    await subject.read();
    await subject.stop();
  }, crashed),
  "compaction of a manifest": workload(async (subject, plans) => {
    await subject.start();
    await each(subject, plans.slice(0, 2));
    await subject.attempt(() => subject.open.compact());
    await each(subject, plans.slice(2, 4));
  }, closed),
};
