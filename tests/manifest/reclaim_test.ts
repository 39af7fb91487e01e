// Reclaim: no live object is deleted and no dead one forgotten, wherever it is killed and whoever else is at work.
import { assert, assertEquals } from "@std/assert";
import { isManifestError, Manifest, refcounts, remoteNamespaces, type StoredObject } from "../../mod.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { FaultyStorage } from "../support/faulty_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { isShare, SHARE } from "../support/share.ts";
import { casesOf, INTRUDERS, OUTCOMES, prepare, ReclaimMatrix, STAGES } from "../support/reclaim_matrix.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

/** A manifest in which the objects of `count` chunks, generation 1, have been listed and are no more. */
async function withCollectable(count: number, medium = new Medium()): Promise<Manifest> {
  const manifest = await medium.open({ environment: testEnvironment(1) });
  const txn = manifest.begin().putDb(1, { name: "d" });
  for (let i = 0; i < count; i++) txn.upsertChunk([1, i], { fileName: `c${i}`, generation: 1 });
  const list = Array.from({ length: count }, (_, chunkId) => ({ chunkId }));
  await txn.publishSnapshot([1, 1], { chunks: list }).commit();
  await manifest.begin().dropSnapshot([1, 1]).commit();
  return manifest;
}

function ids(objects: Iterable<StoredObject>): number[] {
  return [...objects].map(({ chunkId }) => chunkId).toSorted((a, b) => a - b);
}

async function assertSound(manifest: Manifest): Promise<void> {
  assertEquals((await manifest.check({ level: "deep" })).problems, []);
}

/** Closes and opens again. */
async function reopened(manifest: Manifest, medium: Medium): Promise<Manifest> {
  await manifest.close();
  return medium.open({ environment: testEnvironment(2) });
}

test("reclaim: killed at every storage call and deletion, with every intruder at every stage and the outcomes of deleteObject by turns, deletes nothing live and forgets nothing dead", async () => {
  const matrix = new ReclaimMatrix(await prepare());
  // One outcome for each intruder and stage; scale/reclaim_proof.ts takes them all, each in ten ways.
  const outcomes = Object.keys(OUTCOMES).length;
  for (const [i, run] of casesOf(1).entries()) {
    if (i % outcomes === Math.floor(i / outcomes) % outcomes && isShare(Math.floor(i / outcomes))) await matrix.run(run);
  }
  const { runs, points, states } = matrix.coverage;
  console.log(`${runs} runs, ${points} crash points, ${states} distinct states`);
  const all = 1 + (Object.keys(INTRUDERS).length - 1) * STAGES.length;
  if (SHARE === 1) assertEquals(runs, all);
  assert(
    runs >= all / SHARE * 0.7 && points >= 1600 / SHARE * 0.7 && states >= 440 / SHARE * 0.7,
    `${runs} runs, ${points} crash points, ${states} states`,
  );
});

test("reclaim: takes those that have waited longest, up to the limit, and reports what remains", async () => {
  const medium = new Medium();
  let manifest = await withCollectable(10, medium);
  const deleted: StoredObject[] = [];
  const report = await manifest.reclaim(4, (object) => void deleted.push(object));
  assertEquals([report.deleted, report.remaining, ids(deleted)], [4, 6, [0, 1, 2, 3]]);
  manifest = await reopened(manifest, medium);
  assertEquals([ids(manifest.listCollectable()), manifest.listCondemned(), manifest.count(refcounts)], [[4, 5, 6, 7, 8, 9], [], 6]);
  assertEquals([...manifest.listChunks(1)].map(([[, chunk]]) => chunk), [4, 5, 6, 7, 8, 9]);
  assertEquals(await manifest.reclaim(0, () => {}), { deleted: 0, remaining: 6 });
  assertEquals(await manifest.reclaim(Number.MAX_SAFE_INTEGER, () => {}), { deleted: 6, remaining: 0 });
  assertEquals(await manifest.reclaim(1, () => {}), { deleted: 0, remaining: 0 });
  await assertSound(manifest);
  await manifest.close();
});

test("reclaim: shows the catalog rows that go to consumers of the change log, and makes no change when none goes", async () => {
  const medium = new Medium();
  let manifest = await withCollectable(2, medium);
  await manifest.begin().upsertChunk([1, 1], { fileName: "next", generation: 2 }).commit();
  const before = manifest.latestChangeSequence();
  await manifest.reclaim(1, () => {});
  assertEquals(manifest.latestChangeSequence(), before + 1);
  await manifest.reclaim(1, () => {});
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.latestChangeSequence(), manifest.getChunk(1, 1)?.generation], [before + 1, 2]);
  const cursor = await manifest.registerChangeCursor("c", { start: "oldest" });
  const changes = (await manifest.fetchChangePage(cursor.id)).changes;
  assertEquals(changes.at(-1)!.operations.map(({ op }) => op), ["deleteChunk"]);
  await manifest.close();
});

test("reclaim: deletes at most `parallel` objects at once, and more than one", async () => {
  const manifest = await withCollectable(20);
  for (const parallel of [1, 3]) {
    let now = 0, most = 0;
    await manifest.reclaim(10, async () => {
      most = Math.max(most, ++now);
      for (let i = 0; i < 5; i++) await undefined;
      now--;
    }, { parallel });
    assertEquals(most, parallel);
  }
  await manifest.close();
});

test("reclaim: more objects than one transaction may hold are done in steps", async () => {
  const medium = new Medium();
  let manifest = await withCollectable(5000, medium);
  await manifest.close();
  manifest = await medium.open({ maxTransactionBytes: 1 << 19 });
  const error = await errorOf(() => manifest.begin().put(refcounts, [1, 1, 1, -1], {} as never).commit());
  assertEquals(error.code, "INVALID_ARGUMENT");
  let most = 0;
  const report = await manifest.reclaim(5000, ({ chunkId }) => {
    if (chunkId % 500 === 0) most = Math.max(most, manifest.listCondemned().length);
  });
  assertEquals(report, { deleted: 5000, remaining: 0 });
  assert(most < 5000, `${most} were condemned at once`);
  assertEquals(manifest.count(refcounts), 0);
  await assertSound(manifest);
  await manifest.close();
});

test("reclaim: when deleteObject fails for some the others are done, those stay condemned, and the next call begins with them", async () => {
  const medium = new Medium();
  let manifest = await withCollectable(6, medium);
  const cause = new Error("no such bucket");
  const error = await errorOf(() =>
    manifest.reclaim(4, ({ chunkId }) => {
      if (chunkId % 2) throw cause;
    })
  );
  assertEquals([error.code, error.outcome, error.retryable, error.cause], ["CALLBACK_FAILED", "applied", true, cause]);
  assertEquals([error.detail.deleted, error.detail.failed, ids(error.detail.objects as StoredObject[])], [2, 2, [1, 3]]);
  manifest = await reopened(manifest, medium);
  assertEquals([ids(manifest.listCondemned()), ids(manifest.listCollectable())], [[1, 3], [4, 5]]);
  assertEquals(manifest.getChunk(1, 1)?.generation, 1);
  await assertSound(manifest);
  const order: number[] = [];
  assertEquals((await manifest.reclaim(3, ({ chunkId }) => void order.push(chunkId))).deleted, 3);
  assertEquals(order, [1, 3, 4]);
  await manifest.close();
});

test("reclaim: when deleteObject fails for all nothing is applied, each is tried once, and an error of this package is named by its code", async () => {
  const manifest = await withCollectable(3000);
  let calls = 0;
  const error = await errorOf(() =>
    manifest.reclaim(3000, async () => {
      calls++;
      await manifest.begin().dropSnapshot([1, 99]).commit();
    })
  );
  assertEquals([error.code, error.outcome, error.detail.code, error.detail.deleted], ["CALLBACK_FAILED", "not_applied", "NOT_FOUND", 0]);
  assert(calls < 3000 && error.detail.failed === calls, "where nothing can be deleted no more is condemned");
  assertEquals(manifest.listCondemned().length, calls);
  assertEquals((await manifest.reclaim(3000, () => {})).deleted, 3000);
  await manifest.close();
});

test("reclaim: deleteObject may commit to the manifest, read it and call reclaim", async () => {
  const medium = new Medium();
  let manifest = await withCollectable(6, medium);
  const seen: number[] = [];
  const report = await manifest.reclaim(2, async ({ chunkId }) => {
    seen.push(chunkId);
    await manifest.begin().put(...row(chunkId)).commit();
    const inner = await manifest.reclaim(2, async (object) => {
      seen.push(object.chunkId);
      await manifest.begin().put(...row(object.chunkId)).commit();
    });
    assertEquals(inner.deleted, 2);
    using view = manifest.read();
    assertEquals(view.getRefcount({ originDb: 1, chunkId, generation: 1 })?.state, "condemned");
  }, { parallel: 1 });
  assertEquals([report, ids(manifest.listCollectable())], [{ deleted: 2, remaining: 0 }, []]);
  manifest = await reopened(manifest, medium);
  assertEquals([seen.toSorted(), manifest.count(refcounts), manifest.listWalStates().toArray().length], [[0, 1, 2, 3, 4, 5], 0, 0]);
  assertEquals([...manifest.listRemoteNamespaces()].map(([[id]]) => id), [0, 1, 2, 3, 4, 5]);
  await assertSound(manifest);
  await manifest.close();
});

function row(id: number): [typeof remoteNamespaces, [number], { bucket: string; prefix: string }] {
  return [remoteNamespaces, [id], { bucket: "b", prefix: "" }];
}

test("reclaim: calls at once take different objects, and one that hangs holds up no other", async () => {
  const manifest = await withCollectable(6);
  let release = (): void => {};
  const hanging = new Promise<void>((resolve) => release = resolve);
  const first: number[] = [], second: number[] = [];
  const slow = manifest.reclaim(3, (object) => {
    first.push(object.chunkId);
    return hanging;
  });
  const quick = await manifest.reclaim(10, (object) => void second.push(object.chunkId));
  assertEquals([first, second, quick], [[0, 1, 2], [3, 4, 5], { deleted: 3, remaining: 0 }]);
  assertEquals(await manifest.reclaim(10, () => assert(false, "those are in another call's hands")), { deleted: 0, remaining: 0 });
  release();
  assertEquals(await slow, { deleted: 3, remaining: 0 });
  assertEquals(manifest.count(refcounts), 0);
  await manifest.close();
});

test("reclaim: what deleteObject does to the object that it is given changes nothing", async () => {
  const manifest = await withCollectable(2);
  await manifest.reclaim(1, (object) => {
    object.chunkId = 1;
    object.generation = 7;
  });
  assertEquals([ids(manifest.listCollectable()), manifest.listCondemned(), manifest.count(refcounts)], [[1], [], 1]);
  await manifest.close();
});

test("reclaim: an aborted signal begins no further deletion; what is condemned is done by the next call", async () => {
  const medium = new Medium();
  let manifest = await withCollectable(6, medium);
  const before = await errorOf(() => manifest.reclaim(6, () => assert(false), { signal: AbortSignal.abort("why") }));
  assertEquals([before.code, before.outcome, before.cause, manifest.listCondemned()], ["ABORTED", "not_applied", "why", []]);
  const controller = new AbortController();
  const deleted: number[] = [];
  const error = await errorOf(() =>
    manifest.reclaim(6, ({ chunkId }) => {
      deleted.push(chunkId);
      if (chunkId === 1) controller.abort();
    }, { signal: controller.signal, parallel: 1 })
  );
  assertEquals([error.code, error.outcome, error.detail.deleted, deleted], ["ABORTED", "applied", 2, [0, 1]]);
  manifest = await reopened(manifest, medium);
  assertEquals([ids(manifest.listCondemned()), manifest.listCollectable()], [[2, 3, 4, 5], []]);
  assertEquals(await manifest.reclaim(6, () => {}), { deleted: 4, remaining: 0 });
  await assertSound(manifest);
  await manifest.close();
});

test("reclaim: `before` leaves those that became collectable at that time or later", async () => {
  const medium = new Medium();
  let manifest = await withCollectable(2, medium);
  await manifest.begin().upsertChunk([1, 5], { fileName: "x", generation: 1 }).publishSnapshot([1, 2], { chunks: [{ chunkId: 5 }] })
    .commit();
  await manifest.begin().dropSnapshot([1, 2]).commit();
  manifest = await reopened(manifest, medium);
  const [first, , last] = manifest.listCollectable().map(({ since }) => since);
  assert(first! < last!);
  assertEquals(await manifest.reclaim(10, () => assert(false), { before: first! }), { deleted: 0, remaining: 3 });
  assertEquals(await manifest.reclaim(10, () => {}, { before: last! }), { deleted: 2, remaining: 1 });
  assertEquals(ids(manifest.listCollectable()), [5]);
  assertEquals((await manifest.reclaim(10, () => {}, { before: last! + 1 })).deleted, 1);
  // One that was condemned before is finished whatever the time.
  await manifest.begin().upsertChunk([1, 6], { fileName: "x" }).publishSnapshot([1, 3], { chunks: [{ chunkId: 6 }] }).commit();
  await manifest.begin().dropSnapshot([1, 3]).commit();
  assertEquals(await codeOf(() => manifest.reclaim(1, () => Promise.reject(new Error()))), "CALLBACK_FAILED");
  assertEquals((await manifest.reclaim(1, () => {}, { before: 0 })).deleted, 1);
  await manifest.close();
});

test("reclaim: `unnamedBefore` takes what no snapshot ever listed once no row names it, neither the chunk's nor a fork's", async () => {
  const medium = new Medium();
  let manifest = await medium.open({ environment: testEnvironment(1) });
  await manifest.begin().putDb(1, { name: "d" }).upsertChunk([1, 0], { fileName: "c" }).upsertChunk([1, 1], { fileName: "c" })
    .upsertChunkDelta([1, 1, 0, 4], { fileName: "delta" }).commit();
  await manifest.begin().forkDb(1, 2).commit();
  manifest = await reopened(manifest, medium);
  const since = manifest.listUnnamed()[0]!.since;
  const all = { unnamedBefore: since + 1 };
  const collect = async (options: { unnamedBefore?: number }): Promise<string[]> => {
    const names: string[] = [];
    await manifest.reclaim(10, ({ chunkId, deltaId }) => void names.push(`${chunkId}/${deltaId ?? ""}`), options);
    await assertSound(manifest);
    return names;
  };
  assertEquals(await collect(all), [], "named by two rows");
  await manifest.begin().deleteChunk([1, 0]).deleteChunkDelta([1, 1, 0, 4]).commit();
  assertEquals(await collect(all), [], "named by the fork's row");
  await manifest.begin().deleteChunk([2, 0]).commit();
  assertEquals(await collect({}), [], "not asked for");
  assertEquals(await collect({ unnamedBefore: since }), [], "not old enough");
  assertEquals(await collect(all), ["0/"]);
  await manifest.begin().deleteDb(2).commit();
  manifest = await reopened(manifest, medium);
  assertEquals(await collect(all), ["1/4"]);
  await manifest.begin().upsertChunk([1, 1], { fileName: "next", generation: 5 }).commit();
  assertEquals(await collect(all), ["1/"], "replaced by another generation");
  assertEquals(manifest.getChunk(1, 1)?.generation, 5);
  await manifest.close();
});

test("reclaim: an unnamed object that is named again while it is deleted is OBJECT_CONDEMNED, and free behind that", async () => {
  const manifest = await withCollectable(0);
  await manifest.begin().upsertChunk([1, 3], { fileName: "c" }).deleteChunk([1, 3]).commit();
  const put = () => manifest.begin().upsertChunk([1, 3], { fileName: "again" }).commit();
  await manifest.reclaim(1, async () => assertEquals(await codeOf(put), "OBJECT_CONDEMNED"), { unnamedBefore: Number.MAX_SAFE_INTEGER });
  assertEquals(manifest.getChunk(1, 3), undefined);
  await put();
  assertEquals(manifest.getRefcount({ originDb: 1, chunkId: 3, generation: 0 })?.state, "unnamed");
  await manifest.close();
});

test("reclaim: a condemned object is refused to upsertChunk, publishSnapshot, forkDb and adjustRefcount by name and index, with nothing applied", async () => {
  const medium = new Medium();
  let manifest = await withCollectable(2, medium);
  assertEquals(await codeOf(() => manifest.reclaim(1, () => Promise.reject(new Error()))), "CALLBACK_FAILED");
  manifest = await reopened(manifest, medium);
  const sequence = manifest.latestChangeSequence();
  const begin = () => manifest.begin().putDb(9, { name: "x" });
  const object = { originDb: 1, chunkId: 0, generation: 1 };
  const refused = {
    upsertChunk: () => begin().upsertChunk([1, 0], { fileName: "c", generation: 1 }),
    publishSnapshot: () => begin().publishSnapshot([1, 2], { chunks: [{ chunkId: 1 }, { chunkId: 0 }] }),
    forkDb: () => begin().forkDb(1, 3),
    adjustRefcount: () => begin().adjustRefcount(object, 1),
  };
  for (const [operation, txn] of Object.entries(refused)) {
    const error = await errorOf(() => txn().commit());
    assertEquals([error.code, error.outcome, error.retryable, error.detail.operation, error.detail.index, error.detail.chunkId], [
      "OBJECT_CONDEMNED",
      "not_applied",
      true,
      operation,
      1,
      0,
    ]);
  }
  assertEquals(await codeOf(() => manifest.begin().adjustRefcount(object, -1).commit()), "REFCOUNT_UNDERFLOW");
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.latestChangeSequence(), manifest.getDb(9), manifest.getRefcount(object)?.state], [
    sequence,
    undefined,
    "condemned",
  ]);
  await assertSound(manifest);
  await manifest.close();
});

test("reclaim: a read-write transaction that has listed an object before it was condemned is refused at its commit, one that commits before keeps it", async () => {
  const medium = new Medium();
  let manifest = await withCollectable(2, medium);
  let go = (): void => {};
  const gate = new Promise<void>((resolve) => go = resolve);
  let reached = (): void => {};
  const listing = new Promise<void>((resolve) => reached = resolve);
  const publish = (chunkId: number, wait: Promise<void> | undefined) =>
    manifest.transact(async (txn) => {
      txn.publishSnapshot([1, 10 + chunkId], { chunks: [{ chunkId }] });
      reached();
      await wait;
    });
  const late = codeOf(() => publish(0, gate));
  await listing;
  await publish(1, undefined);
  const deleted: number[] = [];
  await manifest.reclaim(10, async ({ chunkId }) => {
    go();
    assertEquals(await late, "OBJECT_CONDEMNED");
    deleted.push(chunkId);
  });
  assertEquals(deleted, [0]);
  manifest = await reopened(manifest, medium);
  assertEquals([manifest.getSnapshot(1, 10), manifest.getSnapshot(1, 11)?.chunks.length], [undefined, 1]);
  await assertSound(manifest);
  await manifest.close();
});

test("reclaim: wrong arguments are refused before anything is condemned", async () => {
  const manifest = await withCollectable(1);
  const nothing = () => {};
  const wrong: [string, () => Promise<unknown>][] = [
    ["TypeError", () => manifest.reclaim("1" as never, nothing)],
    ["TypeError", () => manifest.reclaim(undefined as never, nothing)],
    ["RangeError", () => manifest.reclaim(-1, nothing)],
    ["RangeError", () => manifest.reclaim(1.5, nothing)],
    ["RangeError", () => manifest.reclaim(NaN, nothing)],
    ["RangeError", () => manifest.reclaim(Infinity, nothing)],
    ["TypeError", () => manifest.reclaim(1, undefined as never)],
    ["TypeError", () => manifest.reclaim(1, {} as never)],
    ["TypeError", () => manifest.reclaim(1, nothing, null as never)],
    ["TypeError", () => manifest.reclaim(1, nothing, 1 as never)],
    ["TypeError", () => manifest.reclaim(1, nothing, { before: "1" as never })],
    ["RangeError", () => manifest.reclaim(1, nothing, { before: -1 })],
    ["RangeError", () => manifest.reclaim(1, nothing, { before: NaN })],
    ["RangeError", () => manifest.reclaim(1, nothing, { unnamedBefore: 0.5 })],
    ["TypeError", () => manifest.reclaim(1, nothing, { unnamedBefore: null as never })],
    ["RangeError", () => manifest.reclaim(1, nothing, { parallel: 0 })],
    ["RangeError", () => manifest.reclaim(1, nothing, { parallel: 1.5 })],
    ["TypeError", () => manifest.reclaim(1, nothing, { parallel: "2" as never })],
    ["TypeError", () => manifest.reclaim(1, nothing, { signal: {} as never })],
  ];
  for (const [name, call] of wrong) {
    const error = await errorOf(call);
    assertEquals([error.name, error.code], [name, "INVALID_ARGUMENT"], String(call));
  }
  assertEquals([manifest.listCondemned(), manifest.countCollectable()], [[], 1]);
  assertEquals((await manifest.reclaim(1, nothing)).deleted, 1);
  await manifest.close();
});

test("reclaim: a manifest that is read only or closed is READ_ONLY or HANDLE_CLOSED, and nothing is deleted", async () => {
  const medium = new Medium();
  const manifest = await withCollectable(1, medium);
  await manifest.close();
  assertEquals(await codeOf(() => manifest.reclaim(1, () => assert(false))), "HANDLE_CLOSED");
  const reader = await medium.open({ readOnly: true });
  assertEquals(await codeOf(() => reader.reclaim(1, () => assert(false))), "READ_ONLY");
  assertEquals(reader.countCollectable(), 1);
  await reader.close();
});

test("reclaim: a storage that fails at any call deletes nothing that is not durably condemned, and what is on it is finished when it is opened again", async () => {
  const { bytes, objects } = await prepare();
  const seen = { failed: 0, untouched: 0, partly: 0 };
  for (const kind of ["write", "sync"] as const) {
    for (const times of [1, Infinity]) {
      for (const durability of ["sync", "relaxed"] as const) {
        for (let at = 0; at < 4; at++) {
          const disk = new SimDisk(bytes);
          const storage = new FaultyStorage(disk.open());
          const manifest = await Manifest.open(storage, {
            idleCheckpoint: 0,
            syncMode: "inline",
            durability,
            environment: testEnvironment(5),
          });
          const present = new Set(objects);
          storage.plan({ at, errno: "EIO", kinds: [kind], times });
          const label = `${kind} ${at} ${times} ${durability}`;
          const name = (object: StoredObject) => `${object.originDb}/${object.chunkId}/${object.generation}/${object.deltaId ?? -1}`;
          const outcome = await manifest.reclaim(3, (object) => void present.delete(name(object)), { parallel: 1 })
            .then(() => undefined, (error) => error);
          assert(outcome === undefined || (isManifestError(outcome) && outcome.kind !== "internal"), `${label}: ${outcome}`);
          if (storage.failed > 0 && outcome !== undefined) seen.failed++;
          if (objects.size === present.size) seen.untouched++;
          else seen.partly++;
          for (const image of [disk.durable(), disk.live().slice()]) {
            const stored = new Set(present);
            const after = await Manifest.open(new SimDisk(image).open(), { idleCheckpoint: 0 });
            await assertSound(after);
            for (const [key, { state }] of after.range(refcounts)) {
              assert(stored.has(key.join("/")) || state === "condemned", `${label}: ${key} is ${state} and deleted`);
            }
            await after.reclaim(10, (object) => void stored.delete(name(object)));
            assertEquals([...after.keys(refcounts)].map((key) => key.join("/")).toSorted(), [...stored].toSorted(), label);
            await after.close();
          }
          storage.plan(undefined);
          await manifest.close();
        }
      }
    }
  }
  assert(seen.failed > 10 && seen.untouched > 5 && seen.partly > 5, JSON.stringify(seen));
});

test("reclaim: closing the manifest meanwhile begins no further deletion, is not held up, and loses nothing", async () => {
  const medium = new Medium();
  let manifest = await withCollectable(6, medium);
  const deleted: number[] = [];
  let release = (): void => {};
  const hanging = new Promise<void>((resolve) => release = resolve);
  let begun = (): void => {};
  const running = new Promise<void>((resolve) => begun = resolve);
  const reclaiming = codeOf(() =>
    manifest.reclaim(6, async ({ chunkId }) => {
      deleted.push(chunkId);
      begun();
      await hanging;
    }, { parallel: 2 })
  );
  await running;
  await manifest.close();
  release();
  assertEquals(await reclaiming, "HANDLE_CLOSED");
  assertEquals(deleted, [0, 1]);
  manifest = await medium.open();
  assertEquals(ids(manifest.listCondemned()), [0, 1, 2, 3, 4, 5]);
  await assertSound(manifest);
  assertEquals((await manifest.reclaim(6, () => {})).deleted, 6);
  // Also from inside.
  await manifest.close();
  const other = new Medium();
  const second = await withCollectable(3, other);
  assertEquals(await codeOf(() => second.reclaim(3, () => second.close(), { parallel: 1 })), "HANDLE_CLOSED");
  const third = await other.open();
  assertEquals(third.listCondemned().length, 3);
  await third.close();
  // And behind a step that is done: the error says so.
  const large = await withCollectable(2000);
  const error = await errorOf(() =>
    large.reclaim(2000, ({ chunkId }) => {
      if (chunkId === 1900) void large.close();
    })
  );
  assertEquals([error.code, error.outcome, error.detail.deleted], ["HANDLE_CLOSED", "applied", 1024]);
});
