// Items 21 to 26 of the test list: the change log and its cursors.
import { assert, assertEquals } from "@std/assert";
import type { Manifest } from "../../mod.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { test } from "../support/harness.ts";
import { owners } from "./every_operation.ts";
import { Subject } from "./subject.ts";

/** Commits `count` changes, one after another. */
async function commit(manifest: Manifest, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await manifest.begin().put(owners, i % 10, { team: "t" }).commit();
}

/** Sequences of a cursor's next changes. */
async function fetched(manifest: Manifest, cursorId: number, size = 1000): Promise<number[]> {
  return (await manifest.fetchChangePage(cursorId, size)).changes.map(({ sequence }) => sequence);
}

/** The oldest change that is kept. */
function oldest(manifest: Manifest): number {
  return manifest.stats().changes.oldest;
}

test("item 21: changes come in order, and a consumer goes on where it stood", async () => {
  await using subject = await Subject.make();
  const { id } = await subject.manifest.registerChangeCursor("a");
  for (let i = 1; i <= 9; i++) await subject.manifest.begin({ origin: `o${i}` }).putDb(i, { name: `d${i}` }).commit();
  await subject.manifest.acknowledgeChanges(id, 4);
  let manifest = await subject.reopen();
  assertEquals((await manifest.registerChangeCursor("a", { start: "oldest" })).nextSequence, 4);
  const page = await manifest.fetchChangePage(id, 3);
  assertEquals(page.changes.map(({ sequence, origin, operations: [first] }) => [sequence, origin, first!.op === "putDb" && first.key[0]]), [
    [4, "o4", 4],
    [5, "o5", 5],
    [6, "o6", 6],
  ]);
  assertEquals([page.nextSequence, page.latestSequence], [7, 9]);
  await manifest.acknowledgeChanges(id, page.nextSequence);
  manifest = await subject.crashAndReopen();
  assertEquals(await fetched(manifest, id), [7, 8, 9]);
});

test("item 21: a start before the log or behind it is clamped to what there is", async () => {
  await using subject = await Subject.make({ logRetention: { changes: 20 } });
  await commit(subject.manifest, 200);
  const manifest = await subject.reopen();
  const first = oldest(manifest);
  assert(first > 100, `${first}`);
  const low = await manifest.registerChangeCursor("low", { start: 2 });
  const high = await manifest.registerChangeCursor("high", { start: 5000 });
  const latest = await manifest.registerChangeCursor("latest", { start: "latest" });
  const exact = await manifest.registerChangeCursor("exact", { start: first + 3 });
  assertEquals([low, high, latest, exact].map(({ nextSequence }) => nextSequence), [first, 201, 201, first + 3]);
  assertEquals((await fetched(manifest, exact.id))[0], first + 3); // the change named is the first delivered
});

test("item 21: the slowest cursor decides what goes", async () => {
  await using subject = await Subject.make({ logRetention: { changes: 1 } });
  const ids: number[] = [];
  for (const name of ["slow", "middle", "fast"]) ids.push((await subject.manifest.registerChangeCursor(name)).id);
  await commit(subject.manifest, 30);
  await subject.manifest.acknowledgeChanges(ids[2]!, 31);
  await subject.manifest.acknowledgeChanges(ids[1]!, 20);
  assertEquals(oldest(await subject.reopen()), 1);
  await subject.manifest.acknowledgeChanges(ids[0]!, 11);
  const manifest = await subject.reopen();
  assertEquals(oldest(manifest), 11);
  assertEquals(await Promise.all(ids.map((id) => fetched(manifest, id).then(([first]) => first))), [11, 20, undefined]);
  await manifest.acknowledgeChanges(ids[0]!, 31);
  assertEquals(oldest(manifest), 20);
});

test("item 21: without cursors the newest changes are kept, by count, for one that comes later", async () => {
  await using subject = await Subject.make();
  await commit(subject.manifest, 266);
  let manifest = await subject.reopen();
  assertEquals(oldest(manifest), 1); // the original has cut its log by now
  manifest = await subject.reopen({ logRetention: { changes: 50 } });
  await commit(manifest, 130);
  const kept = manifest.latestChangeSequence() - oldest(manifest) + 1;
  assert(kept >= 50 && kept <= 50 + 64, `${kept} are kept`);
  const { id } = await manifest.registerChangeCursor("late");
  assertEquals((await fetched(manifest, id)).length, kept);
});

test("item 22: the sequence continues after a full truncation and a restart", async () => {
  for (const again of ["reopen", "crashAndReopen"] as const) {
    await using subject = await Subject.make({ logRetention: { changes: 0 } });
    const { id } = await subject.manifest.registerChangeCursor("a");
    for (let round = 0; round < 4; round++) {
      await commit(subject.manifest, 3);
      await subject.manifest.acknowledgeChanges(id, round * 3 + 4);
      assertEquals(oldest(subject.manifest), round * 3 + 4); // nothing is left in the log
      if (round === 2) await subject.manifest.checkpoint();
      const manifest = again === "reopen" ? await subject.reopen() : await subject.crashAndReopen();
      assertEquals([manifest.latestChangeSequence(), manifest.listChangeCursors()[0]!.nextSequence], [round * 3 + 3, round * 3 + 4]);
    }
    const { sequence } = await subject.manifest.begin().putDb(1, { name: "a" }).commit();
    assertEquals([sequence, await fetched(subject.manifest, id)], [13, [13]]);
  }
});

test("item 23: everything before the acknowledged sequence is done; back is nothing; beyond the newest is an error", async () => {
  await using subject = await Subject.make();
  const { id } = await subject.manifest.registerChangeCursor("a");
  await commit(subject.manifest, 5);
  await subject.manifest.acknowledgeChanges(id, 3);
  let manifest = await subject.reopen();
  assertEquals(await fetched(manifest, id), [3, 4, 5]); // 3 itself is not done
  assertEquals((await manifest.acknowledgeChanges(id, 1)).nextSequence, 3);
  const error = await errorOf(() => manifest.acknowledgeChanges(id, 7));
  assertEquals([error.code, error.outcome], ["INVALID_ARGUMENT", "not_applied"]);
  manifest = await subject.reopen();
  assertEquals(manifest.listChangeCursors()[0]!.nextSequence, 3);
  assertEquals((await manifest.acknowledgeChanges(id, 6)).nextSequence, 6);
});

test("item 24: a commit between fetch and acknowledge is not skipped", async () => {
  await using subject = await Subject.make();
  const { id } = await subject.manifest.registerChangeCursor("a");
  await commit(subject.manifest, 2);
  const page = await subject.manifest.fetchChangePage(id);
  await commit(subject.manifest, 1);
  await subject.manifest.acknowledgeChanges(id, page.nextSequence); // as the source document's example does
  const manifest = await subject.reopen();
  assertEquals(await fetched(manifest, id), [3]);
});

test("item 25: unregistering a cursor releases the log", async () => {
  await using subject = await Subject.make({ logRetention: { changes: 5 } });
  const { id } = await subject.manifest.registerChangeCursor("dead");
  await commit(subject.manifest, 300);
  assertEquals(oldest(await subject.reopen()), 1);
  await subject.manifest.unregisterChangeCursor(id);
  await commit(subject.manifest, 70);
  const manifest = await subject.reopen();
  assert(oldest(manifest) > 295, `${oldest(manifest)}`);
  assertEquals([manifest.listChangeCursors(), (await errorOf(() => manifest.fetchChangePage(id))).code], [[], "CURSOR_UNKNOWN"]);
});

test("item 25: a cursor with maxLag loses what is too old and is told so, and the others lose nothing", async () => {
  await using subject = await Subject.make({ logRetention: { changes: 5 } });
  const dead = await subject.manifest.registerChangeCursor("dead", { maxLag: 40 });
  await commit(subject.manifest, 30);
  assertEquals(oldest(await subject.reopen()), 1);
  await commit(subject.manifest, 200);
  const manifest = await subject.reopen();
  const first = oldest(manifest);
  assert(first > 100 && first <= 191, `${first}`);
  const error = await errorOf(() => manifest.fetchChangePage(dead.id));
  assertEquals([error.code, error.detail.nextSequence, error.detail.oldestSequence, error.detail.latestSequence], [
    "CURSOR_TRUNCATED",
    1,
    first,
    230,
  ]);
});

test("item 26: a cursor behind the truncation is told at each fetch, until it acknowledges the gap", async () => {
  await using subject = await Subject.make();
  const lost = await subject.manifest.registerChangeCursor("lost", { maxLag: 10 });
  await commit(subject.manifest, 300);
  let manifest = await subject.reopen();
  for (let i = 0; i < 2; i++) assertEquals((await errorOf(() => manifest.fetchChangePage(lost.id))).code, "CURSOR_TRUNCATED");
  manifest = await subject.crashAndReopen();
  const { detail } = await errorOf(() => manifest.fetchChangePage(lost.id));
  await manifest.acknowledgeChanges(lost.id, detail.oldestSequence as number);
  manifest = await subject.reopen();
  assertEquals((await fetched(manifest, lost.id))[0], detail.oldestSequence);
  const late = await manifest.registerChangeCursor("late", { start: 1 });
  assertEquals(late.gap, { first: 1, last: late.nextSequence - 1 });
});
