// Inspections beside a writer: its writes land between the reads of the inspection, one by one, and nothing that it reuses is called damaged.
import { assert, assertEquals } from "@std/assert";
import { isManifestError } from "../../src/errors.ts";
import { checkFile, dumpTables, type Finding, salvage } from "../../src/inspect/mod.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { Manifest } from "../../mod.ts";
import { WrappedStorage } from "../support/counting_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { check, fill, notes } from "./filled.ts";

/** Changes of a file, in order. */
type Change = { readonly at: number; readonly bytes: Uint8Array } | { readonly size: number };

class Recording extends WrappedStorage {
  readonly changes: Change[] = [];

  override write(at: number, from: Uint8Array): void {
    this.changes.push({ at, bytes: from.slice() });
    super.write(at, from);
  }

  override truncate(size: number): void {
    this.changes.push({ size });
    super.truncate(size);
  }
}

/** A file to which a recorded writer goes on writing: so many changes with every so many reads. */
class Written extends WrappedStorage {
  #next = 0;
  #reads = 0;

  constructor(readonly file: MemoryFile, readonly changes: readonly Change[], readonly perReads: number, readonly count: number) {
    super(new MemoryStorage(file, { readOnly: true }));
  }

  get left(): number {
    return this.changes.length - this.#next;
  }

  override read(at: number, into: Uint8Array): number {
    if (++this.#reads % this.perReads === 0) {
      for (let i = 0; i < this.count && this.#next < this.changes.length; i++) {
        const change = this.changes[this.#next++]!;
        if ("size" in change) this.file.truncate(change.size);
        else this.file.write(change.at, change.bytes);
      }
    }
    return super.read(at, into);
  }
}

/** What a writer does that opens a file, commits, makes checkpoints, compacts and closes. */
async function work(start: Uint8Array, seed: number): Promise<Change[]> {
  const random = seeded(seed);
  const storage = new Recording(new MemoryStorage(new MemoryFile(start)));
  const manifest = await Manifest.open(storage, { idleCheckpoint: 0, syncMode: "inline", environment: testEnvironment(seed) });
  for (let i = 0; i < 120; i++) {
    const txn = manifest.begin();
    for (let k = 0; k < 4; k++) txn.put(notes, [random.int(600)], { text: `round ${i} ${"z".repeat(random.int(200))}`, rank: i });
    await txn.commit();
    if (i % 9 === 8) await manifest.checkpoint();
    if (i === 70) await manifest.compact();
  }
  await manifest.close();
  return storage.changes;
}

const made = await fill({ notes: 250, closed: true });
const changes = await work(made.bytes, 71);

test("checkFile: a writer that commits, checkpoints, compacts and closes between its reads is never damage", async () => {
  let restarts = 0;
  let gaveUp = 0;
  for (const [perReads, count] of [[1, 1], [1, 3], [2, 1], [3, 2], [7, 1], [16, 5], [40, 1]] as const) {
    for (const level of ["header", "tree", "deep"] as const) {
      const label = `${count} changes with every ${perReads} reads, level ${level}`;
      const file = new MemoryFile(made.bytes);
      const storage = new Written(file, changes, perReads, count);
      const found: Finding[] = [];
      try {
        const summary = await checkFile(storage, { level, environment: testEnvironment(5), onFinding: (finding) => found.push(finding) });
        restarts += summary.restarts;
        assertEquals(summary.findings.error, 0, `${label}: ${JSON.stringify(found.filter(({ severity }) => severity === "error"))}`);
        assert(summary.verdict === "clean" || summary.verdict === "absorbed", label);
      } catch (error) {
        // A writer that never rests may outrun it; then it says that, and not that anything is damaged.
        assert(isManifestError(error) && error.code === "SNAPSHOT_EXPIRED", `${label}: ${error}`);
        gaveUp++;
      }
      assertEquals(found.filter(({ severity }) => severity === "error"), [], label);
    }
  }
  assert(restarts > 0, "no state was replaced under the check");
  assert(gaveUp < 8, `${gaveUp} times`);
});

test("checkFile: at every moment of a writer's work the file is clean, or absorbed", async () => {
  const file = new MemoryFile(made.bytes);
  let looks = 0;
  for (const [i, change] of changes.entries()) {
    if ("size" in change) file.truncate(change.size);
    else file.write(change.at, change.bytes);
    if (i % 5 !== 0) continue;
    const { verdict, found } = await check(file.bytes());
    assert(verdict === "clean" || verdict === "absorbed", `behind change ${i}: ${JSON.stringify(found)}`);
    looks++;
  }
  assert(looks > 50, `${looks} looks`);
});

test("dumpTables, salvage: beside a writer they give rows or say that the state was replaced, never damage", async () => {
  for (const perReads of [1, 2, 5, 11]) {
    try {
      for await (
        const item of dumpTables(new Written(new MemoryFile(made.bytes), changes, perReads, 1), { environment: testEnvironment(6) })
      ) {
        assert(item.type !== "damage", `one change with every ${perReads} reads: ${JSON.stringify(item)}`);
      }
    } catch (error) {
      assert(isManifestError(error) && ["SNAPSHOT_EXPIRED", "CORRUPT_JOURNAL"].includes(error.code), `${error}`);
    }
    try {
      const source = new Written(new MemoryFile(made.bytes), changes, perReads, 1);
      const { findings } = await salvage(source, undefined, { dryRun: true, environment: testEnvironment(6) });
      assertEquals(findings.error, 0);
    } catch (error) {
      assert(isManifestError(error) && error.code === "SNAPSHOT_EXPIRED", `${error}`);
    }
  }
});
