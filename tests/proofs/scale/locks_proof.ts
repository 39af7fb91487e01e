// One writer for a manifest across runtimes: who comes second is told who holds it, and a holder that was killed holds nothing.
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import type { ErrorJson, LockHolder } from "../../../mod.ts";
import { withFolder } from "../../support/folder.ts";
import { test } from "../../support/harness.ts";
import { type Child, figure, startChild } from "../../support/proof_child.ts";
import { type RuntimeName, RUNTIMES } from "../../support/runtimes.ts";

const SCRIPT = "tests/support/children/proof_open.ts";
let pairs = 0;

interface Answer {
  opened?: { pid: number; changes: number };
  sequence?: number;
  closed?: boolean;
  error?: ErrorJson;
}

async function answer(child: Child): Promise<Answer> {
  return JSON.parse(await child.line("{")) as Answer;
}

async function checkPair(first: RuntimeName, second: RuntimeName): Promise<void> {
  await withFolder(async (folder) => {
    const path = join(folder, "m.waybill");
    const holder = startChild(first, SCRIPT, [path]);
    const opened = (await answer(holder)).opened!;
    assertEquals(opened, { pid: holder.pid, changes: 0 });
    holder.tell("first");
    assertEquals((await answer(holder)).sequence, 1);

    const refused = startChild(second, SCRIPT, [path]);
    const { error } = await answer(refused);
    await refused.ended();
    assertEquals(error?.code, "LOCKED", JSON.stringify(error));
    assertEquals([error!.kind, error!.outcome, error!.retryable], ["conflict", "not_applied", true]);
    const named = error!.detail.holder as LockHolder;
    assertEquals([named.runtime, named.pid], [first, holder.pid]);
    assert(error!.message.includes(String(holder.pid)), error!.message);

    // The holder was not disturbed; then it dies with a receipt on the way.
    holder.tell("second");
    assertEquals((await answer(holder)).sequence, 2);
    holder.tell("third");
    holder.kill();
    assertEquals(await holder.ended(), null);

    const next = startChild(second, SCRIPT, [path]);
    const after = await answer(next);
    assert(after.opened !== undefined && after.opened.changes >= 2, JSON.stringify(after));
    next.tell("next");
    assertEquals((await answer(next)).sequence, after.opened.changes + 1);
    next.kill();
    await next.ended();

    const last = startChild(first, SCRIPT, [path]);
    assertEquals((await answer(last)).opened?.changes, after.opened.changes + 1);
    last.kill();
    await last.ended();
    pairs++;
  });
}

for (const first of RUNTIMES) {
  for (const second of RUNTIMES) {
    test(`Manifest.open: ${first} holds, ${second} is told so, and opens when ${first} was killed`, () => checkPair(first, second));
  }
}

test("Manifest.open: every ordered pair of runtimes was tried", () => {
  figure(
    `locks: ${pairs} ordered pairs of runtimes, LOCKED names runtime and process of the holder, the next open after a SIGKILL succeeds`,
  );
  assertEquals(pairs, RUNTIMES.length ** 2);
});
