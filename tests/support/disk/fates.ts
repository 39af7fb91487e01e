// Which fates are tried for the changes that no sync covers, plain ones first.
//
// 1. nothing lands, everything lands
// 2. all subsets of up to ten changes; of more of them prefixes, each one dropped, each one kept, and pairs of both
// 3. each prefix and suffix of each write in whole sectors, cuts within a sector, growth without data; with the others there, away, and those before it there
// 4. each sector of each write holding zeros, or garbage, where the device may leave such
// 5. random fates for all, without end; they begin beside 3, because only they cut several changes at once
//
// Within 2, and within 3 and 4, the order is random, so that whoever takes only some of them takes others with another seed.
import type { Random } from "../random.ts";
import type { Fate } from "./change.ts";
import type { Write } from "./landing.ts";

/** A change as far as its fate is concerned: only a write can be cut. */
export type Divisible = Write | { readonly kind: "truncate" | "names" };

/** How the device behaves. */
export interface Device {
  /** Bytes that land as one: 512 or 4096. */
  readonly sector: number;
  /** A sector that is being written may end as zeros or as garbage. */
  readonly garbage: boolean;
}

/** All subsets of up to so many changes. */
const SUBSETS = 10;
/** Pairs are tried of up to so many changes. */
const PAIRS = 48;

/** So many plans are made and shuffled together. */
const PLANS = 1000;
/** Of so many images with one change cut there is one with random fates for all. */
const MIXED = 3;

type Others = "keep" | "drop" | "before";

/** The fates of all changes: a subset, or one that differs from the others. */
type Plan =
  | { readonly kept: number }
  | { readonly at: number; readonly fate: Fate; readonly others: Others }
  | { readonly pair: readonly [number, number]; readonly fate: "keep" | "drop" };

/** Fates of the changes, one list after the other; without end unless there are no changes. */
export function* planFates(changes: readonly Divisible[], device: Device, random: Random): Generator<Fate[], void, void> {
  yield changes.map(() => "keep");
  if (changes.length === 0) return;
  yield changes.map(() => "drop");
  for (const plan of random.shuffle([...subsets(changes.length)])) yield fatesOf(plan, changes.length);
  const anything = (): Fate[] => changes.map((change) => randomFate(change, device, random));
  let number = 0;
  for (const plans of [cuts, spoils]) {
    for (const plan of sampled(plans, changes, device, random)) {
      if (changes.length > 1 && ++number % MIXED === 0) yield anything();
      yield fatesOf(plan, changes.length);
    }
  }
  for (;;) yield anything();
}

type Plans = (changes: readonly Divisible[], device: Device, random: Random, first: number) => Generator<Plan, void, void>;

/** The plans of a kind in random order: those of each change for themselves, or, where there are too many to make them all, of some changes at a time. */
function* sampled(plans: Plans, changes: readonly Divisible[], device: Device, random: Random): Generator<Plan, void, void> {
  const order = random.shuffle(changes.map((_, at) => at));
  let some: Plan[] = [];
  for (const at of order) {
    for (const plan of plans(changes, device, random, at)) some.push(plan);
    if (some.length < PLANS) continue;
    yield* random.shuffle(some);
    some = [];
  }
  yield* random.shuffle(some);
}

function fatesOf(plan: Plan, count: number): Fate[] {
  const fates: Fate[] = [];
  for (let i = 0; i < count; i++) {
    if ("kept" in plan) fates.push((plan.kept >>> i) & 1 ? "keep" : "drop");
    else if ("pair" in plan) fates.push((plan.pair[0] === i || plan.pair[1] === i) === (plan.fate === "keep") ? "keep" : "drop");
    else if (plan.at === i) fates.push(plan.fate);
    else fates.push(plan.others === "before" ? i < plan.at ? "keep" : "drop" : plan.others);
  }
  return fates;
}

function* subsets(count: number): Generator<Plan, void, void> {
  if (count <= SUBSETS) {
    for (let kept = 1; kept < (1 << count) - 1; kept++) yield { kept };
    return;
  }
  for (let at = 0; at < count; at++) {
    yield { at, fate: "drop", others: "keep" };
    yield { at, fate: "keep", others: "drop" };
    yield { at, fate: "drop", others: "before" };
  }
  for (let i = 0; i < Math.min(count, PAIRS); i++) {
    for (let j = 0; j < i; j++) {
      yield { pair: [i, j], fate: "drop" };
      yield { pair: [i, j], fate: "keep" };
    }
  }
}

function* cuts(changes: readonly Divisible[], { sector }: Device, random: Random, at: number): Generator<Plan, void, void> {
  const change = changes[at]!;
  if (change.kind !== "write") return;
  const { length } = change.data;
  const fates: Fate[] = ["grow"];
  for (let end = sector - change.at % sector; end < length; end += sector) fates.push({ from: 0, to: end }, { from: end, to: length });
  for (let n = 0; n < 3; n++) fates.push({ from: 0, to: random.int(length) }, { from: random.int(length), to: length });
  const all: readonly Others[] = changes.length === 1 ? ["keep"] : ["keep", "drop", "before"];
  for (const fate of fates) for (const others of all) yield { at, fate, others };
}

function* spoils(changes: readonly Divisible[], { sector, garbage }: Device, random: Random, at: number): Generator<Plan, void, void> {
  const change = changes[at]!;
  if (!garbage || change.kind !== "write") return;
  const sectors = Math.ceil((change.at % sector + change.data.length) / sector);
  for (let spoilt = 0; spoilt < sectors; spoilt++) {
    for (const fill of [0, random.u32() | 1]) {
      yield { at, fate: { spoilt, unit: sector, fill }, others: random.pick(["keep", "drop", "before"]) };
    }
  }
}

function randomFate(change: Divisible, { sector, garbage }: Device, random: Random): Fate {
  const roll = random.int(100);
  if (roll < 40) return "keep";
  if (roll < 70) return "drop";
  if (change.kind !== "write") return "keep";
  const { length } = change.data;
  if (roll < 74) return "grow";
  if (roll < 80) return { from: 0, to: random.int(length + 1) };
  if (roll < 84) return { from: random.int(length), to: length };
  const mask = random.u32();
  return garbage && roll < 92 ? { mask, unit: sector, fill: roll < 88 ? 0 : random.u32() | 1 } : { mask, unit: sector };
}
