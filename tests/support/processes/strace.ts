// Running a process under strace: which calls on which files, what is done to one of them, and the log of what happened.
//
// strace counts the calls of each thread and each name by themselves, and only those on the files given. Signals and errors are injected when a call is entered: a killed call has no effect.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { Child } from "../proof_child.ts";
import { runtimeCommand, type RuntimeName } from "../runtimes.ts";

/** The calls by which a store changes files or claims them. */
export const CALLS: readonly string[] = [
  "openat",
  "flock",
  "write",
  "writev",
  "pwrite64",
  "pwritev",
  "pwritev2",
  "fsync",
  "fdatasync",
  "sync_file_range",
  "ftruncate",
  "fallocate",
  "unlink",
  "unlinkat",
  "rename",
  "renameat2",
  "mkdir",
  "mkdirat",
];

/** One call in a log. */
export interface TracedCall {
  readonly thread: number;
  readonly name: string;
  /** The path that it was on, as far as the log tells. */
  readonly path: string;
  /** Where a positional write or read begins. */
  readonly offset: number | undefined;
  /** What it returned: text after "=", or undefined when it never returned. */
  readonly result: string | undefined;
}

/** What to do to a call. */
export interface Injection {
  /** Its name, or several joined by commas. */
  readonly call: string;
  /** Which one of its thread and name, from 1 on; or a range as strace writes it. */
  readonly when: number | string;
  /** "signal=KILL", "error=EIO", "retval=512", ... */
  readonly action: string;
}

let usable: string | undefined;

/** Why processes cannot be traced here, or "" when they can. Tries to install strace, once, where Debian's tools and the rights are there. */
export function whyNoStrace(): string {
  if (usable !== undefined) return usable;
  if (process.platform !== "linux") return usable = "strace needs Linux";
  const works = (): boolean => spawnSync("strace", ["-f", "-o", "/dev/null", "true"], { stdio: "ignore" }).status === 0;
  if (works()) return usable = "";
  if (spawnSync("strace", ["--version"], { stdio: "ignore" }).status === 0) return usable = "strace may not trace here";
  if (process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    console.log("strace is missing: apt-get install -y strace");
    spawnSync("apt-get", ["install", "-y", "strace"], { stdio: "ignore", timeout: 120_000 });
    if (works()) return usable = "";
  }
  return usable = "strace is not installed";
}

/** How to start a process under strace. */
export interface TracedStart {
  readonly runtime: RuntimeName;
  readonly script: string;
  readonly args: readonly (string | number)[];
  /** Calls on these files are logged, counted and injected into. */
  readonly files: readonly string[];
  /** Where the log goes. */
  readonly log: string;
  readonly calls?: readonly string[];
  readonly inject?: Injection;
}

/** Starts a process under strace. */
export function startTraced(start: TracedStart, onLine?: (line: string, child: Child) => void): Child {
  const { cmd, args } = runtimeCommand(start.runtime, start.script, start.args.map(String));
  // One thread where the runtime lets one choose; fewer helpers of the engine make it start faster under a tracer.
  const tuned = start.runtime === "node" ? ["--v8-pool-size=1", ...args] : args;
  const inject = start.inject;
  const options = ["-f", "-y", "-s", "0", "-e", "signal=none", "-e", `trace=${(start.calls ?? CALLS).join()}`];
  if (inject !== undefined) options.push("-e", `inject=${inject.call}:${inject.action}:when=${inject.when}`);
  const paths = start.files.flatMap((file) => ["-P", file]);
  return new Child("strace", [...options, ...paths, "-o", start.log, "-E", "UV_THREADPOOL_SIZE=1", cmd, ...tuned], onLine);
}

const LINE = /^(\d+) +(?:(\w+)\((.*?)(?: <unfinished \.\.\.>|\) += (.*?))$|<\.\.\. (\w+) resumed>.*\) += (.*)$)/;

/** The calls of a log, in the order in which they were entered. A log that was cut inside a line loses that line's result. */
export function readTrace(log: string): TracedCall[] {
  const calls: { thread: number; name: string; path: string; offset: number | undefined; result: string | undefined }[] = [];
  const open = new Map<number, number>();
  for (const line of readFileSync(log, "utf8").split("\n")) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const thread = Number(match[1]);
    const ended = match[4] ?? match[6];
    const result = ended === undefined || ended.startsWith("?") ? undefined : ended;
    if (match[2] !== undefined) {
      const text = match[3]!;
      const path = match[2] === "openat" ? /"([^"]*)"/.exec(text)?.[1] : /^(?:"([^"]*)"|\d+<([^>]*)>)/.exec(text)?.slice(1).find(Boolean);
      open.set(thread, calls.length);
      const offset = /^p(read|write)64$/.test(match[2]) ? Number(/, (\d+)$/.exec(text)?.[1]) : undefined;
      calls.push({ thread, name: match[2], path: path ?? "", offset, result });
    } else {
      const at = open.get(thread);
      if (at !== undefined && calls[at]!.name === match[5]) calls[at]!.result = result;
    }
  }
  return calls;
}
