// An iteration that has met an error goes on failing: it never skips what it could not read.
import { assert, assertEquals } from "@std/assert";
import { TABLE_ID_CHANGES } from "../../assembly/format.ts";
import { changeLog, defineTable, Manifest, text, u53 } from "../../mod.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { bigEndian, stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { FaultyStorage } from "../support/faulty_storage.ts";
import { test } from "../support/harness.ts";

const notes = defineTable({ name: "notes", key: [u53("n")], value: { body: text() } });
const ROWS = 600;
const BAD = 100;

/** A manifest with one record that does not decode. */
async function withBadRecord(): Promise<Manifest> {
  const disk = new SimDisk();
  const options = { idleCheckpoint: 0, environment: testEnvironment(1) };
  const manifest = await Manifest.open(disk.open(), { create: true, ...options });
  const txn = manifest.begin();
  for (let n = 0; n < ROWS; n++) txn.put(notes, n, { body: `${n}` });
  await txn.commit();
  await manifest.close();
  const store = await Store.open(disk.open(), options);
  const table = store.table("notes")!.id;
  await store.commit({
    stage: () => stageRaw(store.kernel, [{ kind: "put", table, key: bigEndian(BAD), value: new Uint8Array([255, 255]) }]),
    change: false,
  });
  await store.close();
  return await Manifest.open(disk.open(), options);
}

test("Range: behind a record that does not decode every further step fails the same, in both directions and for every kind", async () => {
  const manifest = await withBadRecord();
  for (const reverse of [false, true]) {
    for (const range of [manifest.range(notes, { reverse }), manifest.values(notes, { reverse })]) {
      const iterator = range[Symbol.iterator]();
      let seen = 0;
      const first = await errorOf(() => {
        for (; seen <= ROWS; seen++) iterator.next();
      });
      assertEquals(first.code, "CORRUPT_RECORD");
      assert(seen <= (reverse ? ROWS - 1 - BAD : BAD), `${seen} rows were handed out`);
      for (let again = 0; again < 3; again++) assert(await errorOf(() => iterator.next()) === first);
    }
  }
  await manifest.close();
});

test("Range: behind a read that fails every further step fails; another range begins where it stood", async () => {
  const disk = new SimDisk();
  const options = { idleCheckpoint: 0, environment: testEnvironment(1), cacheBytes: 1 << 18 };
  const made = await Manifest.open(disk.open(), { create: true, ...options });
  for (let n = 0; n < ROWS; n += 50) {
    const txn = made.begin();
    for (let i = n; i < n + 50; i++) txn.put(notes, i, { body: `${i}`.padEnd(900, ".") });
    await txn.commit();
  }
  await made.close();
  const storage = new FaultyStorage(disk.open({ readOnly: true }));
  const manifest = await Manifest.open(storage, { ...options, readOnly: true });
  const range = manifest.range(notes);
  const iterator = range[Symbol.iterator]();
  const seen: number[] = [];
  for (let i = 0; i < 40; i++) seen.push(iterator.next().value[0][0]);
  storage.plan({ at: 0, errno: "EIO", kinds: ["read"], times: 1 });
  const error = await errorOf(() => {
    for (;;) seen.push(iterator.next().value[0][0]);
  });
  assertEquals(error.code, "IO_READ");
  assert(await errorOf(() => iterator.next()) === error);
  for (const [[n]] of manifest.range(notes, { after: range.position })) seen.push(n);
  assertEquals(seen, Array.from({ length: ROWS }, (_, n) => n));
  await manifest.close();
});

test("Range: of a computed table fails again behind a change that does not decode", async () => {
  const disk = new SimDisk();
  const options = { idleCheckpoint: 0, environment: testEnvironment(1) };
  const made = await Manifest.open(disk.open(), { create: true, ...options });
  for (let db = 1; db <= 5; db++) await made.begin().putDb(db, { name: "d" }).commit();
  await made.close();
  const store = await Store.open(disk.open(), options);
  const ops = [{ kind: "put" as const, table: TABLE_ID_CHANGES, key: bigEndian(3), value: new Uint8Array([9]), hidden: true }];
  await store.commit({ stage: () => stageRaw(store.kernel, ops), change: false });
  await store.close();
  const manifest = await Manifest.open(new MemoryStorage(disk.live()), options);
  const iterator = manifest.range(changeLog)[Symbol.iterator]();
  const error = await errorOf(() => {
    for (let i = 0; i < 9; i++) iterator.next();
  });
  assert(await errorOf(() => iterator.next()) === error);
  await manifest.close();
});
