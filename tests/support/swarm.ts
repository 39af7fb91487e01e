// What swarms are drawn from: each seed switches whole features off and exaggerates others, so that rare combinations occur that a mixture of everything never shows.
import type { Random } from "./random.ts";

const KIB = 1 << 10;

/** Weights of which some are 0 and some are exaggerated. Those named in `always` stay above 0. */
export function swarmWeights<T extends object>(random: Random, weights: T, always: readonly (keyof T)[], off: number): T {
  const drawn = Object.entries(weights).map(([name, weight]) => {
    const kept = always.includes(name as keyof T) || !random.chance(off);
    return [name, kept ? Math.max(1, Math.round(weight * random.pick([0.4, 1, 1, 3]))) : 0];
  });
  return Object.fromEntries(drawn) as T;
}

/** A page size, mostly small. */
export function swarmPageSize(random: Random): number {
  const roll = random.int(100);
  return (roll < 72 ? 4 : roll < 86 ? 8 : roll < 97 ? 16 : 64) * KIB;
}

/** Cache sizes: the least that there may be, and others. */
export function swarmCaches(random: Random, pageSize: number): number[] {
  return Array.from({ length: random.between(1, 2) }, () => pageSize * random.pick([64, 64, 80, 160, 256]));
}

/** Durability and how syncs are made. */
export function swarmDurability(random: Random): { durability: "sync" | "relaxed" | "none"; syncMode: "inline" | "async" | "auto" } {
  const roll = random.int(100);
  return {
    durability: roll < 66 ? "sync" : roll < 84 ? "relaxed" : "none",
    syncMode: random.pick(["inline", "async", "async", "auto"] as const),
  };
}
