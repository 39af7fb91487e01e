// A process that runs the fixed workload on a file and tells how far it is. Arguments: path, a pipe in the file system, path of another file, where, syncs: before it begins, it makes so many syncs of the other
// file, on the "main" thread or in the "pool" (see kill_positions.ts).
//
// Lines: `phase NAME`, `opened`, `begin N [ID]` before state N may become durable, `done N` when it is, `end`. Every line is in the pipe before anything else happens.
import { closeSync, fdatasync, fdatasyncSync, openSync, read, writeSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import { runWorkload } from "../processes/workload.ts";

const [path = "", pipe = "", other = "", where = "main", syncs = "0"] = process.argv.slice(2);

/** Threads of the pool that are there before more are made, and beyond the one that is to do all the work. Node's pool is told its size from outside. */
const SPARE: Readonly<Record<string, number>> = { bun: availableParallelism() - 1, deno: 8, node: 0 };

function say(line: string): void {
  writeSync(1, line + "\n");
}

// Threads that read from a pipe that nobody writes to do nothing else: what is left is one.
const runtime = "Deno" in globalThis ? "deno" : "bun" in process.versions ? "bun" : "node";
for (let i = 0; i < SPARE[runtime]!; i++) read(openSync(pipe, "r+"), new Uint8Array(1), 0, 1, null, () => {});

if (Number(syncs) > 0) {
  const fd = openSync(other, "w");
  for (let i = 0; i < Number(syncs); i++) {
    if (where === "main") fdatasyncSync(fd);
    else await new Promise<void>((done) => fdatasync(fd, () => done()));
  }
  closeSync(fd);
}

let begun = 0, done = 0;
await runWorkload(() => path, {
  phase: (name) => say(`phase ${name}`),
  opened: () => say("opened"),
  begin: (id) => say(`begin ${++begun} ${id ?? ""}`),
  done: () => say(`done ${++done}`),
});
say("end");
process.exit(0);
