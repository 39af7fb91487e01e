// Commits between marks that a tracer sees: looks at the paths MARKS/begin-one, MARKS/end-one, MARKS/begin-many, MARKS/end-many. Arguments: path of the manifest, MARKS.
//
// Prints the number of write calls that the process made between them, as the system counts them (/proc/self/io), where it does.
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { defineTable, Manifest, text, u53 } from "../../../mod.ts";

const [path = "", marks = ""] = process.argv.slice(2);
const table = defineTable({ name: "owners", key: [u53("id")], value: { team: text() } });

function writeCalls(): number {
  if (!existsSync("/proc/self/io")) return -1;
  return Number(/syscw: (\d+)/.exec(readFileSync("/proc/self/io", "utf8"))![1]);
}

const manifest = await Manifest.open(path, { create: true, idleCheckpoint: 0 });
// The journal has grown to what a thousand commits need and is empty: no checkpoint falls due between the marks.
for (let round = 0; round < 2; round++) {
  await Promise.all(Array.from({ length: 1000 }, (_, i) => manifest.begin().put(table, i, { team: `warm ${i}` }).commit()));
  await manifest.checkpoint();
}
const changes = manifest.latestChangeSequence();
// The file that counts is read once before: reading it must not be what is counted.
writeCalls();

const one = writeCalls();
existsSync(`${marks}/begin-one`);
await manifest.begin().put(table, 1, { team: "one" }).commit();
existsSync(`${marks}/end-one`);
const afterOne = writeCalls();

existsSync(`${marks}/begin-many`);
const before = writeCalls();
await Promise.all(Array.from({ length: 1000 }, (_, i) => manifest.begin().put(table, i, { team: `many ${i}` }).commit()));
const afterMany = writeCalls();
existsSync(`${marks}/end-many`);

if (manifest.latestChangeSequence() !== changes + 1001) throw new Error("the change log does not hold every commit");
console.log(JSON.stringify({ one: afterOne - one, many: afterMany - before, syncMode: "auto" }));
await manifest.close();
