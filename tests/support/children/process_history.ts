// A process that commits until it is killed. Arguments: path, seed of the history, newest acknowledged number, transactions to resolve as NUMBER:ID, joined by commas (those without a receipt
// included), durability mode.
//
// It opens the file, compares every row with the history, resolves, checks the whole file and goes on: `start`, `opened`, `checked COUNT`, then `begin N ID` before and `ack N` after each transaction,
// `checkpoint` and `done` around checkpoints. With durability "none" a transaction is acknowledged when a checkpoint behind it has ended. Every line is in the pipe before anything else happens.
import { writeSync } from "node:fs";
import process from "node:process";
import { type DurabilityMode, Manifest } from "../../../mod.ts";
import { HISTORY, historyOps, historyRows, stageHistory } from "../proof_history.ts";
import { KILL_SHAPE } from "../processes/random_kill.ts";
import { checkClean, compareTable, planTable } from "../proof_run.ts";
import { seeded } from "../random.ts";

const [path = "", seedText = "", ackedText = "", ids = "", mode = "sync"] = process.argv.slice(2);
const seed = Number(seedText), acked = Number(ackedText);

function say(line: string): void {
  writeSync(1, line + "\n");
}

say("start");
const durability = mode as DurabilityMode;
const manifest = await Manifest.open(path, { create: true, cacheBytes: 1 << 20, durability });
say("opened");
await manifest.createTable(planTable(HISTORY));
let number = manifest.latestChangeSequence();
if (number < acked) throw new Error(`${acked} transactions were acknowledged, the file holds ${number}`);
compareTable(manifest, HISTORY, historyRows(seed, number, KILL_SHAPE));
for (const [of = "", id = ""] of ids === "" ? [] : ids.split(",").map((text) => text.split(":"))) {
  const resolution = await manifest.resolve(id);
  const wanted = Number(of) <= number ? `applied ${of}` : "not_applied";
  const actual = resolution.state === "applied" ? `applied ${resolution.sequence}` : resolution.state;
  if (actual !== wanted) throw new Error(`transaction ${of} is ${wanted} by the rows, its id says ${actual}`);
}
await checkClean(manifest);
say(`checked ${number}`);

/** Newest number whose receipt a later checkpoint has to cover. */
let unsaid = 0;

function commit(): Promise<void> {
  const mine = ++number;
  const txn = manifest.begin();
  say(`begin ${mine} ${txn.commitId}`);
  return stageHistory(txn, historyOps(seed, mine, KILL_SHAPE)).commit().then(({ sequence }) => {
    if (sequence !== mine) throw new Error(`transaction ${mine} became change ${sequence}`);
    if (durability === "none") unsaid = mine;
    else say(`ack ${mine}`);
  });
}

async function checkpoint(beside: () => Promise<void>): Promise<void> {
  say("checkpoint");
  const upTo = unsaid;
  const running = manifest.checkpoint();
  await beside();
  await running;
  say("done");
  if (upTo > 0) say(`ack ${upTo}`);
}

const random = seeded(seed ^ number ^ process.pid);
for (;;) {
  const roll = random.int(100);
  if (roll < 60) await commit();
  else if (roll < 90) await Promise.all(Array.from({ length: random.between(2, 40) }, commit));
  else if (roll < 96) await checkpoint(() => Promise.resolve());
  else if (roll < 97) await manifest.compact();
  else {
    await checkpoint(async () => {
      for (let i = 0; i < 5; i++) await commit();
    });
  }
}
