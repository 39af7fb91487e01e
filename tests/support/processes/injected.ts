// Errors, interruptions and short counts that the system gives to a real process: the calls fail under the runtime, not under a storage of ours.
import { assert, assertEquals } from "../assert.ts";
import { join } from "node:path";
import type { ErrorCode, ErrorOutcome } from "../../../mod.ts";
import type { RuntimeName } from "../runtimes.ts";
import { Actor } from "./actor.ts";
import { runFiles, WORKLOAD_SCRIPT } from "./kill_positions.ts";
import { type Injection, readTrace, startTraced } from "./strace.ts";
import { questionOf, type Successors } from "./successor.ts";

/** What a failed call must lead to. */
interface Expected {
  readonly code: ErrorCode;
  readonly outcome: ErrorOutcome;
  /** Whether the same handle commits on. */
  readonly goesOn: boolean;
}

/** A fault at one commit: the call, what the system answers, how often, and what must follow; undefined: nothing is seen. */
interface Fault {
  readonly call: "pwrite64" | "fdatasync";
  readonly action: string;
  readonly times?: number;
  readonly expected?: Expected;
  /** A runtime that asks again by itself. */
  readonly hiddenBy?: RuntimeName;
}

/**
 * Rows that are committed before. More than the syncs of any other thread up to there, so that the main thread alone reaches the count of the fault; fewer than make a checkpoint begin, whose calls would
 * come in between.
 */
const BEFORE = 4;
const FAULTY = BEFORE + 1;
const LATER = BEFORE + 2;

const FAULTS: Readonly<Record<string, Fault>> = {
  "write EIO": { call: "pwrite64", action: "error=EIO", expected: { code: "IO_WRITE", outcome: "not_applied", goesOn: true } },
  "write ENOSPC": { call: "pwrite64", action: "error=ENOSPC", expected: { code: "NO_SPACE", outcome: "not_applied", goesOn: true } },
  "write EACCES": { call: "pwrite64", action: "error=EACCES", expected: { code: "PERMISSION", outcome: "not_applied", goesOn: false } },
  "write EROFS": { call: "pwrite64", action: "error=EROFS", expected: { code: "READ_ONLY_MEDIUM", outcome: "not_applied", goesOn: false } },
  "write EINTR": { call: "pwrite64", action: "error=EINTR", times: 3 },
  "write short": { call: "pwrite64", action: "retval=512" },
  "no progress": {
    call: "pwrite64",
    action: "retval=0",
    times: 2,
    expected: { code: "IO_WRITE", outcome: "not_applied", goesOn: true },
    hiddenBy: "deno",
  },
  "sync EIO": { call: "fdatasync", action: "error=EIO", expected: { code: "SYNC_FAILED", outcome: "unknown", goesOn: false } },
  "sync ENOSPC": { call: "fdatasync", action: "error=ENOSPC", expected: { code: "SYNC_FAILED", outcome: "unknown", goesOn: false } },
  "sync EINTR": { call: "fdatasync", action: "error=EINTR", times: 3 },
};

/** Their names. */
export const FAULT_NAMES: readonly string[] = Object.keys(FAULTS);

const learned = new Map<string, number>();

/** The number of the call, of its thread and name, by which the row is committed. */
async function learnCall(runtime: RuntimeName, call: string, folder: string): Promise<number> {
  const known = learned.get(`${runtime} ${call}`);
  if (known !== undefined) return known;
  const path = join(folder, `learn-fault-${runtime}-${call}.waybill`), log = `${path}.trace`;
  const actor = await Actor.start(runtime, path, { files: [path], log, calls: [call] });
  await actor.must({ do: "open", options: { syncMode: "inline" } });
  for (let row = 1; row <= FAULTY; row++) await actor.must({ do: "put", row });
  await actor.kill();
  const calls = readTrace(log);
  const count = calls.filter(({ thread }) => thread === calls.at(-1)!.thread).length;
  learned.set(`${runtime} ${call}`, count);
  return count;
}

/** A commit whose write or sync fails as the system can let it fail. */
export async function checkFault(runtime: RuntimeName, fault: string, folder: string): Promise<void> {
  const { call, action, times = 1, hiddenBy } = FAULTS[fault]!;
  const expected = hiddenBy === runtime ? undefined : FAULTS[fault]!.expected;
  const path = join(folder, `fault-${runtime}-${fault.replaceAll(" ", "-")}.waybill`), log = `${path}.trace`;
  const first = await learnCall(runtime, call, folder);
  const inject: Injection = { call, action, when: times === 1 ? first : `${first}..${first + times - 1}` };
  const actor = await Actor.start(runtime, path, { files: [path], log, calls: [call], inject });
  await actor.must({ do: "open", options: { syncMode: "inline" } });
  for (let row = 1; row <= BEFORE; row++) await actor.must({ do: "put", row });
  const { error } = await actor.ask({ do: "put", row: FAULTY });
  const hit = readTrace(log).filter(({ result }) => result?.includes("INJECTED")).length;
  assertEquals(hit, times, "calls that were tampered with");
  const rows = Array.from({ length: BEFORE }, (_, i) => i + 1);
  if (expected === undefined) {
    assertEquals(error, undefined, JSON.stringify(error));
    rows.push(FAULTY);
  } else {
    assertEquals([error?.code, error?.outcome], [expected.code, expected.outcome], JSON.stringify(error));
    assertEquals(error!.handle, expected.goesOn ? "ok" : "read_only");
  }
  assertEquals((await actor.must({ do: "rows" })).rows, rows, "what is read behind the fault");
  if (expected?.goesOn ?? true) {
    await actor.must({ do: "put", row: LATER });
    rows.push(LATER);
  } else await actor.mustFail({ do: "put", row: LATER }, "READ_ONLY");
  const id = actor.begun[BEFORE];
  await actor.kill();

  const next = await Actor.start(runtime, path);
  await next.must({ do: "open" });
  const found = (await next.must({ do: "rows" })).rows!;
  const applied = found.includes(FAULTY);
  if (error?.outcome !== "unknown") assertEquals(applied, expected === undefined);
  assertEquals(found, applied && !rows.includes(FAULTY) ? [...rows, FAULTY] : rows);
  assertEquals((await next.must({ do: "resolve", id: id! })).state, applied ? "applied" : "not_applied");
  assertEquals((await next.must({ do: "check" })).problems, []);
  await next.must({ do: "close" });
  await next.kill();
}

/** Calls that interruptions may stop, one in so many of each. */
const INTERRUPTED = "pwrite64,pread64,fdatasync,fsync,ftruncate";

/** The whole workload with every third call interrupted: nobody sees it. Returns the interruptions. */
export async function checkInterrupted(runtime: RuntimeName, folder: string, successors: Successors): Promise<number> {
  const { path, pipe, other, log } = runFiles(folder, `interrupted-${runtime}`);
  const inject = { call: INTERRUPTED, action: "error=EINTR", when: "2+3" };
  const files = [path, `${path}.lock`];
  const child = startTraced({
    runtime,
    script: WORKLOAD_SCRIPT,
    args: [path, pipe, other],
    files,
    log,
    calls: INTERRUPTED.split(","),
    inject,
  });
  const code = await child.ended();
  assertEquals([code, child.lines.at(-1)], [0, "end"], child.errorText.slice(-2000));
  const count = readTrace(log).filter(({ result }) => result?.includes("INJECTED")).length;
  assert(count > 50, `${count} interruptions`);
  const question = questionOf(path, child.lines);
  const answer = await successors.look(successors.other(runtime), question);
  if (answer.problem !== undefined) throw new Error(answer.problem);
  assertEquals(answer.state, question.begun);
  return count;
}
