// The computed tables: change log, journal and runtime state, read like any other table and never written.
import { assert, assertEquals } from "@std/assert";
import {
  type Change,
  changeLog,
  defineTable,
  type Manifest,
  pendingBatches,
  type Range,
  type ReadTransaction,
  runtimeStates,
  text,
  u53,
} from "../../mod.ts";
import { MemoryFile } from "../../src/storage/memory.ts";
import { test } from "../support/harness.ts";
import { codeOf, Medium } from "./open_manifest.ts";

const table = defineTable({ name: "t", key: [u53("id")], value: { name: text() } });

async function commits(manifest: Manifest, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await manifest.begin().put(table, i, { name: `n${i}` }).commit();
}

function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

test("changeLog: get, has, count, range, keys and values with every bound, direction, limit and position, as any table", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  await commits(manifest, 1200);
  await manifest.registerChangeCursor("a", { start: 1 });
  await manifest.close();
  manifest = await medium.open();
  const { oldest } = manifest.stats().changes;
  const all = upTo(1200, oldest);
  const view = manifest.read();
  for (const reader of [manifest, view] as (Manifest | ReadTransaction)[]) {
    assertEquals(reader.get(changeLog, 1200)?.operations, [{ op: "put", table: "t", key: [1199], value: { name: "n1199" } }]);
    assertEquals([reader.get(changeLog, [1201]), reader.get(changeLog, 0), reader.has(changeLog, 900), reader.has(changeLog, 1201)], [
      undefined,
      undefined,
      true,
      false,
    ]);
    assertEquals(reader.getChange(1000), reader.get(changeLog, 1000));
    assertEquals(reader.count(changeLog), all.length);
    assertEquals(reader.keys(changeLog).toArray().map(([sequence]) => sequence), all);
    assertEquals(reader.keys(changeLog, { reverse: true }).toArray().map(([sequence]) => sequence), [...all].reverse());
    assertEquals(reader.values(changeLog, { gte: 1190, lt: [1195] }).toArray().map(({ sequence }) => sequence), upTo(1194, 1190));
    assertEquals(
      reader.range(changeLog, { gt: 1190, lte: 1195, reverse: true, limit: 3 }).toArray().map(([[key], { sequence }]) => [key, sequence]),
      [[1195, 1195], [1194, 1194], [1193, 1193]],
    );
    assertEquals(reader.keys(changeLog, { prefix: [1100] }).toArray(), [[1100]]);
    assertEquals(reader.count(changeLog, { gte: 1100, lte: 1149 }), 50);
    assertEquals([
      reader.count(changeLog, { gt: 1200 }),
      reader.count(changeLog, { gte: 5, lt: 5 }),
      reader.count(changeLog, { prefix: [] }),
    ], [
      0,
      0,
      all.length,
    ]);
    for (const reverse of [false, true]) {
      const seen: number[] = [];
      let after: Uint8Array | undefined = undefined;
      for (;;) {
        const part: Range<Change> = reader.values(changeLog, { limit: 97, after, reverse });
        const rows = part.toArray();
        seen.push(...rows.map(({ sequence }) => sequence));
        if (rows.length === 0) break;
        after = part.position;
      }
      assertEquals(seen, reverse ? [...all].reverse() : all);
    }
    const position = reader.keys(changeLog, { gte: 1100, limit: 1 });
    position.toArray();
    assertEquals(reader.keys(changeLog, { from: position.position, until: reader.keys(changeLog).position, limit: 2 }).toArray(), [[1100], [
      1101,
    ]]);
  }
  view.close();
  assertEquals(await codeOf(() => view.get(changeLog, 1)), "TXN_CLOSED");
  await manifest.close();
  assertEquals(await codeOf(() => manifest.count(changeLog)), "HANDLE_CLOSED");
});

test("changeLog: a read transaction shows the log as of its state, whatever is committed and truncated since", async () => {
  const manifest = await new Medium().open();
  const { id } = await manifest.registerChangeCursor("a");
  await commits(manifest, 10);
  using view = manifest.read();
  await commits(manifest, 10);
  await manifest.acknowledgeChanges(id, 15);
  assertEquals(view.keys(changeLog).toArray().map(([sequence]) => sequence), upTo(10));
  assertEquals([view.getChange(3)?.sequence, view.getChange(11), view.count(changeLog)], [3, undefined, 10]);
  assertEquals(manifest.keys(changeLog).toArray().map(([sequence]) => sequence), upTo(20, 15));
  const range = manifest.values(changeLog)[Symbol.iterator]();
  assertEquals(range.next().value?.sequence, 15);
  await manifest.acknowledgeChanges(id, 21);
  assertEquals([...range].map(({ sequence }) => sequence), upTo(20, 16), "a range under way keeps its state");
  assertEquals(manifest.count(changeLog), 0);
  await manifest.close();
});

test("computed tables: writing, making, dropping and bytes are refused, also under a definition of the program's own", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().putDb(1, { name: "a" }).commit();
  const own = defineTable({ name: "change_log", key: [u53("sequence")], value: { mine: text() } });
  for (const computed of [changeLog, pendingBatches, runtimeStates, own]) {
    assertEquals(await codeOf(() => manifest.begin().put(computed as typeof own, 1, { mine: "x" }).commit()), "INVALID_ARGUMENT");
    assertEquals(await codeOf(() => manifest.begin().delete(computed as typeof own, 1).commit()), "INVALID_ARGUMENT");
    assertEquals(await codeOf(() => manifest.begin().deleteRange(computed as typeof own, {}).commit()), "INVALID_ARGUMENT");
    assertEquals(await codeOf(() => manifest.createTable(computed as typeof own)), "INVALID_ARGUMENT");
    assertEquals(await codeOf(() => manifest.dropTable(computed.name)), "INVALID_ARGUMENT");
    assertEquals(await codeOf(() => manifest.getBytes(computed as typeof own, 1)), "INVALID_ARGUMENT");
    assertEquals(await codeOf(() => manifest.getView(computed as typeof own, 1)), "INVALID_ARGUMENT");
    assertEquals(await codeOf(() => manifest.rangeBytes(computed as typeof own)), "INVALID_ARGUMENT");
    assertEquals(await codeOf(() => manifest.get(computed as typeof own, "1" as never)), "INVALID_ARGUMENT");
    assertEquals(await codeOf(() => manifest.range(computed as typeof own, { limit: -1 })), "INVALID_ARGUMENT");
  }
  assertEquals(manifest.latestChangeSequence(), 1);
  await manifest.close();
});

test("listTables: names the computed tables with their rows, as built in", async () => {
  const medium = new Medium();
  let manifest = await medium.open();
  await commits(manifest, 7);
  await manifest.close();
  manifest = await medium.open();
  const tables = manifest.listTables();
  const find = (name: string) => tables.find((one) => one.name === name);
  assertEquals(find("change_log"), { name: "change_log", builtIn: true, rows: 7 });
  assertEquals(find("pending_batches"), { name: "pending_batches", builtIn: true, rows: 0 });
  assertEquals(find("runtime_state"), { name: "runtime_state", builtIn: true, rows: 1 });
  assertEquals(tables.map(({ name }) => name), tables.map(({ name }) => name).sort());
  await manifest.close();
});

test("pendingBatches: what the journal holds and the tree does not: emptied by a checkpoint, shown by a reader of a crashed file, gone behind recovery", async () => {
  const medium = new Medium();
  const manifest = await medium.open();
  await manifest.createTable(table);
  await manifest.checkpoint();
  assertEquals(manifest.count(pendingBatches), 0);
  const receipts = [
    await manifest.begin().put(table, 1, { name: "one" }).commit(),
    await manifest.begin().put(table, 2, { name: "two" }).commit(),
  ];
  const { id } = await manifest.registerChangeCursor("a");
  const check = (reader: Manifest | ReadTransaction): void => {
    const rows = reader.range(pendingBatches).toArray();
    assertEquals(rows.map(([, { sequence }]) => sequence), [1, 2, 0]);
    assertEquals(rows.slice(0, 2).map(([, { commitId }]) => commitId), receipts.map(({ commitId }) => commitId));
    assertEquals(rows.map(([, { operations }]) => operations.map(({ op }) => op)), [["put"], ["put"], []]);
    assertEquals([typeof rows[0]![1].committedAt, rows[2]![1].committedAt], ["number", undefined]);
    assertEquals([reader.count(pendingBatches), reader.listPendingBatches({ reverse: true, limit: 1 }).toArray()], [3, [rows[2]!]]);
    const [frame] = rows[1]![0];
    assertEquals([reader.get(pendingBatches, frame), reader.get(pendingBatches, frame + 2), reader.has(pendingBatches, frame)], [
      rows[1]![1],
      undefined,
      true,
    ]);
  };
  check(manifest);
  using view = manifest.read();
  const crashed = new MemoryFile(medium.file.bytes());
  await manifest.acknowledgeChanges(id, 3);
  assertEquals([manifest.count(pendingBatches), view.count(pendingBatches)], [4, 3]);
  assertEquals(manifest.listPendingBatches().toArray()[0]![1].operations, [], "the log no longer has it");
  await manifest.checkpoint();
  assertEquals([manifest.count(pendingBatches), manifest.listPendingBatches().toArray()], [0, []]);
  await manifest.close();

  const after = new Medium();
  (after as { file: MemoryFile }).file = crashed;
  const reader = await after.open({ readOnly: true });
  check(reader);
  await reader.close();
  const again = await after.open();
  assertEquals([again.count(pendingBatches), again.recovery.frames], [0, 3]);
  assertEquals(again.count(table), 2);
  await again.close();
});

test("pendingBatches: without a journal there are none", async () => {
  const manifest = await new Medium().open({ durability: "none" });
  await commits(manifest, 5);
  assertEquals(manifest.count(pendingBatches), 0);
  await manifest.close();
});

test("runtimeState: a row while the file is open for writing, another instance with each opening, none after an orderly close", async () => {
  const medium = new Medium();
  const instances = new Set<string>();
  for (let round = 0; round < 3; round++) {
    const manifest = await medium.open();
    const state = manifest.runtimeState()!;
    assert(state.own && state.clean && state.pid !== undefined && state.runtime !== undefined && state.startedAt! > 1_600_000_000_000);
    assertEquals(state.instanceId.startsWith(manifest.fileId), true);
    assert(!instances.has(state.instanceId));
    instances.add(state.instanceId);
    await commits(manifest, 2);
    await manifest.checkpoint();
    assertEquals([manifest.runtimeState(), manifest.get(runtimeStates, 0), manifest.values(runtimeStates).toArray()], [state, state, [
      state,
    ]]);
    assertEquals([manifest.has(runtimeStates, 0), manifest.has(runtimeStates, 1), manifest.count(runtimeStates, { gt: 0 })], [
      true,
      false,
      0,
    ]);
    using view = manifest.read();
    assertEquals(view.runtimeState(), state);
    const beside = await medium.open({ readOnly: true });
    assertEquals(beside.runtimeState(), { instanceId: state.instanceId, epoch: state.epoch, clean: false, own: false });
    await beside.close();
    view.close();
    await manifest.close();
    const reader = await medium.open({ readOnly: true });
    assertEquals([reader.runtimeState(), reader.count(runtimeStates), reader.crashDetected], [undefined, 0, false]);
    await reader.close();
  }
});
