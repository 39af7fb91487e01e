// Makes a manifest with so many bytes of live keys and values. Arguments: path, bytes.
import process from "node:process";
import { bytes, defineTable, Manifest, u53 } from "../../../mod.ts";

const [path = "", size = ""] = process.argv.slice(2);
const VALUE = 992;
const KEY = 8;
const BATCH = 4000;
const table = defineTable({ name: "rows", key: [u53("id")], value: { data: bytes() } });

const manifest = await Manifest.open(path, { create: true, durability: "none", idleCheckpoint: 0, cacheBytes: 64 << 20 });
const rows = Math.ceil(Number(size) / (VALUE + KEY));
const buffers = Array.from({ length: BATCH }, () => new Uint8Array(VALUE));
for (let from = 0; from < rows; from += BATCH) {
  const txn = manifest.begin();
  for (let id = from; id < Math.min(rows, from + BATCH); id++) {
    const data = buffers[id - from]!;
    new DataView(data.buffer).setUint32(0, id, true);
    data.fill(id & 255, 4);
    txn.put(table, [id], { data });
  }
  await txn.commit();
}
await manifest.close();
console.log(JSON.stringify({ rows, live: rows * (VALUE + KEY) }));
