// A process that opens a manifest, says so, and goes on committing, making checkpoints and compacting until its input ends. Argument: path.
import process from "node:process";
import { defineTable, Manifest, systemEnvironment, text, u53 } from "../../../mod.ts";

const busy = defineTable({ name: "busy", key: [u53("n")], value: { text: text() } });
const manifest = await Manifest.open(process.argv[2]!, { logRetention: { changes: 50 } });
let go = true;
process.stdin.once("end", () => go = false);
process.stdin.resume();
process.stdout.write("open\n");
for (let n = 0; go; n++) {
  await manifest.begin().put(busy, n % 300, { text: `${n} `.repeat(n % 97) }).delete(busy, (n * 7) % 300).commit();
  if (n % 40 === 39) await manifest.checkpoint();
  if (n % 400 === 399) await manifest.compact();
  await systemEnvironment.yield(); // so that the end of the input is seen
}
await manifest.close();
process.stdout.write("closed\n");
