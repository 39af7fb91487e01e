// Processes killed at random moments, one after another in one file, each on another runtime than the one before.
//
// When a process dies is counted in lines that it has printed, not in milliseconds, so a seed visits the same phases on a fast and on a slow machine: opening, recovery, the check, commits alone and in
// groups, batches and values beyond the journal, checkpoints, compaction. A file that fails is kept as it was before the process that found it.
import { copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { DurabilityMode } from "../../../mod.ts";
import { startChild } from "../proof_child.ts";
import type { HistoryShape } from "../proof_history.ts";
import { type Random, seeded } from "../random.ts";
import { type RuntimeName, RUNTIMES } from "../runtimes.ts";

/** The program that is killed. */
export const HISTORY_SCRIPT = "tests/support/children/process_history.ts";
/** What its transactions are like. */
export const KILL_SHAPE: HistoryShape = { keys: 200, longest: 120_000, bigEvery: 40, batchEvery: 40 };

const FAILURES = ".build/failures";
/** Newest transactions whose ids are asked for. */
const ASKED = 40;

/** What is known about a file from outside. */
export interface Knowledge {
  acknowledged: number;
  /** Ids by number, of the newest transactions that were begun. */
  readonly begun: Map<number, string>;
}

/** One file and the processes that were killed on it. */
export interface KillChain {
  readonly seed: number;
  readonly mode: DurabilityMode;
  readonly rounds: number;
}

/** A round that failed, with what makes it again. */
export class KillFailure extends Error {
  readonly flags: Readonly<Record<string, string | number>>;

  constructor(message: string, flags: Readonly<Record<string, string | number>>) {
    super(message);
    this.flags = flags;
  }
}

/** When a process is killed: behind so many lines, or behind the first line of these that begins with a word. */
interface Moment {
  readonly lines: number;
  readonly word?: string;
}

/** One process on a file: killed at a moment. Returns the lines; throws when it ends by itself. */
export async function killedRun(
  runtime: RuntimeName,
  path: string,
  { seed, mode }: Omit<KillChain, "rounds">,
  acknowledged: number,
  ids: string,
  moment: Moment,
): Promise<readonly string[]> {
  let seen = 0;
  const child = startChild(runtime, HISTORY_SCRIPT, [path, seed, acknowledged, ids, mode], (line, self) => {
    if (++seen >= moment.lines && line.startsWith(moment.word ?? "")) self.kill();
  });
  const code = await child.ended();
  if (code !== null) throw new Error(`the process ended by itself (${code}): ${child.errorText.slice(-3000)}`);
  return child.lines;
}

/** Learns from the lines of a process. */
function learn(known: Knowledge, lines: readonly string[]): void {
  // Numbers that the file did not hold are given again: what was begun under them is settled.
  if (lines.some((line) => line.startsWith("checked "))) known.begun.clear();
  for (const line of lines) {
    const [word, number, id] = line.split(" ");
    if (word === "ack") known.acknowledged = Math.max(known.acknowledged, Number(number));
    if (word === "begin") known.begun.set(Number(number), id!);
  }
  for (const number of [...known.begun.keys()].slice(0, -ASKED)) known.begun.delete(number);
}

function draw(random: Random, round: number): Moment {
  if (round === 0) return { lines: random.between(1, 3) }; // while the file is made
  if (random.chance(0.2)) return { lines: random.between(1, 4) };
  if (random.chance(0.25)) return { lines: 4, word: "checkpoint" };
  return { lines: random.between(4, 140) };
}

/** Kills one process after another on a new file; `killed` hears of each with the phase that it was in. Returns the transactions that were acknowledged. */
export async function killChain(
  chain: KillChain,
  folder: string,
  killed: (runtime: RuntimeName, phase: string) => void,
): Promise<number> {
  const { seed, mode, rounds } = chain;
  const random = seeded(seed);
  const path = join(folder, `random-${seed}.waybill`);
  const copy = join(FAILURES, `kill-${seed}.waybill`);
  mkdirSync(FAILURES, { recursive: true });
  const known: Knowledge = { acknowledged: 0, begun: new Map() };
  for (let round = 0; round < rounds; round++) {
    const runtime = RUNTIMES[(seed + round) % RUNTIMES.length]!;
    const ids = [...known.begun].map(([number, id]) => `${number}:${id}`).join();
    if (existsSync(path)) copyFileSync(path, copy);
    const { acknowledged } = known;
    try {
      const lines = await killedRun(runtime, path, chain, acknowledged, ids, draw(random, round));
      learn(known, lines);
      killed(runtime, lines.at(-1)?.split(" ")[0] ?? "nothing");
    } catch (error) {
      throw new KillFailure(`random kills, seed ${seed}, ${mode}, round ${round} on ${runtime}: ${(error as Error).message}`, {
        kind: "random",
        runtime,
        seed,
        mode,
        file: copy,
        acknowledged,
        ids,
      });
    }
  }
  for (const file of [copy, path, `${path}.lock`]) rmSync(file, { force: true });
  return known.acknowledged;
}

/** Has a process look at a kept file again; throws as it failed. */
export async function replayRandomKill(flags: Readonly<Record<string, string>>, folder: string): Promise<void> {
  const path = join(folder, "kept.waybill");
  if (flags.file !== undefined && existsSync(flags.file)) copyFileSync(flags.file, path);
  const mode = (flags.mode ?? "sync") as DurabilityMode;
  await killedRun(
    (flags.runtime ?? "deno") as RuntimeName,
    path,
    { seed: Number(flags.seed), mode },
    Number(flags.acknowledged ?? 0),
    flags.ids ?? "",
    { lines: 200 },
  );
}
