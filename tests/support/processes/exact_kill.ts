// One process killed at its n-th system call on its files, and what the next one finds.
import { rmSync } from "node:fs";
import type { RuntimeName } from "../runtimes.ts";
import { type KillPositions, positionsOf, runFiles, tracedFiles, WORKLOAD_SCRIPT } from "./kill_positions.ts";
import { startTraced } from "./strace.ts";
import { questionOf, type Successors } from "./successor.ts";

/** What became of a kill. */
export interface ExactKill {
  /** The call at which it died, from 1 on; 0 when it came to its end. */
  readonly at: number;
  /** The name of that call. */
  readonly call: string;
  /** The part of the workload that it was in. */
  readonly phase: string;
  /** Who came next. */
  readonly successor: RuntimeName;
  /** What the next one met: "made again", "replayed", "clean" or "as checkpointed". */
  readonly outcome: string;
}

/** Kills a process at a call of the workload; throws when the next process finds anything but what it must. */
export async function exactKill(
  runtime: RuntimeName,
  positions: KillPositions,
  n: number,
  folder: string,
  successors: Successors,
): Promise<ExactKill> {
  const files = runFiles(folder, `kill-${runtime}`);
  for (const suffix of ["", ".lock"]) rmSync(files.path + suffix, { force: true });
  const { inject, prelude } = positions.at(n);
  const child = startTraced({
    runtime,
    script: WORKLOAD_SCRIPT,
    args: [files.path, files.pipe, files.other, ...prelude],
    files: tracedFiles(files, folder),
    log: files.log,
    inject,
  });
  const code = await child.ended();
  const calls = positionsOf(files);
  const phase = child.lines.findLast((line) => line.startsWith("phase "))?.slice(6) ?? "start";
  const died = code === null && calls.length > 0 && calls.at(-1)!.result === undefined;
  if (!died && code !== 0) throw new Error(`the process ended by itself (${code}): ${child.errorText.slice(-2000)}`);
  const successor = successors.other(runtime);
  const question = questionOf(files.path, child.lines);
  const answer = await successors.look(successor, question);
  if (answer.problem !== undefined) throw new Error(`after ${calls.length} calls, ${successor}: ${answer.problem}`);
  if (!died && answer.state !== question.begun) throw new Error(`the process came to its end, ${successor} finds state ${answer.state}`);
  const outcome = answer.created ? "made again" : answer.cut ? "cut" : answer.replayed > 0 ? "replayed" : "as it was";
  return { at: died ? calls.length : 0, call: died ? calls.at(-1)!.name : "", phase, successor, outcome };
}
