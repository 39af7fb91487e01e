// The example engine on real files, until it is killed. Arguments: directory, seed.
//
// It opens what is there, holds it against the writes that follow from the seed, and says "opened N" with the number of the last one. Then it writes on, some together, while flushes and compactions go on in the background: "begin N"
// before, "ack N" behind.
import process from "node:process";
import { Manifest } from "@waybill/manifest";
import { fileFolder } from "@waybill/manifest/files";
import { Engine } from "../../../examples/lsm/engine.ts";
import { bytesOf } from "../lsm/engines.ts";
import { writeOf } from "../lsm/deterministic.ts";
import { checkOpened, REAL } from "../lsm/real.ts";
import { seeded } from "../random.ts";

const [directory = "", seedText = "0"] = process.argv.slice(2);
const seed = Number(seedText);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

say("starting");
const folder = fileFolder(`${directory}/files`);
const manifest = await Manifest.open(`${directory}/manifest.waybill`, { create: true });
const engine = await Engine.open({ manifest, folder, ...REAL });
await checkOpened(engine, folder, seed);
say(`opened ${engine.lastLsn}`);
const random = seeded(seed ^ engine.lastLsn);
for (let next = engine.lastLsn + 1;;) {
  const together = random.chance(0.3) ? 1 : random.between(2, 30);
  say(`begin ${next + together - 1}`);
  await Promise.all(Array.from({ length: together }, (_, i) => {
    const { key, value } = writeOf(seed, next + i);
    return value === undefined ? engine.delete(bytesOf(key)) : engine.put(bytesOf(key), bytesOf(value));
  }));
  next += together;
  say(`ack ${next - 1}`);
  if (random.chance(0.02)) await engine.compact({ all: true });
}
