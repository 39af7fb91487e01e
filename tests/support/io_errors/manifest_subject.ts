// A manifest under a fault. The model is the reference of the manifest's own tests: operations are drawn once, and applied to it in the order in which the commits that were kept had been issued.
import { type ErrorCode, Manifest, type Reader, walStates } from "../../../mod.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import type { TestEnvironment } from "../environment.ts";
import { compareTables } from "../manifest_model/compare.ts";
import { ACKNOWLEDGE } from "../manifest_model/cursors.ts";
import { Draw } from "../manifest_model/draw.ts";
import type { ModelOperation } from "../manifest_model/operation.ts";
import { expectSame } from "../manifest_model/same.ts";
import type { Shape } from "../manifest_model/shapes.ts";
import { Refusal, State } from "../manifest_model/state.ts";
import { put } from "../manifest_model/user_rows.ts";
import { USER_DEFINITIONS } from "../manifest_model/user_tables.ts";
import { seeded } from "../random.ts";
import type { Entry } from "./ledger.ts";
import { Subject, type SubjectOptions } from "./subject.ts";

/** The time stands still: what a row says of it is the same whatever has failed before. */
const NOW = 1_700_000_000_000;
const MARKERS = USER_DEFINITIONS.find(({ table }) => table.name === "growing")!;

const SHAPE: Shape = {
  seed: 0,
  operations: 0,
  options: {},
  caches: [],
  databases: 3,
  chunks: 4,
  generations: 3,
  snapshots: 3,
  jobs: 6,
  most: 5,
  longest: 200,
  wrong: 0,
  families: { jobs: 0 }, // their ids depend on what this handle has given out
};

/** A transaction of the plan. */
export type Plan = readonly ModelOperation[];

/** Draws transactions, each on what the ones before it give. */
export function drawPlans(base: State, count: number, seed: number): Plan[] {
  const random = seeded(seed);
  const draw = new Draw(SHAPE, random);
  draw.alone = false;
  const state = base.copy();
  return Array.from({ length: count }, () => {
    draw.begin(state);
    state.begin(NOW);
    const plan = [];
    for (let i = random.between(1, SHAPE.most); i > 0; i--) {
      const operation = draw.operation(state);
      plan.push(operation);
      try {
        operation.apply(state);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
      }
    }
    state.commit();
    return plan;
  });
}

/** Applies a transaction; why it is not possible, if it is not. */
export function applyPlan(state: State, plan: Plan): ErrorCode | undefined {
  state.begin(NOW);
  state.durable = state.sequence;
  try {
    for (const operation of plan) operation.apply(state);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    state.rollback();
    return error.code;
  }
  state.commit();
  if (plan.some(({ name }) => name !== ACKNOWLEDGE)) state.sequence++;
  return undefined;
}

/** A run of a manifest. */
export class ManifestSubject extends Subject<Manifest> {
  /** What was there before the first commit. */
  base = new State();
  /** States by the commits that they hold. */
  readonly #states = new Map<string, State>();
  /** Commits of `transact`, whose ids nobody knows: told by their row. */
  readonly #unnamed = new Map<number, string>();
  readonly #plans: Plan[] = [];

  protected override openHandle(storage: Storage, options: SubjectOptions, environment: TestEnvironment): Promise<Manifest> {
    environment.now = () => NOW;
    return Manifest.open(storage, {
      create: options.readOnly !== true,
      idleCheckpoint: 0,
      syncMode: "inline",
      cacheBytes: 1 << 18,
      requeueJobs: false,
      ...options,
      environment,
    });
  }

  protected override async problems(handle: Manifest): Promise<readonly unknown[]> {
    // The log can be read without a gap, up to the newest change.
    let next = handle.stats().changes.oldest;
    for await (const change of handle.changes()) expectSame(change.sequence, next++, "the next change");
    expectSame(next, handle.latestChangeSequence() + 1, "the end of the log");
    return (await handle.check({ level: "deep" })).problems;
  }

  /** Commits a transaction of the plan. */
  async transaction(plan: Plan): Promise<boolean> {
    this.goOn();
    const txn = this.open.begin();
    this.#plans.push(plan);
    for (const operation of plan) operation.add(txn);
    return await this.commit(txn.commitId, () => txn.commit());
  }

  /** Commits a transaction that reads first. */
  async transact(): Promise<boolean> {
    this.goOn();
    const number = this.#plans.length;
    const plan = [put(MARKERS, [`transact ${number}`], { n: number })];
    this.#plans.push(plan);
    this.#unnamed.set(number, `transact ${number}`);
    const before = number === 0 ? [] : [`transact ${number - 1}`];
    return await this.commit("", () =>
      this.open.transact((txn) => {
        for (const key of before) txn.get(MARKERS.table, [key]);
        txn.listWalStates().toArray();
        for (const operation of plan) operation.add(txn);
      }));
  }

  protected override commitOne(): Promise<unknown> {
    const number = this.ledger.entries.length;
    return this.transaction([put(MARKERS, [`last ${number}`], { n: number })]);
  }

  protected override async isApplied(handle: Manifest, entry: Entry): Promise<boolean> {
    const key = this.#unnamed.get(entry.number);
    if (key === undefined) return await super.isApplied(handle, entry);
    return handle.listTables().some(({ name }) => name === MARKERS.table.name) && handle.has(MARKERS.table, [key]);
  }

  /** The state after some commits. */
  stateAfter(kept: ReadonlySet<number>): State {
    const numbers = [...kept].sort((a, b) => a - b);
    const key = numbers.join();
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    const state = this.base.copy();
    for (const number of numbers) {
      const refused = applyPlan(state, this.#plans[number]!);
      if (refused !== undefined) throw new Error(`commit ${number} was applied, and must be refused with ${refused}`);
    }
    this.#states.set(key, state);
    return state;
  }

  protected override refusalOf(kept: ReadonlySet<number>, number: number): ErrorCode | undefined {
    const before = new Set([...kept].filter((one) => one < number));
    return applyPlan(this.stateAfter(before).copy(), this.#plans[number]!);
  }

  protected override compare(manifest: Manifest, kept: ReadonlySet<number>): void {
    const state = this.stateAfter(kept);
    expectSame(manifest.stats().appliedSequence, state.sequence, "the newest change");
    compareTables(manifest as unknown as Reader, state, seeded(kept.size));
    expectSame(manifest.listWalStates().toArray().length, manifest.count(walStates), "the list of log states");
  }
}
