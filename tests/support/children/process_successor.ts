// A process that opens, one after another, files whose writers were killed, and tells what it found. No arguments.
//
// Lines of input are questions `{ path, done, begun, ids }` (see successor.ts): it opens the file for writing, finds the number of its state, asks for each id, checks the whole file, commits once more and closes.
// Answers are lines `{ state, created, replayed }` or `{ problem }`.
import { createInterface } from "node:readline";
import process from "node:process";
import { isManifestError, Manifest } from "../../../mod.ts";
import { stateNumbers, workloadStates } from "../processes/states.ts";
import type { SuccessorAnswer, SuccessorQuestion } from "../processes/successor.ts";
import { workloadOptions } from "../processes/workload.ts";

const states = await workloadStates();

async function look({ path, opened, done, begun, ids }: SuccessorQuestion): Promise<SuccessorAnswer> {
  const manifest = await Manifest.open(path, workloadOptions("inline"));
  try {
    const { created, groups, cut } = manifest.recovery;
    if (created && opened) throw new Error("the file was made again, though it had been opened");
    const numbers = stateNumbers(manifest, states);
    const state = numbers.find((number) => number >= done && number <= begun);
    if (state === undefined) {
      throw new Error(`the file is in state ${numbers.join(" or ") || "of no prefix"}; ${done} were acknowledged, ${begun} begun`);
    }
    for (const { number, id } of ids) {
      const { state: outcome } = await manifest.resolve(id);
      const wanted = number <= state ? "applied" : "not_applied";
      if (outcome !== wanted) throw new Error(`the transaction of state ${number} is ${wanted} by state ${state}, its id says ${outcome}`);
    }
    const report = await manifest.check({ level: "deep" });
    if (!report.ok || report.problems.length > 0) throw new Error(`the check found ${JSON.stringify(report.problems.slice(0, 3))}`);
    const before = manifest.latestChangeSequence();
    const { sequence } = await manifest.begin().putDb(99, { name: "the next writer" }).commit();
    if (sequence !== before + 1) throw new Error(`the next commit is change ${sequence}, expected ${before + 1}`);
    return { state, created, replayed: groups, cut: cut !== undefined };
  } finally {
    await manifest.close();
  }
}

process.stdout.write("ready\n");
for await (const line of createInterface({ input: process.stdin })) {
  let answer: SuccessorAnswer;
  try {
    answer = await look(JSON.parse(line) as SuccessorQuestion);
  } catch (error) {
    answer = { problem: isManifestError(error) ? JSON.stringify(error) : String((error as Error).stack ?? error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
