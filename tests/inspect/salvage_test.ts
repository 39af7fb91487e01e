// Salvage: what is undamaged is kept as it was, nothing is made up, nobody is left without word, and the source stays as it is.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { PAGE_BITMAP, PAGE_BRANCH, PAGE_HEADER, PAGE_LEAF, PAGE_RUN, PAGE_TYPE } from "../../assembly/format.ts";
import { Manifest } from "../../mod.ts";
import { isManifestError, ManifestError } from "../../src/errors.ts";
import { checkFile, salvage, type SalvageOptions, type SalvageReport } from "../../src/inspect/mod.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { WrappedStorage } from "../support/counting_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { BLOCK, check, damaged, fill, type Filled, pagesOfKind, rot, rowsOf } from "./filled.ts";

const filled = await fill({ notes: 200 });
const { bytes, pageSize } = filled;
/** Tables whose rows follow from others, or hold counts and holds that a loss elsewhere changes. */
const DERIVED = ["gc_refcounts", "gc_collectable", "job_pending_index", "job_state_index"];

interface Salvaged {
  readonly report: SalvageReport;
  readonly file: MemoryFile;
  readonly rows: Map<string, Map<string, string>>;
}

/** Salvages an image into a new file and opens that: it must be whole, and the source untouched. */
async function rescue(image: Uint8Array, options: SalvageOptions = {}): Promise<Salvaged> {
  const source = new MemoryFile(image);
  const file = new MemoryFile();
  const report = await salvage(new MemoryStorage(source), new MemoryStorage(file), { environment: testEnvironment(8), ...options });
  assertEquals(source.bytes(), image);
  assertEquals(report.verified, true);
  assertEquals((await check(file.bytes(), { level: "deep" })).verdict, "clean");
  const manifest = await Manifest.open(new MemoryStorage(file), { readOnly: true, environment: testEnvironment(9) });
  const rows = rowsOf(manifest);
  assertEquals(manifest.fileId, report.fileId);
  await manifest.close();
  return { report, file, rows };
}

/** At most so many of a list, from all over it. */
const someOf = <T>(list: readonly T[], most: number): T[] => list.filter((_, i) => i % Math.ceil(list.length / most) === 0);

const open = (file: MemoryFile): Promise<Manifest> =>
  Manifest.open(new MemoryStorage(file), { idleCheckpoint: 0, environment: testEnvironment(10) });

const codeOf = async (call: () => Promise<unknown>): Promise<string> => {
  const error = await assertRejects(call);
  assert(isManifestError(error), `${error}`);
  return error.code;
};

/** Rows by table that are missing; every row that is there must be as it was. */
function missing(rows: Salvaged["rows"], { rows: wanted }: Filled, label: string): Map<string, number> {
  const gone = new Map<string, number>();
  for (const [table, all] of wanted) {
    if (DERIVED.includes(table)) continue;
    const found = rows.get(table) ?? new Map<string, string>();
    for (const [key, value] of found) {
      // A database without its row is made anew, without a name.
      if (table === "db" && found.get(key)!.includes('"name":""')) continue;
      assertEquals(all.get(key), value, `${label}: a row of ${table} is made up, or another`);
    }
    const lost = [...all.keys()].filter((key) => !found.has(key)).length;
    if (lost > 0) gone.set(table, lost);
  }
  return gone;
}

for (const size of [4096, 65536]) {
  test(`salvage: of an undamaged file everything is kept, from each kind of state, with ${size >> 10} KiB pages`, async () => {
    for (const closed of [true, false]) {
      const made = await fill({ pageSize: size, notes: 120, closed });
      for (const from of ["best", "older", "scan"] as const) {
        // Behind a clean close the generation before may be of another epoch, without the journal in between.
        if (closed && from === "older") continue;
        const { report, rows, file } = await rescue(made.bytes, { from });
        assertEquals(rows, made.rows);
        assertEquals([report.whole, report.lost, report.pagesDamaged], [from === "best", 0, 0]);
        assertEquals(report.frames > 0, !closed);
        assertEquals(report.sequenceBefore, made.sequence);
        assert(report.fileId !== made.fileId && report.historyId !== report.fileId && report.sourceFileId === made.fileId);
        assertEquals((await check(file.bytes(), { level: "header" })).pageSize, size);
      }
    }
  });
}

test("salvage: with any one page damaged the best state keeps every other row, and tells how many are lost", async () => {
  let lossy = 0;
  for (const kind of [PAGE_LEAF, PAGE_BRANCH, PAGE_RUN, PAGE_BITMAP]) {
    for (const page of someOf(pagesOfKind(bytes, pageSize, kind), 5)) {
      const label = `page ${page} of kind ${kind}`;
      const image = rot(bytes, page, pageSize);
      const dry = await salvage(new MemoryStorage(image), undefined, { dryRun: true, environment: testEnvironment(8) });
      if (dry.whole) continue;
      lossy++;
      const { report, rows } = await rescue(image);
      const gone = missing(rows, filled, label);
      assertEquals(report.whole, false, label);
      for (const table of report.tables) {
        if (table.rebuilt || DERIVED.includes(table.name)) continue;
        const lost = gone.get(table.name) ?? 0;
        // Rows of the tree that the journal deletes or writes again are counted lost and not missed.
        if (table.lost !== undefined && !table.name.startsWith("#")) {
          assert(table.lost >= lost, `${label}: ${table.name} lost ${lost}, said ${table.lost}`);
        }
        if (kind === PAGE_RUN) assert(lost <= 1, `${label}: an overflow value takes ${lost} rows with it`);
      }
    }
  }
  assert(lossy > 4, `${lossy} pages`);
});

test("salvage: a scan keeps everything that older pages and the journal still tell; nothing is made up", async () => {
  let whole = 0;
  for (const kind of [PAGE_LEAF, PAGE_BRANCH]) {
    for (const page of someOf(pagesOfKind(bytes, pageSize, kind), 4)) {
      const { report, rows } = await rescue(rot(bytes, page, pageSize), { from: "scan" });
      for (const [key, value] of rows.get("notes") ?? []) {
        assert(filled.ever.has(key + value), `page ${page}: a note that never was: ${key} ${value}`);
      }
      const gone = missing(rows, filled, `page ${page}`);
      // All that changed since the generation before is in the journal: nothing is lost but what both generations have on this page alone.
      assert(gone.size <= 1, `page ${page}: ${[...gone.keys()]}`);
      for (const [table, lost] of gone) assertEquals(report.tables.find(({ name }) => name === table)!.lost, lost);
      if (gone.size === 0) whole++;
    }
  }
  assert(whole > 3, `${whole} whole`);
});

test("salvage: leaves below a branch that is lost in both generations are found by the space bitmap", async () => {
  const made = await fill({ notes: 2500 });
  // Two more checkpoints that leave the table alone: both generations share its branch.
  const file = new MemoryFile(made.bytes);
  const manifest = await open(file);
  for (const db of [1, 2, 3]) {
    await manifest.begin().putDb(db, { name: `again ${db}` }).commit();
    await manifest.checkpoint();
  }
  await manifest.close();
  const image = file.bytes();
  let rescued = 0;
  for (const page of pagesOfKind(image, pageSize, PAGE_BRANCH)) {
    const broken = rot(image, page, pageSize);
    const { found } = await check(broken);
    if (!found.some(({ table, page: at }) => table === "notes" && at === page)) continue;
    const best = await rescue(broken);
    assert((best.rows.get("notes")?.size ?? 0) < 100);
    const scan = await rescue(broken, { from: "scan" });
    assertEquals(scan.rows.get("notes"), made.rows.get("notes"));
    rescued++;
  }
  assert(rescued > 0);
});

/** Leaves are others from their `times`-th read on, as when a writer has put other pages in their places. */
class Replaced extends WrappedStorage {
  readonly #reads = new Map<number, number>();

  constructor(image: Uint8Array, readonly times: number) {
    super(new MemoryStorage(image, { readOnly: true }));
  }

  override read(at: number, into: Uint8Array): number {
    const count = super.read(at, into);
    for (let from = 0; from + pageSize <= count; from += pageSize) {
      const page = (at + from) / pageSize;
      const reads = (this.#reads.get(page) ?? 0) + 1;
      this.#reads.set(page, reads);
      if (reads >= this.times && into[from + PAGE_TYPE] === PAGE_LEAF) into.subarray(from + PAGE_HEADER, from + pageSize).fill(0x5a);
    }
    return count;
  }
}

test("salvage: a leaf that no page leads to and that is another one when it is read again is left out", async () => {
  const made = await fill({ notes: 2500 });
  const branches = pagesOfKind(made.bytes, pageSize, PAGE_BRANCH);
  let rows = Infinity;
  for (const times of [2, 3, 4]) {
    for (const page of branches) {
      const target = new MemoryFile();
      const source = new Replaced(rot(made.bytes, page, pageSize), times);
      const { verified, from } = await salvage(source, new MemoryStorage(target), { from: "scan", environment: testEnvironment(8) });
      assertEquals([verified, from], [true, "scan"]);
      const manifest = await Manifest.open(new MemoryStorage(target), { readOnly: true, environment: testEnvironment(9) });
      rows = Math.min(rows, rowsOf(manifest).get("notes")?.size ?? 0);
      await manifest.close();
    }
  }
  assert(rows < 2500, "no leaf was another one");
});

test("salvage: the newest generation destroyed is refused for the best state, and whole from the older one", async () => {
  const { generations } = await check(bytes, { level: "header" });
  const pair = generations.findIndex(({ newest }) => newest);
  const image = damaged(bytes, (copy) => [pair, pair + 2].forEach((slot) => copy[slot * BLOCK + 90]! ^= 1));
  assertEquals(await codeOf(() => rescue(image)), "CORRUPT_HEADER");
  for (const from of ["older", "scan"] as const) {
    const { report, rows } = await rescue(image, { from });
    assertEquals(rows, filled.rows);
    assertEquals(report.whole, false);
    assert(report.sequenceBefore >= filled.sequence);
  }
});

for (const size of [4096, 65536]) {
  test(`salvage: with all four meta slots gone a scan finds page size, file, tables and journal, ${size >> 10} KiB pages`, async () => {
    const made = size === pageSize ? filled : await fill({ pageSize: size, notes: 120 });
    const image = damaged(made.bytes, (copy) => copy.fill(0xee, 0, 16384));
    for (const from of ["best", "older"] as const) assertEquals(await codeOf(() => rescue(image, { from })), "NOT_A_MANIFEST");
    const { report, rows, file } = await rescue(image, { from: "scan" });
    assertEquals(rows, made.rows);
    assertEquals([report.generation, report.sourceFileId], [undefined, undefined]);
    assert(report.sequenceAfter > made.sequence);
    assertEquals((await check(file.bytes())).pageSize, size);
  });
}

test("salvage: of a file that was cut, what is in front of the cut is kept", async () => {
  const { pages } = await check(bytes);
  for (const part of [0.97, 0.5]) {
    const image = bytes.slice(0, Math.floor(pages!.total * part) * pageSize);
    for (const from of ["best", "scan"] as const) {
      const { report, rows } = await rescue(image, { from });
      assertEquals(report.whole, false);
      for (const [key, value] of rows.get("notes") ?? []) assert(filled.ever.has(key + value));
      assert(report.kept > 0 && report.findings.error > 0);
    }
  }
});

test("salvage: an acknowledged journal group damaged keeps what is before it; a rebuilt block loses nothing", async () => {
  const { journal } = await check(bytes);
  assert(journal!.groups > 3);
  let rebuilt = 0;
  let cut = 0;
  for (let at = 16384; at < bytes.length; at += BLOCK) {
    if (bytes[at + 4] !== 0x57 || bytes[at + 5] !== 0x42 || (rebuilt > 1 && cut > 1)) continue;
    const one = damaged(bytes, (copy) => copy[at + 200]! ^= 1);
    if ((await check(one)).verdict === "absorbed") {
      assertEquals((await rescue(one)).rows, filled.rows);
      rebuilt++;
    }
    const two = damaged(bytes, (copy) => [at, at + BLOCK].forEach((offset) => copy[offset + 200]! ^= 1));
    if ((await check(two)).verdict !== "damaged") continue;
    const { report, rows } = await rescue(two);
    assertEquals(report.whole, false);
    for (const [key, value] of rows.get("notes")!) assert(filled.ever.has(key + value));
    assert(report.frames < journal!.frames);
    assert(report.sequenceAfter > filled.sequence);
    cut++;
  }
  assert(rebuilt > 1 && cut > 1, `${rebuilt} rebuilt, ${cut} cut`);
});

test("salvage: cursors are told of the gap, go on behind it, and the sequence never goes back", async () => {
  for (const from of ["best", "scan"] as const) {
    const { report, file } = await rescue(bytes, { from });
    assertEquals(report.sequenceBefore, filled.sequence);
    assert(report.sequenceAfter > filled.sequence);
    const manifest = await open(file);
    assertEquals(manifest.latestChangeSequence(), report.sequenceAfter);
    const [cursor] = manifest.listChangeCursors();
    assertEquals([cursor!.name, cursor!.nextSequence], ["slow", 3]);
    assertEquals(await codeOf(() => manifest.fetchChangePage(cursor!.id)), "CURSOR_TRUNCATED");
    // One that had everything is told as well: what is in the file now may not be what it has seen.
    assertEquals(
      await codeOf(async () => {
        for await (const _ of manifest.changes({ from: filled.sequence + 1 })) break;
      }),
      "CURSOR_TRUNCATED",
    );
    await manifest.begin().putDb(77, { name: "behind the gap" }).commit();
    await manifest.acknowledgeChanges(cursor!.id, cursor!.oldestSequence);
    const page = await manifest.fetchChangePage(cursor!.id);
    assertEquals(page.changes.map(({ sequence }) => sequence), [report.sequenceAfter + 1]);
    await manifest.close();
    const again = await open(file);
    assertEquals(again.latestChangeSequence(), report.sequenceAfter + 1);
    await again.close();
  }
});

test("salvage: an opened file of before anything was committed to it keeps the numbers it goes on behind", async () => {
  const { report, file } = await rescue(bytes);
  for (let round = 0; round < 3; round++) {
    const manifest = await open(file);
    assertEquals(manifest.latestChangeSequence(), report.sequenceAfter);
    assertEquals((await manifest.check({ level: "deep" })).ok, true);
    await manifest.close();
  }
  const twice = await rescue(file.bytes());
  assert(twice.report.sequenceAfter > report.sequenceAfter);
});

test("salvage: commit ids of the source are never taken for commits of the new file", async () => {
  const source = new MemoryFile(bytes);
  const before = await open(source);
  const { commitId } = await before.begin().putDb(50, { name: "last" }).commit();
  await before.close();
  const { file } = await rescue(source.bytes());
  const manifest = await open(file);
  assertEquals((await manifest.resolve(commitId)).state, "expired");
  const own = await manifest.begin().putDb(51, { name: "own" }).commit();
  assertEquals((await manifest.resolve(own.commitId)).state, "applied");
  await manifest.close();
});

test("salvage: an object whose snapshot is lost is held and never offered for deletion", async () => {
  const before = filled.rows.get("snapshot_index")!.size;
  let met = 0;
  for (const page of pagesOfKind(bytes, pageSize, PAGE_LEAF)) {
    const image = rot(bytes, page, pageSize);
    const dry = await salvage(new MemoryStorage(image), undefined, { dryRun: true, environment: testEnvironment(8) });
    if ((dry.tables.find(({ name }) => name === "snapshot_index")?.lost ?? 0) !== before) continue;
    const { report, file } = await rescue(image);
    assertEquals(report.objectsHeld, 24);
    const manifest = await open(file);
    const offered: number[] = [];
    await manifest.reclaim(1000, (object) => void offered.push(object.chunkId + object.originDb * 100));
    // Only what had been dropped before the damage, and what was never listed.
    assert(offered.every((object) => object >= 400 || object % 100 > 8), `${offered}`);
    await manifest.close();
    met++;
  }
  assert(met > 0);
});

test("salvage: a dry run tells the same and writes nothing", async () => {
  for (const from of ["best", "older", "scan"] as const) {
    for (const page of pagesOfKind(bytes, pageSize, PAGE_LEAF).filter((_, i) => i % 13 === 5)) {
      const image = rot(bytes, page, pageSize);
      const dry = await salvage(new MemoryStorage(image, { readOnly: true }), undefined, {
        from,
        dryRun: true,
        environment: testEnvironment(8),
      });
      const { report } = await rescue(image, { from });
      const numbers = ({ kept, lost, frames, whole, pagesDamaged, sequenceBefore, sequenceAfter, tables }: SalvageReport): unknown[] => [
        [kept, lost, frames, whole, pagesDamaged, sequenceBefore, sequenceAfter],
        tables.filter(({ rebuilt }) => !rebuilt),
      ];
      assertEquals(numbers(dry), numbers(report));
      assertEquals([dry.dryRun, dry.fileId, dry.verified], [true, undefined, undefined]);
    }
  }
});

test("salvage: never in place, never into what holds something, never without a target", async () => {
  const file = new MemoryFile(bytes);
  assertEquals(await codeOf(() => salvage(new MemoryStorage(file), new MemoryStorage(file))), "INVALID_ARGUMENT");
  assertEquals(file.bytes(), bytes);
  const other = new MemoryFile(new Uint8Array([1]));
  assertEquals(await codeOf(() => salvage(new MemoryStorage(file), new MemoryStorage(other))), "EXISTS");
  assertEquals(other.bytes(), new Uint8Array([1]));
  assertEquals(await codeOf(() => salvage(new MemoryStorage(file), undefined)), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => salvage(new MemoryStorage(file), new MemoryStorage(), { from: "newest" as never })), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => salvage(new MemoryStorage(), new MemoryStorage())), "EMPTY_FILE");
  assertEquals(
    await codeOf(() => salvage(new MemoryStorage(new Uint8Array(50_000).fill(3)), new MemoryStorage(), { from: "scan" })),
    "NOT_A_MANIFEST",
  );
});

/** Storage whose n-th write fails, and all behind it. */
class Failing extends WrappedStorage {
  #left: number;

  constructor(file: MemoryFile, writes: number) {
    super(new MemoryStorage(file));
    this.#left = writes;
  }

  override write(at: number, from: Uint8Array): void {
    if (this.#left-- <= 0) throw new ManifestError("NO_SPACE", "Cannot write: no space");
    super.write(at, from);
  }

  override truncate(size: number): void {
    // What crashes does not tidy up.
    if (this.#left > 0) super.truncate(size);
  }
}

test("salvage: interrupted at any write the target is no manifest", async () => {
  let finished = false;
  let failures = 0;
  for (let writes = 0; !finished; writes += writes < 8 ? 1 : 3) {
    const file = new MemoryFile();
    try {
      await salvage(new MemoryStorage(bytes, { readOnly: true }), new Failing(file, writes), { environment: testEnvironment(8) });
      finished = true;
    } catch (error) {
      assert(isManifestError(error), `${error}`);
      failures++;
      const { verdict } = await check(file.bytes(), { level: "header" });
      assertEquals(verdict, "unreadable", `${writes} writes`);
      assert(isManifestError(await assertRejects(() => open(file))), `${writes} writes: the half made file was opened`);
    }
  }
  assert(failures > 8, `${failures} failures`);
});

/** Storage that writes another bit than it is given, once. */
class Lying extends WrappedStorage {
  #left: number;

  constructor(file: MemoryFile, writes: number) {
    super(new MemoryStorage(file));
    this.#left = writes;
  }

  override write(at: number, from: Uint8Array): void {
    const lies = at >= 16384 + (128 << 10) && this.#left-- === 0;
    super.write(at, lies ? damaged(from, (copy) => copy[copy.length >> 1]! ^= 4) : from);
  }
}

test("salvage: a new file that does not read back as it was written is none", async () => {
  let refused = 0;
  for (let writes = 0; writes < 24; writes += 6) {
    const file = new MemoryFile();
    try {
      await salvage(new MemoryStorage(bytes, { readOnly: true }), new Lying(file, writes), { environment: testEnvironment(8) });
      assertEquals((await check(file.bytes(), { level: "deep" })).verdict, "clean");
    } catch (error) {
      assert(isManifestError(error) && ["IO_WRITE", "CORRUPT_PAGE"].includes(error.code), `${error}`);
      assertEquals(file.size, 0);
      refused++;
    }
  }
  assert(refused > 1, `${refused} refused`);
});

test("salvage: ends when it is told to, with the target emptied and unlocked", async () => {
  const file = new MemoryFile();
  const controller = new AbortController();
  const environment = testEnvironment(8);
  let turns = 0;
  const ending = {
    ...environment,
    yield: () => {
      if (++turns === 6) controller.abort();
      return Promise.resolve();
    },
  };
  const target = new MemoryStorage(file);
  assertEquals(
    await codeOf(() => salvage(new MemoryStorage(bytes), target, { signal: controller.signal, environment: ending })),
    "ABORTED",
  );
  assertEquals(file.size, 0);
  target.lock({ now: 0, nonce: "0123456789abcdef" }).release();
  assertEquals((await checkFile(target)).verdict, "unreadable");
});
