// A process that opens a manifest, writes the rows of a table anew in several generations, and closes it. Arguments: path, rows, generations.
import process from "node:process";
import { Manifest } from "../../../mod.ts";
import { rewritten } from "../rewritten.ts";

const [path, rows, generations] = process.argv.slice(2) as [string, string, string];
const manifest = await Manifest.open(path);
for (let generation = 1; generation <= Number(generations); generation++) await rewritten(manifest, Number(rows), generation);
await manifest.close();
