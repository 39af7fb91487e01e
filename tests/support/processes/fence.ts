// A process that is stopped while it has the file open, and goes on later.
//
// With a kernel lock it keeps its claim: nobody else gets in, and it goes on undisturbed. With a claim file alone, an operator may take the claim away while the process is stopped: when it goes on it is FENCED,
// delivers no receipt, and what its successor has written stands.
import { assert, assertEquals } from "../assert.ts";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { META_BYTES } from "../../../assembly/format.ts";
import type { RuntimeName } from "../runtimes.ts";
import { Actor } from "./actor.ts";
import { readTrace, type TracedStart } from "./strace.ts";

const TURN_MS = 5;
const TURNS = 6000;

/** Waits until a process is stopped, by itself or by its tracer. */
async function stopped(pid: number): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    if (/^\) [tT] /.test(stat.slice(stat.lastIndexOf(")")))) return;
    await new Promise((done) => setTimeout(done, TURN_MS));
  }
  throw new Error(`process ${pid} was not stopped`);
}

/** What an operator does who is sure that the holder is gone. */
function takeClaimAway(path: string): void {
  const folder = `${path}.lock.d`;
  for (const name of existsSync(folder) ? readdirSync(folder) : []) rmSync(join(folder, name));
  writeFileSync(`${path}.lock`, "");
}

/** A stopped process with a kernel lock keeps it. */
export async function checkStoppedHolder(first: RuntimeName, second: RuntimeName, folder: string): Promise<void> {
  const path = join(folder, `stopped-${first}-${second}.waybill`);
  const holder = await Actor.start(first, path), rival = await Actor.start(second, path);
  await holder.must({ do: "open" });
  await holder.must({ do: "put", row: 1 });
  holder.signal("SIGSTOP");
  await stopped(holder.pid);
  await rival.mustFail({ do: "open" }, "LOCKED");
  holder.signal("SIGCONT");
  assertEquals((await holder.must({ do: "put", row: 2 })).sequence, 2);
  await holder.must({ do: "close" });
  assertEquals((await rival.must({ do: "open" })).clean, true);
  assertEquals((await rival.must({ do: "rows" })).rows, [1, 2]);
  await rival.must({ do: "close" });
  await holder.kill();
  await rival.kill();
}

/** Where the process stops that loses its claim: between two commits, behind the look at its claim and before it writes, or behind the write and before the sync. */
export const STOPS = ["idle", "before the write", "before the sync"] as const;
/** One of them. */
export type StopPlace = typeof STOPS[number];

/** How often the process reads, or writes, its file up to the group of its second commit. */
async function learnCount(runtime: RuntimeName, folder: string, call: string): Promise<number> {
  const path = join(folder, `learn-${runtime}-${call}.waybill`), log = join(folder, `learn-${runtime}-${call}.trace`);
  const actor = await Actor.start(runtime, path, { files: [path], log, calls: ["pread64", "pwrite64"] });
  await actor.must({ do: "open", options: { locking: "claim", syncMode: "inline" } });
  await actor.must({ do: "put", row: 1 });
  await actor.must({ do: "put", row: 2 });
  await actor.kill();
  const calls = readTrace(log);
  const write = calls.findLastIndex(({ name }) => name === "pwrite64");
  return calls.slice(0, write + 1).filter(({ name }) => name === call).length;
}

/** A process whose claim was taken away while it was stopped is fenced. */
export async function checkFenced(first: RuntimeName, second: RuntimeName, place: StopPlace, folder: string): Promise<void> {
  const name = `fenced-${first}-${place.replaceAll(" ", "-")}`;
  const path = join(folder, `${name}.waybill`);
  const call = place === "before the write" ? "pread64" : "pwrite64";
  let trace: Omit<TracedStart, "runtime" | "script" | "args"> | undefined;
  if (place !== "idle") {
    const when = await learnCount(first, folder, call);
    // A stop takes effect when the call is done.
    trace = { files: [path], log: join(folder, `${name}.trace`), calls: [call], inject: { call, when, action: "signal=STOP" } };
  }
  const loser = await Actor.start(first, path, trace), winner = await Actor.start(second, path);
  await loser.must({ do: "open", options: { locking: "claim", syncMode: "inline" } });
  await loser.must({ do: "put", row: 1 });
  if (place === "idle") loser.signal("SIGSTOP");
  else loser.tell({ do: "put", row: 2 });
  await stopped(loser.pid);
  // It lives: nobody takes its claim by himself, whichever way.
  for (const locking of ["claim", "auto"] as const) await winner.mustFail({ do: "open", options: { locking } }, "LOCKED");
  takeClaimAway(path);
  await winner.must({ do: "open", options: { locking: "claim" } });
  const adopted = (await winner.must({ do: "rows" })).rows!;
  assert(adopted.join() === "1" || (place === "before the sync" && adopted.join() === "1,2"), `${adopted} were adopted`);
  await winner.must({ do: "put", row: 10 });
  loser.signal("SIGCONT");
  const { error } = place === "idle" ? await loser.ask({ do: "put", row: 2 }) : await loser.answer();
  // Before anything was written that is FENCED; what was written and not acknowledged has an unknown outcome.
  const expected: (string | undefined)[] = place === "idle" ? ["FENCED", "not_applied"] : ["COMMIT_UNKNOWN", "unknown"];
  assertEquals([error?.code, error?.outcome], expected, JSON.stringify(error));
  if (place !== "idle") assertEquals(error?.cause?.code, "FENCED");
  assertEquals(error?.handle, "read_only");
  await loser.mustFail({ do: "put", row: 3 }, "READ_ONLY");
  await loser.ask({ do: "close" });
  await winner.must({ do: "put", row: 11 });
  await winner.must({ do: "checkpoint" });
  const [, id] = loser.begun;
  const state = (await winner.must({ do: "resolve", id: id! })).state;
  assertEquals(state, adopted.includes(2) ? "applied" : "not_applied");
  await winner.kill();
  await loser.kill();

  const judge = await Actor.start(second, path);
  await judge.must({ do: "open", options: { locking: "claim" } });
  assertEquals((await judge.must({ do: "rows" })).rows, [...adopted, 10, 11]);
  assertEquals((await judge.must({ do: "check" })).problems, []);
  await judge.must({ do: "close" });
  await judge.kill();
}

/** Reads of the file up to the look at the claim before the first (0) or second (1) copy of a checkpoint's meta slot. */
async function learnMetaRead(runtime: RuntimeName, copy: 0 | 1, folder: string): Promise<number> {
  const path = join(folder, `learn-meta-${runtime}-${copy}.waybill`), log = `${path}.trace`;
  const actor = await Actor.start(runtime, path, { files: [path], log, calls: ["pread64", "pwrite64"] });
  await actor.must({ do: "open", options: { locking: "claim", syncMode: "inline" } });
  await actor.must({ do: "put", row: 1 });
  await actor.must({ do: "checkpoint" });
  await actor.kill();
  const calls = readTrace(log);
  const metas = calls.flatMap(({ name, offset }, i) => name === "pwrite64" && offset! < META_BYTES ? [i] : []);
  return calls.slice(0, metas.slice(-2)[copy]).filter(({ name }) => name === "pread64").length;
}

/**
 * A process that is stopped between the look at its claim and a copy of the meta slot writes that copy when it goes on: a state that its successor has left behind. `checkpoints`: how many the
 * successor has made by then.
 */
export async function checkFencedCheckpoint(
  first: RuntimeName,
  second: RuntimeName,
  copy: 0 | 1,
  checkpoints: number,
  folder: string,
): Promise<void> {
  const path = join(folder, `fenced-meta-${first}-${copy}-${checkpoints}.waybill`);
  const when = await learnMetaRead(first, copy, folder);
  const inject = { call: "pread64", when, action: "signal=STOP" };
  const loser = await Actor.start(first, path, { files: [path], log: `${path}.trace`, calls: ["pread64"], inject });
  const winner = await Actor.start(second, path);
  await loser.must({ do: "open", options: { locking: "claim", syncMode: "inline" } });
  await loser.must({ do: "put", row: 1 });
  loser.tell({ do: "checkpoint" });
  await stopped(loser.pid);
  takeClaimAway(path);
  await winner.must({ do: "open", options: { locking: "claim" } });
  const rows = [1, 10];
  await winner.must({ do: "put", row: 10 });
  for (let i = 1; i <= checkpoints; i++) {
    await winner.must({ do: "checkpoint" });
    await winner.must({ do: "put", row: 10 + i });
    rows.push(10 + i);
  }
  loser.signal("SIGCONT");
  const { error } = await loser.answer();
  assertEquals(error?.code, "FENCED", "a checkpoint of a writer that was taken over");
  await winner.must({ do: "put", row: 20 });
  await winner.kill();
  await loser.kill();

  const judge = await Actor.start(first, path);
  await judge.must({ do: "open", options: { locking: "claim" } });
  assertEquals((await judge.must({ do: "rows" })).rows, [...rows, 20]);
  assertEquals((await judge.must({ do: "check" })).problems, []);
  await judge.must({ do: "close" });
  await judge.kill();
}
