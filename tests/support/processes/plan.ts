// Which cases a run of the stage has.
import type { StageSize } from "../../stages/stage.ts";
import { RUNTIMES } from "../runtimes.ts";
import type { ProcessCase } from "./cases.ts";
import { STOPS } from "./fence.ts";
import { FAULT_NAMES } from "./injected.ts";
import { MOVES } from "./moved.ts";

/** Calls at which a process is killed on every runtime, from the first on: creation up to the reopened file. */
const EACH = 142;
/** Of the calls behind these, each runtime takes every so many, each others. */
const EVERY = 9;
/** Calls that the workload has at least. */
const CALLS = 320;
const CHAINS = 18;
const ROUNDS = 17;

function exact(seed: number, size: StageSize): ProcessCase[] {
  return RUNTIMES.flatMap((runtime, turn) => {
    const taken = (at: number): boolean =>
      size === "soak" ? (at + seed + turn) % 3 === 0 : at <= EACH || (at + seed + turn * 3) % EVERY === 0;
    return Array.from({ length: CALLS }, (_, i) => i + 1).filter(taken).map((at): ProcessCase => ({ kind: "exact", runtime, at }));
  });
}

function random(seed: number, size: StageSize): ProcessCase[] {
  const chains: ProcessCase[] = [];
  const count = size === "soak" ? 3 * CHAINS : CHAINS;
  const first = seed * 1000;
  for (let i = 0; i < count; i++) chains.push({ kind: "random", seed: first + i, mode: "sync", rounds: ROUNDS });
  for (const mode of ["relaxed", "none"] as const) {
    chains.push({ kind: "random", seed: first + 500 + mode.length, mode, rounds: ROUNDS + 3 });
  }
  return chains;
}

function pairs(): ProcessCase[] {
  return RUNTIMES.flatMap((first) => RUNTIMES.map((second): ProcessCase => ({ kind: "takeover", first, second })));
}

function stops(seed: number): ProcessCase[] {
  return RUNTIMES.flatMap((first, turn): ProcessCase[] => {
    const second = RUNTIMES[(turn + 1 + seed % 2) % RUNTIMES.length]!;
    return [
      { kind: "stopped", first, second },
      ...STOPS.map((place): ProcessCase => ({ kind: "fenced", first, second, place })),
      ...([0, 1] as const).map((copy): ProcessCase => ({ kind: "fenced-checkpoint", first, second, copy, checkpoints: turn })),
    ];
  });
}

function media(seed: number): ProcessCase[] {
  return RUNTIMES.flatMap((runtime, turn): ProcessCase[] => [
    { kind: "interrupted", runtime },
    { kind: "full-medium", runtime },
    { kind: "read-only-medium", runtime },
    ...FAULT_NAMES.map((fault): ProcessCase => ({ kind: "fault", runtime, fault })),
    ...MOVES.map((move): ProcessCase => ({ kind: "moved", first: runtime, second: RUNTIMES[(turn + 1 + seed) % RUNTIMES.length]!, move })),
  ]);
}

/** All cases of a run, in an order that spreads the long ones over its parts. */
export function casesOf(seed: number, size: StageSize): ProcessCase[] {
  const wins = size === "soak" ? 30 : 10;
  const races = (["auto", "auto,claim", "claim"] as const).map((ways): ProcessCase => ({ kind: "race", ways, wins }));
  return [...races, ...pairs(), ...stops(seed), ...media(seed), ...random(seed, size), ...exact(seed, size)];
}
