// A file of at most 128 KiB that holds every kind of page and block, made by the manifest itself.
//
// Its journal is smaller than that of a fresh file (32 KiB instead of 128): the store's own creation is called with a shorter extent, everything behind it is the ordinary engine. Compaction takes back what the
// journal grew to while the tables were made. Two commits lie in the journal: acknowledged, and in no tree yet.
import { BLOCK_SIZE, META_BYTES, META_PAGE_COUNT } from "../../../assembly/format.ts";
import { bytes, defineTable, Manifest, optional, refcounts, text, u53 } from "../../../mod.ts";
import { Kernel } from "../../../src/kernel/kernel.ts";
import { kernelModule } from "../../../src/kernel/loader.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { createFile, freshSlot } from "../../../src/store/order.ts";
import { PageFile } from "../../../src/store/page_file.ts";
import { type TestEnvironment, testEnvironment } from "../environment.ts";
import { type Random, seeded } from "../random.ts";

/** Most bytes that the file may have. */
export const SMALL_MOST = 128 << 10;
const JOURNAL_PAGES = 8;
const ROUNDS = 3;

/** A table of the user. */
export const notes = defineTable({ name: "notes", key: [text("name")], value: { n: u53(), body: optional(bytes()) } });

/** What the manifest must say of the file, by hand. */
export interface SmallFacts {
  readonly databases: readonly [number, string][];
  readonly notes: readonly [string, number, Uint8Array | undefined][];
  readonly cursor: { readonly name: string; readonly next: number };
  readonly sequence: number;
  readonly strong: number;
}

/** The file in two states. */
export interface SmallFile {
  readonly seed: number;
  /** Two acknowledged groups are in the journal alone. */
  readonly crashed: Uint8Array;
  /** Closed in order: everything is in the trees. */
  readonly closed: Uint8Array;
  /** How many of the writes in `history` were made when the crashed file was taken. */
  readonly before: number;
  /** Each write of a whole page or block, in order: what a place has held before. */
  readonly history: readonly { readonly at: number; readonly data: Uint8Array }[];
  readonly facts: SmallFacts;
}

/** Keeps what is written. */
class Recording extends MemoryStorage {
  readonly #history: { at: number; data: Uint8Array }[];

  constructor(file: MemoryFile, history: { at: number; data: Uint8Array }[]) {
    super(file);
    this.#history = history;
  }

  override write(at: number, from: Uint8Array): void {
    for (let done = 0; done + BLOCK_SIZE <= from.length; done += BLOCK_SIZE) {
      this.#history.push({ at: at + done, data: from.slice(done, done + BLOCK_SIZE) });
    }
    super.write(at, from);
  }
}

/** The store's own creation, with a journal of so many pages of 4 KiB, at page `at`. */
export async function createSmall(
  file: MemoryFile,
  environment: TestEnvironment,
  journalPages: number,
  at: number = META_BYTES / BLOCK_SIZE,
): Promise<void> {
  const storage = new MemoryStorage(file);
  const page = new PageFile(storage, environment, false, 1 << 20);
  const slot = freshSlot(12, environment.random);
  new DataView(slot.buffer).setUint32(META_PAGE_COUNT, at + journalPages, true);
  const kernel = new Kernel(kernelModule(undefined));
  await createFile(page, slot, at + journalPages, BLOCK_SIZE, { page: at, pages: journalPages }, 0, kernel);
  storage.close();
}

/** Options under which the file is made and looked at. */
export const SMALL_OPTIONS = { syncMode: "inline", idleCheckpoint: 0, cacheBytes: 1 << 18, pollMs: 0, changeCache: false } as const;

/** Makes the file; everything in it follows from the seed. */
export async function smallFile(seed: number): Promise<SmallFile> {
  const random = seeded(seed);
  const environment = testEnvironment(seed);
  const file = new MemoryFile();
  await createSmall(file, environment, JOURNAL_PAGES);
  const options = { ...SMALL_OPTIONS, environment, logRetention: { changes: 2 } };
  const history: { at: number; data: Uint8Array }[] = [];
  const open = (): Promise<Manifest> => Manifest.open(new Recording(file, history), options);
  let manifest = await open();
  const rows = await fill(manifest, random);
  const acknowledged = manifest.stats().cursors[0]!.nextSequence;
  // Twice: what the first moves lies where the second can put other pages.
  await manifest.compact();
  await manifest.compact();
  await manifest.close();
  // Each opening and closing without a change leaves two meta generations that name the same trees: what only the ones before reached is free for the checkpoint that follows, and the tail is cut off.
  for (let round = 0; round < ROUNDS; round++) {
    manifest = await open();
    await manifest.close();
    manifest = await open();
    await putNote(manifest, rows, "note 06", round);
    await manifest.close();
  }
  manifest = await open();
  await manifest.close();
  manifest = await open();
  await commitOnTop(manifest, random, rows);
  const crashed = file.bytes();
  const before = history.length;
  const facts: SmallFacts = {
    databases: [[1, "events"], [2, "__proto__"]],
    notes: [...rows].sort(([a], [b]) => a < b ? -1 : 1).map(([name, { n, body }]) => [name, n, body]),
    cursor: { name: "replica", next: acknowledged },
    sequence: manifest.latestChangeSequence(),
    strong: 1,
  };
  await manifest.close();
  return { seed, crashed, closed: file.bytes(), before, history, facts };
}

type Rows = Map<string, { n: number; body: Uint8Array | undefined }>;

async function putNote(manifest: Manifest, rows: Rows, name: string, n: number, body?: Uint8Array): Promise<void> {
  rows.set(name, { n, body });
  await manifest.begin().put(notes, [name], body === undefined ? { n } : { n, body }).commit();
}

async function fill(manifest: Manifest, random: Random): Promise<Rows> {
  const rows: Rows = new Map();
  const put = (name: string, n: number, body?: Uint8Array): Promise<void> => putNote(manifest, rows, name, n, body);
  await put("long", 1, random.bytes(5000));
  await manifest.begin().putDb(1, { name: "events" }).putDb(2, { name: "__proto__" })
    .upsertChunk([1, 1], { fileName: "c-1.seg", generation: 7, sizeBytes: 1 << 20 })
    .publishSnapshot([1, 1], { sourceGeneration: 7, chunks: [{ chunkId: 1 }] }).commit();
  // The snapshot alone holds the object from here on.
  await manifest.begin().deleteChunk([1, 1]).commit();
  const cursor = await manifest.registerChangeCursor("replica", { start: "oldest" });
  for (let i = 0; i < 7; i++) await put(`note ${String(i).padStart(2, "0")}`, random.int(1 << 20), random.bytes(random.int(60)));
  await manifest.acknowledgeChanges(cursor.id, manifest.latestChangeSequence());
  // The log is looked at now and then: acknowledgements until the oldest changes, and the long value's with them, are gone.
  for (let i = 0; i < 70 && manifest.stats().changes.oldest === 1; i++) {
    await put("note 00", i);
    await manifest.acknowledgeChanges(cursor.id, manifest.latestChangeSequence());
  }
  return rows;
}

/** Two commits, each a group of its own: a put with an overflow value, and a deletion with an acknowledgement. */
async function commitOnTop(manifest: Manifest, random: Random, rows: Rows): Promise<void> {
  const body = random.bytes(2300);
  rows.set("later", { n: 9, body });
  await manifest.begin().put(notes, ["later"], { n: 9, body }).commit();
  rows.delete("note 03");
  rows.set("note 04", { n: 4, body: undefined });
  await manifest.begin().delete(notes, ["note 03"]).put(notes, ["note 04"], { n: 4 }).commit();
}

/** Compares what the manifest says of both files with what was done by hand. */
export async function checkFacts({ seed, crashed, closed, facts }: SmallFile): Promise<void> {
  for (const bytes of [crashed, closed]) {
    const manifest = await Manifest.open(new MemoryStorage(bytes), {
      ...SMALL_OPTIONS,
      readOnly: true,
      environment: testEnvironment(seed),
    });
    const found: SmallFacts = {
      databases: [...manifest.listDbs()].map(([[id], { name }]) => [id, name ?? ""]),
      notes: [...manifest.range(notes)].map(([[name], { n, body }]) => [name, n, body]),
      cursor: { name: manifest.stats().cursors[0]!.name, next: manifest.stats().cursors[0]!.nextSequence },
      sequence: manifest.latestChangeSequence(),
      strong: [...manifest.range(refcounts)][0]![1].strong,
    };
    const [have, want] = [found, facts].map((each) => JSON.stringify(each, (_, value) => value instanceof Uint8Array ? [...value] : value));
    if (have !== want) throw new Error(`the small file holds ${have}, expected ${want}`);
    await manifest.close();
  }
}
