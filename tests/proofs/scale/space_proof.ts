// Space is used again: a million overwrites do not grow the file, and compaction gives back what deleted rows leave.
import { assert, assertEquals } from "@std/assert";
import { statSync } from "node:fs";
import { join } from "node:path";
import { TABLE_ID_CHANGES, TABLE_ID_COMMITS, TABLE_ID_TABLES } from "../../../assembly/format.ts";
import { bytes, defineTable, Manifest, u53 } from "../../../mod.ts";
import { openFile } from "../../../src/storage/file.ts";
import { Store } from "../../../src/store/store.ts";
import { withFolder } from "../../support/folder.ts";
import { test } from "../../support/harness.ts";
import { figure } from "../../support/proof_child.ts";
import { isValue, valueBytes } from "../../support/proof_plan.ts";
import { seeded } from "../../support/random.ts";

const ROWS = 10_000;
const COMMITS = 10_000;
const PER_COMMIT = 100;
const FIRST = 200_000;
const SEED = 8100;
const table = defineTable({ name: "rows", key: [u53("id")], value: { data: bytes() } });

/** Bytes of all keys and values of a file: of the rows alone, and with the store's own tables (change log, commit ids, registry). */
async function liveBytes(path: string): Promise<{ rows: number; all: number }> {
  const store = await Store.open(openFile(path, { readOnly: true }), { readOnly: true });
  const live = { rows: 0, all: 0 };
  {
    using view = store.read();
    const mine = view.table("rows")!.id;
    for (const id of [TABLE_ID_TABLES, TABLE_ID_CHANGES, TABLE_ID_COMMITS, ...view.tables().map((info) => info.id)]) {
      using scan = view.tree(id).scan();
      while (scan.next(512, 1 << 18) > 0) {
        for (let row = 0; row < scan.rows; row++) {
          const size = scan.key(row).length + scan.value(row).length;
          live.all += size;
          if (id === mine) live.rows += size;
        }
      }
    }
  }
  await store.close();
  return live;
}

const kib = (size: number): string => `${(size / 1024).toFixed(0)} KiB`;

test("Manifest: 1,000,000 overwrites leave a file no larger than 200,000 do, and compact() gives back what deleted rows leave", () =>
  withFolder(async (folder) => {
    const path = join(folder, "m.waybill");
    const random = seeded(SEED);
    const manifest = await Manifest.open(path, { create: true });
    const rows = new Map<number, { seed: number; length: number }>();
    let sizeThen = 0, largestThen = 0, largest = 0;
    for (let commit = 0; commit < COMMITS; commit++) {
      const txn = manifest.begin();
      for (let i = 0; i < PER_COMMIT; i++) {
        // The first commits put every row once.
        const id = commit * PER_COMMIT + i < ROWS ? commit * PER_COMMIT + i : random.int(ROWS);
        const value = { seed: random.u32(), length: random.between(20, 400) };
        rows.set(id, value);
        txn.put(table, [id], { data: valueBytes(value) });
      }
      await txn.commit();
      largest = Math.max(largest, statSync(path).size);
      if ((commit + 1) * PER_COMMIT === FIRST) {
        sizeThen = statSync(path).size;
        largestThen = largest;
      }
    }
    const size = statSync(path).size;
    assertEquals(manifest.count(table), ROWS);
    figure(
      `space: ${kib(sizeThen)} after 200,000 overwrites of ${ROWS} rows, ${kib(size)} after 1,000,000 in ${COMMITS} commits (at most ${
        kib(largest)
      } between)`,
    );
    assert(largest <= largestThen * 1.1, `seed ${SEED}: at most ${largest} bytes, ${largestThen} up to ${FIRST}`);
    assert(size <= sizeThen * 1.1, `seed ${SEED}: ${size} bytes, ${sizeThen} after ${FIRST}`);

    const gone = random.shuffle([...rows.keys()]).slice(0, ROWS * 0.9);
    for (let at = 0; at < gone.length; at += 90) {
      const txn = manifest.begin();
      for (const id of gone.slice(at, at + 90)) {
        rows.delete(id);
        txn.delete(table, [id]);
      }
      await txn.commit();
    }
    const before = statSync(path).size;
    await manifest.compact();
    const after = statSync(path).size;
    for (const [[id], { data }] of manifest.range(table)) assert(isValue(data, rows.get(id)!), `row ${id}`);
    assertEquals(manifest.count(table), rows.size);
    const report = await manifest.check();
    assertEquals(report.problems, []);
    await manifest.close();
    const live = await liveBytes(path);
    const limit = live.all * 1.5 + 256 * 1024;
    figure(
      `space: compact() after deleting 90 %: ${kib(before)} → ${kib(after)}, closed ${kib(statSync(path).size)}; live keys and values ${
        kib(live.all)
      } (rows ${kib(live.rows)}, the rest change log and commit ids); limit ${kib(limit)}`,
    );
    assert(after <= limit, `seed ${SEED}: ${after} bytes after compact(), limit ${limit}`);
    assert(statSync(path).size <= limit, `seed ${SEED}: ${statSync(path).size} bytes when closed, limit ${limit}`);
  }));
