// A process that opens a manifest, commits five databases, says so, and waits to be killed. Argument: path.
import { writeSync } from "node:fs";
import process from "node:process";
import { Manifest } from "../../../mod.ts";

const manifest = await Manifest.open(process.argv[2]!, { create: true });
for (let db = 1; db <= 5; db++) await manifest.begin().putDb(db, { name: `d${db}` }).commit();
writeSync(1, "committed\n");
process.stdin.resume();
