// Files that workloads begin with: created, closed, and the same bytes for all of them, so that creating a file is attacked once, by the workloads that are about it.
import { Manifest } from "../../../mod.ts";
import { MemoryStorage } from "../../../src/storage/memory.ts";
import { Store } from "../../../src/store/store.ts";
import { testEnvironment } from "../environment.ts";

/** What a workload works with. */
export type Level = "store" | "manifest";

/** The table that every store has. */
export const ROWS = "rows";

const made = new Map<string, Promise<Uint8Array>>();

async function make(level: Level, pageSize: number): Promise<Uint8Array> {
  const storage = new MemoryStorage();
  const options = { create: true, pageSize, idleCheckpoint: 0, syncMode: "inline", environment: testEnvironment(pageSize) } as const;
  if (level === "manifest") await (await Manifest.open(storage, options)).close();
  else {
    const store = await Store.open(storage, options);
    await store.createTable(ROWS, new Uint8Array(0));
    await store.close();
  }
  return storage.bytes();
}

/** A file that was created and closed. */
export function createdFile(level: Level, pageSize: number): Promise<Uint8Array> {
  const name = `${level} ${pageSize}`;
  let file = made.get(name);
  if (file === undefined) made.set(name, file = make(level, pageSize));
  return file;
}
