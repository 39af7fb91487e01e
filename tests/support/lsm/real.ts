// The example engine on real files: its sizes, and what must hold when it is opened.
import type { Folder } from "@waybill/manifest/files";
import type { Engine } from "../../../examples/lsm/engine.ts";
import { writeOf } from "./deterministic.ts";
import { checkExact, contentOf } from "./engines.ts";
import { LsmHistory } from "./history.ts";

/** Small, so that there is always a flush or a compaction under way. */
export const REAL = { memtableBytes: 8 << 10, blockBytes: 1024, tableBytes: 8 << 10, levelZeroTables: 2, levelBytes: 16 << 10 };

/** An engine that was opened holds exactly the writes up to its last one, and the folder exactly the files that it names. */
export async function checkOpened(engine: Engine, folder: Folder, seed: number): Promise<void> {
  const history = new LsmHistory(Array.from({ length: engine.lastLsn }, (_, i) => writeOf(seed, i + 1)));
  if (await contentOf(engine) !== history.content(engine.lastLsn)) {
    throw new Error(`it does not show the state after ${engine.lastLsn} writes`);
  }
  const files = new Map<string, Uint8Array>();
  for (const { name } of await folder.list("")) {
    const file = await folder.open(name);
    const bytes = new Uint8Array((await file.facts()).sizeBytes);
    await file.read(0, bytes);
    await file.close();
    files.set(name, bytes);
  }
  checkExact(engine.catalog, files);
}
