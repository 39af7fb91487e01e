// A process that does with a manifest what it is told. Argument: path.
//
// Each line of input is a command (see actor.ts), each answer a line of JSON: what the command gives, or `{ error }`.
import { createInterface } from "node:readline";
import process from "node:process";
import { isManifestError, Manifest } from "../../../mod.ts";
import { openFile } from "../../../src/storage/file.ts";
import type { ActorAnswer, ActorCommand } from "../processes/actor.ts";
import { rows } from "../processes/workload.ts";
import { seeded } from "../random.ts";

const [path = ""] = process.argv.slice(2);
let manifest: Manifest | undefined;

/** The value of a row: its id says every byte. */
function value(id: number, length: number): { data: Uint8Array } {
  return { data: seeded(id).bytes(length) };
}

async function obey(command: ActorCommand): Promise<ActorAnswer> {
  switch (command.do) {
    case "open": {
      const { locking, ...options } = { create: true, idleCheckpoint: 0, cacheBytes: 1 << 20, ...command.options };
      const storage = openFile(command.path ?? path, { create: options.create, readOnly: options.readOnly, locking });
      manifest = await Manifest.open(storage, options);
      const { created, clean } = manifest.recovery;
      return { pid: process.pid, changes: manifest.latestChangeSequence(), created, clean };
    }
    case "put": {
      const txn = manifest!.begin();
      process.stdout.write(JSON.stringify({ id: txn.commitId }) + "\n");
      const { sequence, commitId } = await txn.put(rows, command.row, value(command.row, command.length ?? 100)).commit();
      return { sequence, commitId };
    }
    case "delete": {
      const { sequence, commitId } = await manifest!.begin().deleteRange(rows, { gte: [command.from], lt: [command.to] }).commit();
      return { sequence, commitId };
    }
    case "rows": {
      const found: number[] = [];
      const there = manifest!.listTables().some(({ name }) => name === rows.name);
      for (const [[id], { data }] of there ? manifest!.range(rows) : []) {
        const wanted = value(id, data.length).data;
        if (data.some((byte, i) => byte !== wanted[i])) throw new Error(`row ${id} has another value`);
        found.push(id);
      }
      return { rows: found, changes: manifest!.latestChangeSequence() };
    }
    case "check": {
      const { problems } = await manifest!.check({ level: "deep" });
      return { problems: problems.map(({ reason }) => reason) };
    }
    case "resolve":
      return { state: (await manifest!.resolve(command.id)).state };
    case "checkpoint":
      await manifest!.checkpoint();
      return {};
    case "compact":
      await manifest!.compact();
      return {};
    case "close":
      await manifest?.close();
      manifest = undefined;
      return {};
  }
}

process.stdout.write(JSON.stringify({ ready: process.pid }) + "\n");
for await (const line of createInterface({ input: process.stdin })) {
  let answer: ActorAnswer;
  try {
    answer = await obey(JSON.parse(line) as ActorCommand);
  } catch (error) {
    answer = isManifestError(error) ? { error: error.toJSON() } : { broken: String((error as Error).stack ?? error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
