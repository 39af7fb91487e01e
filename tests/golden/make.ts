// Writes the golden files, what they hold, and the encode vectors: `deno run -A tests/golden/make.ts`.
import { writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { FORMAT_VERSION } from "../../assembly/format.ts";
import { Manifest } from "../../mod.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { contentsOf, FOLDER, makeGolden } from "./golden.ts";
import { drawVectors } from "./vectors.ts";

const files = await makeGolden(FORMAT_VERSION);
for (const { name, bytes } of files) writeFileSync(`${FOLDER}/${name}.waybill.gz`, gzipSync(bytes, { level: 9 }));
const manifest = await Manifest.open(new MemoryStorage(files[0]!.bytes, { readOnly: true }), { readOnly: true });
writeFileSync(`${FOLDER}/contents.json`, JSON.stringify(await contentsOf(manifest), null, 1) + "\n");
await manifest.close();
writeFileSync(`${FOLDER}/vectors.json`, JSON.stringify(drawVectors(), null, 1) + "\n");
