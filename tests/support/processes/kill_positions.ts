// Which system call is the n-th of the workload on a runtime, and how strace is told to kill the process there.
//
// strace counts by thread, and a runtime syncs on its main thread and on one of a pool, all others being kept busy: which sync is the n-th call is learned from a run that nothing disturbs. Where the other
// thread would reach the same count earlier, the right one first makes so many syncs of another file that it alone reaches its count.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RuntimeName } from "../runtimes.ts";
import { type Injection, readTrace, startTraced, type TracedCall } from "./strace.ts";

/** The program that runs the workload. */
export const WORKLOAD_SCRIPT = "tests/support/children/process_workload.ts";

/** Where to kill, and what the process does before it begins. */
export interface KillPosition {
  readonly inject: Injection;
  /** Arguments of the program: the thread that syncs another file before it begins, and how often. */
  readonly prelude: readonly [where: "main" | "pool", syncs: number];
}

/** The files that a run may touch. */
export interface RunFiles {
  readonly path: string;
  readonly pipe: string;
  readonly other: string;
  readonly log: string;
}

/** The files of a run in a folder. */
export function runFiles(folder: string, name: string): RunFiles {
  const pipe = join(folder, "pipe");
  if (!existsSync(pipe)) spawnSync("mkfifo", [pipe]);
  return { path: join(folder, `${name}.waybill`), pipe, other: join(folder, `${name}.other`), log: join(folder, `${name}.trace`) };
}

/** What is traced: the manifest, its lock file, the folder that is synced when the manifest is made, and the other file. */
export function tracedFiles(files: RunFiles, folder: string): string[] {
  return [files.path, `${files.path}.lock`, folder, files.other];
}

/** The calls of a log that count as positions: those of the process on its files; not those of a helper that it starts, nor those on the other file. */
export function positionsOf(files: RunFiles): TracedCall[] {
  const calls = readTrace(files.log);
  const main = calls[0]?.thread;
  const helpers = new Set(calls.filter(({ name, thread }) => name === "flock" && thread !== main).map(({ thread }) => thread));
  return calls.filter(({ thread, path }) => path !== files.other && !helpers.has(thread));
}

/** The calls of the workload on a runtime, and how to be killed at each. */
export class KillPositions {
  readonly #calls: readonly TracedCall[];

  constructor(calls: readonly TracedCall[]) {
    this.#calls = calls;
  }

  /** Learns them from a run. */
  static async learn(runtime: RuntimeName, folder: string): Promise<KillPositions> {
    const files = runFiles(folder, `learn-${runtime}`);
    const child = startTraced({
      runtime,
      script: WORKLOAD_SCRIPT,
      args: [files.path, files.pipe, files.other],
      files: tracedFiles(files, folder),
      log: files.log,
    });
    const code = await child.ended();
    if (code !== 0 || child.lines.at(-1) !== "end") {
      throw new Error(`the workload fails on ${runtime} (${code}): ${child.errorText.slice(-2000)}`);
    }
    return new KillPositions(positionsOf(files));
  }

  /** Calls of the whole workload. */
  get count(): number {
    return this.#calls.length;
  }

  /** The n-th call, from 1 on. */
  at(n: number): KillPosition {
    const call = this.#calls[n - 1]!;
    const counts = new Map<number, number>();
    for (const { name, thread } of this.#calls.slice(0, n)) if (name === call.name) counts.set(thread, (counts.get(thread) ?? 0) + 1);
    const own = counts.get(call.thread)!;
    counts.delete(call.thread);
    const others = Math.max(0, ...counts.values());
    const syncs = call.name === "fdatasync" && others >= own ? others - own + 1 : 0;
    const where = call.thread === this.#calls[0]!.thread ? "main" : "pool";
    return { inject: { call: call.name, when: own + syncs, action: "signal=KILL" }, prelude: [where, syncs] };
  }
}
