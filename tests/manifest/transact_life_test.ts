// The life of a read-write transaction: its result, what is thrown inside it, what interrupts it, and what is left behind it.
import { assert, assertEquals, assertNotEquals, assertStrictEquals } from "@std/assert";
import { defineTable, isManifestError, Manifest, ManifestError, type Transaction, type TransactOptions, u53 } from "../../mod.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { testEnvironment } from "../support/environment.ts";
import { GatedStorage, settle } from "../support/gated_storage.ts";
import { test } from "../support/harness.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const cells = defineTable({ name: "cells", key: [u53("id")], value: { n: u53() } });

/** A promise that never settles. */
function never(): Promise<never> {
  return new Promise(() => {});
}

/** Every method of an ended transaction refuses. */
async function assertClosed(txn: Transaction): Promise<void> {
  const calls = [
    () => txn.get(cells, 1),
    () => txn.has(cells, 1),
    () => txn.count(cells),
    () => txn.range(cells),
    () => txn.maxDbId(),
    () => txn.listCollectable(),
    () => txn.put(cells, 1, { n: 1 }),
    () => txn.putDb(1, { name: "x" }),
    () => txn.deleteRange(cells, {}),
    () => txn.savepoint(),
    () => txn.rollback(),
  ];
  for (const call of calls) assertEquals(await codeOf(call), "TXN_CLOSED", `${call}`);
}

test("transact: gives the value, the receipt and the number of attempts, for functions that are sync and async", async () => {
  const manifest = await new Medium().open();
  for (
    const fn of [
      (txn: Transaction) => txn.put(cells, 1, { n: 1 }).length,
      async (txn: Transaction) => (await undefined, txn.put(cells, 1, { n: 1 }).length),
    ]
  ) {
    let commitId = "";
    const latest = manifest.latestChangeSequence();
    const { value, receipt, attempts } = await manifest.transact((txn) => (commitId = txn.commitId, assertEquals(txn.attempt, 1), fn(txn)));
    assertEquals([value, attempts, receipt.sequence, receipt.commitId], [1, 1, latest + 1, commitId]);
    assertEquals(await manifest.resolve(commitId), {
      state: "applied",
      sequence: latest + 1,
      frame: (await manifest.resolve(commitId) as { frame: number }).frame,
    });
  }
  const nothing = await manifest.transact(() => undefined);
  assertEquals([nothing.value, nothing.receipt.sequence, nothing.receipt.commitId.length], [undefined, 0, 32]);
  await manifest.close();
});

test("transact: has every operation of a write-only transaction", async () => {
  const manifest = await new Medium().open();
  const own = new Set(["constructor", "commit", "rollback", "commitId", "length"]);
  const operations: string[] = [];
  for (let at: object = manifest.begin(); at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    operations.push(...Object.getOwnPropertyNames(at).filter((name) => !own.has(name)));
  }
  assert(operations.includes("put") && operations.includes("publishSnapshot"));
  await manifest.transact((txn) => {
    for (const name of operations) assertEquals(typeof txn[name as "put"], "function", name);
  });
  await manifest.close();
});

test("transact: the origin tags the change", async () => {
  const manifest = await new Medium().open();
  await manifest.transact((txn) => void txn.put(cells, 1, { n: 1 }), { origin: "replica-b" });
  const cursor = await manifest.registerChangeCursor("c");
  const { changes } = await manifest.fetchChangePage(cursor.id);
  assertEquals(changes.map(({ origin, operations }) => [origin, operations.map(({ op }) => op)]), [["replica-b", ["put"]]]);
  await manifest.close();
});

test("transact: wrong arguments are refused before anything happens", async () => {
  const manifest = await new Medium().open();
  let runs = 0;
  const run = (options: unknown) => manifest.transact(() => void runs++, options as TransactOptions);
  const wrong: Record<string, unknown[]> = {
    origin: [1, null],
    signal: [{}, null, "x"],
    timeoutMs: ["1", -1, NaN, Infinity, 2 ** 31],
    retries: ["1", -1, 0.5, Infinity],
    expectedSequence: ["1", -1, 0.5, 2 ** 53],
  };
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const error = await errorOf(() => run({ [name]: value }));
      assertEquals([error.code, error.detail.field], ["INVALID_ARGUMENT", name], String(value));
    }
  }
  assertEquals(await codeOf(() => run(null)), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => run("x")), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => manifest.transact("x" as never)), "INVALID_ARGUMENT");
  assertEquals(runs, 0);
  assertEquals(manifest.stats().readers, []);
  await manifest.close();
});

test("transact: a function that throws gives everything up: CALLBACK_FAILED with the cause, an error of this package as it is", async () => {
  const manifest = await new Medium().open();
  const thrown = [new Error("mine"), "text", undefined, null, { an: "object" }];
  for (const cause of thrown) {
    for (const late of [false, true]) {
      const error = await errorOf(() =>
        manifest.transact((txn) => {
          txn.put(cells, 1, { n: 1 });
          if (late) return Promise.reject(cause);
          throw cause;
        })
      );
      assertEquals([error.code, error.kind, error.outcome, error.handle, error.retryable], [
        "CALLBACK_FAILED",
        "usage",
        "not_applied",
        "ok",
        false,
      ]);
      assertStrictEquals(error.cause, cause);
    }
  }
  const own = new ManifestError("NOT_FOUND", "Cannot find: it");
  assertStrictEquals(await errorOf(() => manifest.transact(() => Promise.reject(own))), own);
  const type = await errorOf(() => manifest.transact((txn) => txn.put({} as never, [1] as never, {} as never)));
  assert(type instanceof TypeError && isManifestError(type) && type.code === "INVALID_ARGUMENT");
  assertEquals([manifest.latestChangeSequence(), manifest.listTables().filter(({ builtIn }) => !builtIn)], [0, []]);
  assertEquals((await manifest.transact((txn) => txn.put(cells, 1, { n: 1 }).get(cells, 1)!.n)).value, 1);
  await manifest.close();
});

test("transact: a transaction that is kept refuses everything behind its end, iterators included", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().put(cells, 1, { n: 1 }).put(cells, 2, { n: 1 }).commit();
  let kept: Transaction | undefined;
  let iterator: Iterator<unknown> | undefined;
  let range: Iterable<unknown> | undefined;
  await manifest.transact((txn) => {
    kept = txn;
    range = txn.range(cells);
    iterator = txn.keys(cells)[Symbol.iterator]();
    assertEquals(iterator.next().value, [1]);
  });
  await assertClosed(kept!);
  assertEquals(await codeOf(() => iterator!.next()), "TXN_CLOSED"); // though its rows have been fetched
  assertEquals(await codeOf(() => range![Symbol.iterator]().next()), "TXN_CLOSED");
  await manifest.transact((txn) => void (kept = txn.put(cells, 3, { n: 1 })));
  await assertClosed(kept!);
  await manifest.transact((txn) => {
    kept = txn;
    throw new Error("x");
  }).catch(() => {});
  await assertClosed(kept!);
  assertEquals(manifest.stats().readers, []);
  await manifest.close();
});

test("transact: each attempt has an id of its own; that of one that conflicted resolves as not applied", async () => {
  const manifest = await new Medium().open();
  const ids: string[] = [];
  const kept: Transaction[] = [];
  const { receipt } = await manifest.transact(async (txn) => {
    ids.push(txn.commitId);
    kept.push(txn);
    txn.get(cells, 1);
    if (txn.attempt === 1) await manifest.begin().put(cells, 1, { n: 1 }).commit();
    txn.put(cells, 2, { n: 1 });
  });
  assertEquals([ids.length, receipt.commitId], [2, ids[1]!]);
  assertNotEquals(ids[0], ids[1]);
  assertEquals([(await manifest.resolve(ids[0]!)).state, (await manifest.resolve(ids[1]!)).state], ["not_applied", "applied"]);
  await assertClosed(kept[0]!);
  await manifest.close();
});

test("transact: one inside another is independent of it", async () => {
  const manifest = await new Medium().open();
  let inner = 0;
  const { value, attempts } = await manifest.transact(async (txn) => {
    txn.put(cells, 1, { n: 1 });
    if (txn.attempt > 1) return txn.get(cells, 2)!.n;
    const { value } = await manifest.transact((nested) => {
      inner++;
      assertEquals(nested.get(cells, 1), undefined);
      return nested.put(cells, 2, { n: 2 }).get(cells, 2)!.n;
    });
    assertEquals(txn.has(cells, 2), false); // its state is older than what was committed inside
    return value;
  });
  assertEquals([value, attempts, inner, manifest.get(cells, 1)!.n, manifest.get(cells, 2)!.n], [2, 2, 1, 1, 2]);
  // What the inner one rejects with is the outer one's to handle, a conflict included: it is not tried again for it.
  let runs = 0;
  const error = await errorOf(() =>
    manifest.transact(async () => {
      runs++;
      await manifest.begin().put(cells, 9, { n: 1 }).commit({ expectedSequence: 0 });
    })
  );
  assertEquals([error.code, runs], ["CONFLICT", 1]);
  await manifest.close();
});

test("transact: an abort ends it at once, though its function never settles; its signal and reason say so", async () => {
  const manifest = await new Medium().open();
  const controller = new AbortController();
  let kept: Transaction | undefined;
  const running = manifest.transact((txn) => {
    kept = txn.put(cells, 1, { n: 1 });
    return never();
  }, { signal: controller.signal });
  await settle();
  assertEquals(kept!.signal.aborted, false);
  controller.abort("enough");
  const error = await errorOf(() => running);
  assertEquals([error.code, error.outcome, error.cause], ["ABORTED", "not_applied", "enough"]);
  assertEquals([kept!.signal.aborted, kept!.signal.reason], [true, error]);
  await assertClosed(kept!);
  assertEquals(manifest.stats().readers, []);
  let runs = 0;
  assertEquals(await codeOf(() => manifest.transact(() => void runs++, { signal: controller.signal })), "ABORTED");
  assertEquals(runs, 0);
  // Inside a function that does not wait: what it does then counts for nothing.
  const inside = new AbortController();
  const sync = manifest.transact((txn) => {
    txn.put(cells, 1, { n: 1 });
    inside.abort();
  }, { signal: inside.signal });
  assertEquals(await codeOf(() => sync), "ABORTED");
  assertEquals(manifest.latestChangeSequence(), 0);
  await manifest.close();
});

test("transact: a function that fails behind its interruption is not heard", async () => {
  const manifest = await new Medium().open();
  const controller = new AbortController();
  let fail!: (error: unknown) => void;
  const running = manifest.transact(() => new Promise((_, reject) => fail = reject), { signal: controller.signal });
  await settle();
  controller.abort();
  assertEquals(await codeOf(() => running), "ABORTED");
  fail(new Error("late"));
  await settle();
  await manifest.close();
});

test("transact: a timeout ends it at once, by the timer of the environment, all attempts together", async () => {
  const environment = testEnvironment(1);
  const manifest = await new Medium().open({ environment });
  const hang = (options?: TransactOptions) => {
    let kept: Transaction | undefined;
    const running = manifest.transact((txn) => (kept = txn, never()), options);
    return { running, kept: () => kept! };
  };
  const one = hang({ timeoutMs: 50 });
  await settle();
  environment.advance(49);
  await settle();
  assertEquals(one.kept().signal.aborted, false);
  environment.advance(1);
  const error = await errorOf(() => one.running);
  assertEquals([error.code, error.kind, error.retryable, error.outcome, error.detail.timeoutMs], [
    "TIMEOUT",
    "unavailable",
    true,
    "not_applied",
    50,
  ]);
  await assertClosed(one.kept());
  const standard = hang();
  const unlimited = hang({ timeoutMs: 0 });
  await settle();
  environment.advance(29_999);
  await settle();
  assertEquals(standard.kept().signal.aborted, false);
  environment.advance(1);
  assertEquals(await codeOf(() => standard.running), "TIMEOUT");
  environment.advance(10_000_000);
  await settle();
  assertEquals(unlimited.kept().signal.aborted, false);
  await manifest.close();
  assertEquals(await codeOf(() => unlimited.running), "HANDLE_CLOSED");
});

test("transact: an abort does not call off a commit that has been taken: applied wins", async () => {
  const storage = new GatedStorage(new MemoryStorage());
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, syncMode: "async" });
  await manifest.createTable(cells);
  storage.shut();
  const controller = new AbortController();
  const running = manifest.transact((txn) => void txn.put(cells, 1, { n: 1 }), { signal: controller.signal });
  await settle();
  assertEquals(storage.waiting, 1);
  controller.abort();
  await settle();
  storage.open();
  assertEquals((await running).receipt.sequence, 1);
  assertEquals(manifest.get(cells, 1)!.n, 1);
  await manifest.close();
});

test("transact: an abort calls off a commit that still waits in line", async () => {
  const storage = new GatedStorage(new MemoryStorage());
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, syncMode: "async" });
  await manifest.createTable(cells);
  storage.shut();
  const first = manifest.begin().put(cells, 1, { n: 1 }).commit();
  await settle();
  const checkpoint = manifest.checkpoint(); // wanted: nobody is admitted before it has begun
  const controller = new AbortController();
  let commitId = "";
  const running = manifest.transact((txn) => {
    commitId = txn.put(cells, 2, { n: 2 }).commitId;
  }, { signal: controller.signal });
  await settle();
  assert(manifest.stats().waiting >= 2);
  controller.abort();
  assertEquals(await codeOf(() => running), "ABORTED");
  storage.open();
  await Promise.all([first, checkpoint]);
  assertEquals([manifest.has(cells, 2), (await manifest.resolve(commitId)).state], [false, "not_applied"]);
  await manifest.close();
});

test("transact: closing the manifest ends those whose function runs, and waits for those that commit", async () => {
  const storage = new GatedStorage(new MemoryStorage());
  const manifest = await Manifest.open(storage, { create: true, idleCheckpoint: 0, syncMode: "async" });
  await manifest.createTable(cells);
  storage.shut();
  const committing = manifest.transact((txn) => void txn.put(cells, 1, { n: 1 }));
  await settle();
  let kept: Transaction | undefined;
  const hanging = manifest.transact((txn) => (kept = txn.put(cells, 2, { n: 2 }), never()));
  await settle();
  const closing = manifest.close();
  const error = await errorOf(() => hanging);
  assertEquals([error.code, error.outcome, kept!.signal.reason], ["HANDLE_CLOSED", "not_applied", error]);
  await assertClosed(kept!);
  storage.open();
  await closing;
  assertEquals((await committing).receipt.sequence, 1);
  assertEquals(await codeOf(() => manifest.transact(() => 1)), "HANDLE_CLOSED");
});

test("transact: a function that closes the manifest ends itself", async () => {
  const manifest = await new Medium().open();
  const error = await errorOf(() =>
    manifest.transact(async (txn) => {
      txn.put(cells, 1, { n: 1 });
      await manifest.close();
    })
  );
  assertEquals([error.code, error.outcome], ["HANDLE_CLOSED", "not_applied"]);
});

test("transact: on a manifest opened for reading only, one that only reads works, one that writes is READ_ONLY", async () => {
  const medium = new Medium();
  const writer = await medium.open();
  await writer.begin().put(cells, 1, { n: 1 }).commit();
  await writer.close();
  const manifest = await medium.open({ readOnly: true });
  assertEquals((await manifest.transact((txn) => txn.get(cells, 1)!.n)).value, 1);
  const shown = await errorOf(() => manifest.transact((txn) => txn.put(cells, 1, { n: 2 }).get(cells, 1)!.n));
  assertEquals([shown.code, shown.outcome], ["READ_ONLY", "not_applied"]);
  const missing = defineTable({ name: "missing", key: [u53("id")], value: {} });
  assertEquals(await codeOf(() => manifest.transact((txn) => void txn.put(missing, 1, {}))), "READ_ONLY");
  await manifest.close();
});

test("transact: nothing is left behind: no reader, no timer's work, no kept writes", async () => {
  const environment = testEnvironment(3);
  let timers = 0;
  const counted = {
    ...environment,
    timer: (milliseconds: number, callback: () => void) => {
      timers++;
      const timer = environment.timer(milliseconds, callback);
      return { cancel: () => (timers--, timer.cancel()) };
    },
  };
  const manifest = await new Medium().open({ environment: counted });
  for (let i = 0; i < 50; i++) {
    await manifest.transact((txn) => void txn.put(cells, i, { n: txn.count(cells) }));
    await manifest.transact((txn) => txn.get(cells, i));
    await manifest.transact(() => Promise.reject(new Error("x"))).catch(() => {});
  }
  assertEquals([timers, manifest.stats().readers.length, manifest.count(cells)], [0, 0, 50]);
  await manifest.close();
});
