// Golden files: what a file of the present format version is, byte for byte, for each page size, closed in order and left by a crash with a journal to replay; and what all of them hold.
//
// They are made by the engine from fixed operations, time and entropy. `deno run -A tests/golden/make.ts` writes them anew: when the format version is raised, and never otherwise; the clean 4 KiB file of
// the version before then stays as an old one that must be refused.
import { BLOCK_SIZE, META_BYTES, META_CRC, META_FORMAT, META_SLOTS } from "../../assembly/format.ts";
import { type AnyTable, bool, bytes, defineTable, f64, list, Manifest, optional, record, text, u53, u64 } from "../../mod.ts";
import { BUILT_IN } from "../../src/manifest/operations/built_in.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { kernelModule } from "../../src/kernel/loader.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { slotChecksum } from "../../src/store/meta.ts";
import { EVERY_OPERATION, owners } from "../parity/every_operation.ts";
import { testEnvironment } from "../support/environment.ts";

/** Where they lie. */
export const FOLDER = "tests/golden";
/** Every page size that there is. */
export const PAGE_SIZES: readonly number[] = [4096, 8192, 16384, 32768, 65536];

/** A table with a field of most types. */
export const samplesTable = defineTable({
  name: "samples",
  key: [u64("group"), text("name")],
  value: { data: bytes(), ratio: f64(), good: bool(), tags: list(text()), where: optional(record({ line: u53(), file: text() })) },
});

/** A golden file as it was made. */
export interface Golden {
  /** Without folder and ending. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

function fill(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i >>> 5) * 7 + length);
}

/** Two images of the same contents: closed in order, and with its newest commits in the journal alone. */
async function make(pageSize: number): Promise<{ clean: Uint8Array; journal: Uint8Array }> {
  const file = new MemoryFile();
  const options = {
    create: true,
    pageSize,
    cacheBytes: pageSize * 64,
    idleCheckpoint: 0,
    syncMode: "inline",
    environment: testEnvironment(pageSize),
  } as const;
  const manifest = await Manifest.open(new MemoryStorage(file), options);
  for (const [, call] of EVERY_OPERATION) {
    const txn = manifest.begin();
    call(txn);
    await txn.commit();
  }
  await manifest.registerChangeCursor("replica-a", { start: "oldest" });
  await manifest.begin({ origin: "golden" }).put(samplesTable, [2n ** 63n, "long"], {
    data: fill(90_000), // an overflow run at every page size
    ratio: -1.5,
    good: true,
    tags: ["ä", "", "\u{1F600}"],
    where: { line: 2 ** 53 - 1, file: "x" },
  }).commit();
  const rows = manifest.begin();
  for (let i = 0; i < 60; i++) {
    rows.put(samplesTable, [BigInt(i % 3), `row ${i}`], { data: fill(i * 9), ratio: i / 8, good: i % 2 === 0, tags: [] });
  }
  await rows.commit();
  await manifest.checkpoint();
  await manifest.begin().put(owners, 9, { team: "behind the checkpoint" }).bumpGeneration(2).commit();
  await manifest.begin().delete(samplesTable, [0n, "row 3"]).putDb(7, { name: "newest" }).commit();
  const journal = file.bytes();
  await manifest.close();
  return { clean: file.bytes(), journal };
}

/** A file whose meta slots say another format version; their checksums are right. */
export function ofVersion(bytes: Uint8Array, version: number): Uint8Array {
  const out = bytes.slice();
  const checksum = slotChecksum(new Kernel(kernelModule(undefined)));
  for (let slot = 0; slot < META_SLOTS; slot++) {
    const at = out.subarray(slot * BLOCK_SIZE, (slot + 1) * BLOCK_SIZE);
    const view = new DataView(at.buffer, at.byteOffset, at.length);
    view.setUint16(META_FORMAT, version, true);
    view.setUint32(META_CRC, checksum(at), true);
  }
  if (META_BYTES !== META_SLOTS * BLOCK_SIZE) throw new Error("meta slots are not blocks");
  return out;
}

/** Makes every golden file of the present version, and one of the version before. */
export async function makeGolden(version: number): Promise<Golden[]> {
  const made: Golden[] = [];
  for (const pageSize of PAGE_SIZES) {
    const { clean, journal } = await make(pageSize);
    made.push({ name: `v${version}-${pageSize}-clean`, bytes: clean }, { name: `v${version}-${pageSize}-journal`, bytes: journal });
    if (pageSize === 4096) made.push({ name: `v${version - 1}-${pageSize}-clean`, bytes: ofVersion(clean, version - 1) });
  }
  return made;
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return { u64: value.toString() };
  if (value instanceof Uint8Array) {
    const hex = Array.from(value.subarray(0, 24), (byte) => byte.toString(16).padStart(2, "0")).join("");
    return { bytes: value.length, begin: hex, sum: value.reduce((sum, byte) => (Math.imul(sum, 31) + byte) >>> 0, 7) };
  }
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined).map(([name, one]) => [name, plain(one)]));
}

/** Every row of every table, every change and the cursors, as JSON; ids that follow from entropy are left out. */
export async function contentsOf(manifest: Manifest): Promise<unknown> {
  const tables: Record<string, unknown> = {};
  for (const table of [...BUILT_IN.map(({ table }) => table), owners, samplesTable] as AnyTable[]) {
    tables[table.name] = [...manifest.range(table as never)].map(plain);
  }
  const changes: unknown[] = [];
  for await (const { commitId: _, ...change } of manifest.changes({ from: 1 })) {
    changes.push(plain(change));
    if (change.sequence === manifest.latestChangeSequence()) break;
  }
  return { latest: manifest.latestChangeSequence(), tables, changes };
}
