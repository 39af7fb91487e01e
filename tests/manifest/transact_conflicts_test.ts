// Read-write transactions beside other commits: what conflicts, what does not, and that those who conflict see the new state. Each interleaving is made by hand.
import { assert, assertEquals } from "@std/assert";
import {
  type CommitReceipt,
  cursors,
  defineTable,
  isManifestError,
  type Manifest,
  type ManifestErrorFields,
  type RangeOptions,
  text,
  type Transaction,
  type TransactOptions,
  u53,
} from "../../mod.ts";
import { test } from "../support/harness.ts";
import { codeOf, errorOf, Medium } from "./open_manifest.ts";

const cells = defineTable({ name: "cells", key: [u53("id")], value: { n: u53() } });
const other = defineTable({ name: "other", key: [text("name")], value: { n: u53() } });

/** A manifest with the even cells from 0 to 98. */
async function filled(): Promise<Manifest> {
  const manifest = await new Medium().open();
  const txn = manifest.begin().put(other, ["x"], { n: 0 });
  for (let id = 0; id < 100; id += 2) txn.put(cells, [id], { n: id });
  await txn.commit();
  return manifest;
}

/** Reads, lets another commit come between, writes: the detail of the conflict, or undefined when there is none. */
async function conflict(
  read: (txn: Transaction) => unknown,
  between: (manifest: Manifest) => Promise<unknown>,
): Promise<Record<string, unknown> | undefined> {
  const manifest = await filled();
  try {
    await manifest.transact(async (txn) => {
      read(txn);
      await between(manifest);
      txn.put(other, ["mine"], { n: 1 });
    }, { retries: 0 });
    assertEquals(manifest.get(other, ["mine"]), { n: 1 });
    return undefined;
  } catch (error) {
    assert(isManifestError(error), `${error}`);
    assertEquals([error.code, error.kind, error.outcome, error.handle, error.retryable], [
      "CONFLICT",
      "conflict",
      "not_applied",
      "ok",
      true,
    ]);
    assertEquals(manifest.get(other, ["mine"]), undefined);
    const { sequence, frame, attempts, ...rest } = error.detail;
    assertEquals(attempts, 1);
    assert(sequence === manifest.latestChangeSequence() || sequence === 0, `${sequence}`); // 0: it was no change
    assert((frame as number) > 0 && (frame as number) >= (sequence as number));
    return rest;
  } finally {
    await manifest.close();
  }
}

function put(id: number, n = 1): (manifest: Manifest) => Promise<CommitReceipt> {
  return (manifest) => manifest.begin().put(cells, [id], { n }).commit();
}

function remove(id: number): (manifest: Manifest) => Promise<CommitReceipt> {
  return (manifest) => manifest.begin().delete(cells, [id]).commit();
}

function take(options: RangeOptions<[id: number]>, rows: number): (txn: Transaction) => void {
  return (txn) => {
    let left = rows;
    for (const _ of txn.range(cells, options)) if (--left === 0) break;
  };
}

const KEY = { table: "cells", what: "key" };
const RANGE = { table: "cells", what: "range" };
const COUNT = { table: "cells", what: "count" };

test("transact: write skew: two that read both and write one each are not both applied on what they read", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().put(cells, [1], { n: 1 }).put(cells, [2], { n: 1 }).commit();
  let arrived = 0;
  let meet!: () => void;
  const met = new Promise<void>((resolve) => meet = resolve);
  // On call while somebody else is: each may leave only when the other stays.
  const leave = (own: number) =>
    manifest.transact(async (txn) => {
      const sum = txn.get(cells, 1)!.n + txn.get(cells, 2)!.n;
      if (++arrived === 2) meet();
      await met;
      if (sum > 1) txn.put(cells, [own], { n: 0 });
      return sum;
    });
  const [a, b] = await Promise.all([leave(1), leave(2)]);
  assertEquals([a.attempts, a.value, b.attempts, b.value, b.receipt.sequence], [1, 2, 2, 1, 0]);
  assertEquals([manifest.get(cells, 1)!.n, manifest.get(cells, 2)!.n], [0, 1]);
  await manifest.close();
});

test("transact: a lost update is not possible: the second reads what the first wrote", async () => {
  const manifest = await filled();
  let first = true;
  const { value, attempts } = await manifest.transact(async (txn) => {
    const { n } = txn.get(cells, 10)!;
    if (first) await put(10, 500)(manifest);
    first = false;
    txn.put(cells, [10], { n: n + 1 });
    return n;
  });
  assertEquals([value, attempts, manifest.get(cells, 10)!.n], [500, 2, 501]);
  await manifest.close();
});

test("transact: read, modify, write: interleaved at each step, every addition counts", async () => {
  const manifest = await filled();
  const add = async (txn: Transaction) => {
    const { n } = txn.get(other, "x")!;
    await undefined;
    txn.put(other, "x", { n: n + 1 });
    await undefined;
  };
  const results = await Promise.all(Array.from({ length: 6 }, () => manifest.transact(add)));
  assertEquals(manifest.get(other, "x")!.n, 6);
  assert(results.some(({ attempts }) => attempts > 1));
  await manifest.close();
});

test("transact: ten writers on one key all succeed, and the sum is ten", async () => {
  for (const syncMode of ["inline", "async"] as const) {
    const manifest = await new Medium().open({ syncMode });
    const results = await Promise.all(Array.from({ length: 10 }, () =>
      manifest.transact((txn) => {
        const n = (txn.get(cells, 1)?.n ?? 0) + 1;
        txn.put(cells, 1, { n });
        return n;
      })));
    assertEquals(manifest.get(cells, 1)!.n, 10);
    assertEquals(results.map(({ value }) => value).sort((a, b) => a - b), Array.from({ length: 10 }, (_, i) => i + 1));
    assertEquals(new Set(results.map(({ receipt }) => receipt.sequence)).size, 10);
    // Each round one gets through: nobody spins.
    assert(results.every(({ attempts }) => attempts <= 10), `${results.map(({ attempts }) => attempts)}`);
    await manifest.close();
  }
});

test("transact: a hundred writers on one key all succeed within the standard retries when they do not wait inside", async () => {
  for (const syncMode of ["inline", "async"] as const) {
    const manifest = await new Medium().open({ syncMode });
    const results = await Promise.all(
      Array.from({ length: 100 }, () => manifest.transact((txn) => void txn.put(cells, 1, { n: (txn.get(cells, 1)?.n ?? 0) + 1 }))),
    );
    assertEquals(manifest.get(cells, 1)!.n, 100);
    assert(results.every(({ attempts }) => attempts <= 16), `${results.map(({ attempts }) => attempts)}`);
    await manifest.close();
  }
});

test("transact: the function never runs inside the call", async () => {
  const manifest = await new Medium().open();
  let runs = 0;
  const running = manifest.transact(() => ++runs);
  assertEquals(runs, 0);
  assertEquals((await running).value, 1);
  await manifest.close();
});

test("transact: a key read conflicts with a put and with a delete of it, and with nothing beside it", async () => {
  const read = (txn: Transaction) => txn.get(cells, 10);
  assertEquals(await conflict(read, put(10)), KEY);
  assertEquals(await conflict(read, remove(10)), KEY);
  assertEquals(await conflict(read, put(11)), undefined);
  assertEquals(await conflict((txn) => txn.has(cells, 10), put(10)), KEY);
  assertEquals(await conflict((txn) => txn.getBytes(cells, 10), put(10)), KEY);
});

test("transact: a key read as absent conflicts when somebody puts it", async () => {
  assertEquals(await conflict((txn) => txn.get(cells, 11), put(11)), KEY);
  assertEquals(await conflict((txn) => txn.has(cells, 11), put(11)), KEY);
  assertEquals(await conflict((txn) => txn.get(cells, 11), put(13)), undefined);
});

test("transact: a deleteRange conflicts with the keys and ranges in it, not with its upper bound", async () => {
  const cut = (manifest: Manifest) => manifest.begin().deleteRange(cells, { gte: [10], lt: [20] }).commit();
  assertEquals(await conflict((txn) => txn.get(cells, 10), cut), KEY);
  assertEquals(await conflict((txn) => txn.get(cells, 18), cut), KEY);
  assertEquals(await conflict((txn) => txn.get(cells, 20), cut), undefined);
  assertEquals(await conflict((txn) => txn.get(cells, 8), cut), undefined);
  assertEquals(await conflict((txn) => txn.values(cells, { gte: [16], lt: [30] }).toArray(), cut), RANGE);
  assertEquals(await conflict((txn) => txn.values(cells, { gte: [20], lt: [30] }).toArray(), cut), undefined);
});

test("transact: phantoms: a row put into a range that was read conflicts, beside it not", async () => {
  for (const read of ["range", "keys", "values", "rangeBytes"] as const) {
    const all = (txn: Transaction) => txn[read](cells, { gte: [10], lt: [20] }).toArray();
    assertEquals(await conflict(all, put(15)), RANGE, read);
    assertEquals(await conflict(all, put(9)), undefined, read);
    assertEquals(await conflict(all, put(20)), undefined, read);
  }
});

test("transact: phantoms: a row deleted from a range that was read conflicts", async () => {
  const all = (txn: Transaction) => txn.keys(cells, { gte: [10], lt: [20] }).toArray();
  assertEquals(await conflict(all, remove(18)), RANGE);
  assertEquals(await conflict(all, remove(20)), undefined);
});

test("transact: phantoms: an empty range that was read conflicts with the first row in it", async () => {
  const all = (txn: Transaction) => assertEquals(txn.keys(cells, { gt: [98] }).toArray(), []);
  assertEquals(await conflict(all, put(1000)), RANGE);
  assertEquals(await conflict((txn) => assertEquals(txn.keys(other, { prefix: ["q"] }).toArray(), []), put(1000)), undefined);
});

test("transact: phantoms: a count of a range conflicts with its rows, also with a change of value", async () => {
  const count = (txn: Transaction) => txn.count(cells, { gte: [10], lt: [20] });
  assertEquals(await conflict(count, put(15)), RANGE);
  assertEquals(await conflict(count, remove(10)), RANGE);
  assertEquals(await conflict(count, put(21)), undefined);
});

test("transact: a whole table's count conflicts when the number is another one, and only then", async () => {
  const count = (txn: Transaction) => assertEquals(txn.count(cells), 50);
  assertEquals(await conflict(count, put(15)), COUNT);
  assertEquals(await conflict(count, remove(10)), COUNT);
  assertEquals(await conflict(count, put(10, 7)), undefined);
  assertEquals(await conflict(count, (manifest) => manifest.begin().put(cells, [15], { n: 1 }).delete(cells, [10]).commit()), undefined);
});

test("transact: a range left after some rows was read as far as the last of them, in both directions", async () => {
  // Three rows: 10, 12, 14.
  const up = take({ gte: [10] }, 3);
  assertEquals(await conflict(up, put(13)), RANGE);
  assertEquals(await conflict(up, put(14)), RANGE);
  assertEquals(await conflict(up, put(15)), undefined);
  assertEquals(await conflict(up, put(9)), undefined);
  // 90, 88, 86.
  const down = take({ lte: [90], reverse: true }, 3);
  assertEquals(await conflict(down, put(87)), RANGE);
  assertEquals(await conflict(down, put(86)), RANGE);
  assertEquals(await conflict(down, put(85)), undefined);
  assertEquals(await conflict(down, put(91)), undefined);
});

test("transact: a limit reads no further than its last row; a range read to its end reads to its bound", async () => {
  const limited = (txn: Transaction) => txn.keys(cells, { gte: [10], limit: 3 }).toArray();
  assertEquals(await conflict(limited, put(13)), RANGE);
  assertEquals(await conflict(limited, put(15)), undefined);
  const exact = (txn: Transaction) => assertEquals(txn.keys(cells, { gte: [96], limit: 2 }).toArray().length, 2);
  assertEquals(await conflict(exact, put(99)), undefined);
  const short = (txn: Transaction) => assertEquals(txn.keys(cells, { gte: [96], limit: 3 }).toArray().length, 2);
  assertEquals(await conflict(short, put(99)), RANGE);
  assertEquals(await conflict((txn) => txn.keys(cells, { limit: 0 }).toArray(), put(1)), undefined);
});

test("transact: a range whose iterator is still open was read as far as the row handed out last", async () => {
  const held = (txn: Transaction) => {
    const iterator = txn.range(cells, { gte: [10] })[Symbol.iterator]();
    iterator.next();
    iterator.next();
  };
  assertEquals(await conflict(held, put(11)), RANGE);
  assertEquals(await conflict(held, put(13)), undefined);
});

test("transact: a range that goes on behind a position does not read what lies before it", async () => {
  const read = (txn: Transaction) => {
    const first = txn.range(cells, { gte: [10], limit: 2 });
    first.toArray();
    for (const _ of txn.range(cells, { gte: [10], after: first.position, limit: 2 }));
  };
  assertEquals(await conflict(read, put(13)), RANGE);
  assertEquals(await conflict(read, put(17)), undefined);
  const again = (txn: Transaction) => {
    const position = new Uint8Array([0xff]);
    assertEquals(txn.keys(cells, { after: position }).toArray(), []);
  };
  assertEquals(await conflict(again, put(13)), undefined);
});

test("transact: a row that the body changes after it got it does not change how far the range was read", async () => {
  for (const kind of ["range", "keys"] as const) {
    const read = (txn: Transaction) => {
      let left = 3;
      for (const item of txn[kind](cells, { gte: [10] })) {
        const key = (kind === "keys" ? item : item[0]) as number[];
        key[0] = 0;
        if (--left === 0) break;
      }
    };
    assertEquals(await conflict(read, put(13)), RANGE, kind);
    assertEquals(await conflict(read, put(15)), undefined, kind);
  }
});

test("transact: writes that rest on no read do not conflict", async () => {
  const manifest = await filled();
  const { attempts } = await manifest.transact(async (txn) => {
    txn.put(cells, [10], { n: 1 }).delete(cells, [12]).deleteRange(cells, { gte: [14], lt: [18] });
    await manifest.begin().put(cells, [10], { n: 2 }).put(cells, [12], { n: 2 }).put(cells, [15], { n: 2 }).commit();
  }, { retries: 0 });
  assertEquals(attempts, 1);
  assertEquals(manifest.keys(cells, { gte: [10], lte: [18] }).toArray(), [[10], [18]]);
  assertEquals(manifest.get(cells, 10)!.n, 1);
  await manifest.close();
});

test("transact: what a transaction reads of its own rests on nobody else", async () => {
  const own = (txn: Transaction) => assertEquals(txn.put(cells, [10], { n: 3 }).get(cells, 10)!.n, 3);
  assertEquals(await conflict(own, put(10)), undefined);
  const gone = (txn: Transaction) => assertEquals(txn.deleteRange(cells, { gte: [10], lt: [20] }).has(cells, 12), false);
  assertEquals(await conflict(gone, put(12)), undefined);
});

test("transact: disjoint ranges do not conflict, and are committed in one group", async () => {
  const manifest = await filled();
  const { groups } = manifest.stats();
  const results = await Promise.all([0, 20, 40, 60].map((from) =>
    manifest.transact((txn) => {
      for (const [[id], { n }] of txn.range(cells, { gte: [from], lt: [from + 20] })) txn.put(cells, [id], { n: n + 1 });
    }, { retries: 0 })
  ));
  assertEquals(results.map(({ attempts }) => attempts), [1, 1, 1, 1]);
  assertEquals(manifest.stats().groups, groups + 1);
  for (let id = 0; id < 80; id += 2) assertEquals(manifest.get(cells, id)!.n, id + 1);
  await manifest.close();
});

test("transact: a long reader among short writers is tried again, then it is CONFLICT", async () => {
  const manifest = await filled();
  let runs = 0;
  const slow = (most: number, writers: number) => (options: TransactOptions) => {
    runs = 0;
    return manifest.transact(async (txn) => {
      runs++;
      const sum = txn.values(cells, {}).toArray().reduce((sum, { n }) => sum + n, 0);
      if (runs <= writers) await put(50, 1000 + runs)(manifest);
      txn.put(other, "sum", { n: sum });
      return most;
    }, options);
  };
  const { attempts } = await slow(1, 5)({});
  assertEquals([attempts, runs], [6, 6]);
  const error = await errorOf(() => slow(1, Infinity)({ retries: 3 }));
  assertEquals([error.code, error.detail.attempts, error.detail.what, runs], ["CONFLICT", 4, "range", 4]);
  const standard = await errorOf(() => slow(1, Infinity)({}));
  assertEquals([standard.detail.attempts, runs], [257, 257]);
  await manifest.close();
});

test("transact: a conflict's error and its JSON hold no key and no value", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().put(other, "private-key", { n: 77_777 }).commit();
  const error: ManifestErrorFields = await errorOf(() =>
    manifest.transact(async (txn) => {
      txn.get(other, "private-key");
      await manifest.begin().put(other, "private-key", { n: 77_778 }).commit();
      txn.put(other, "mine", { n: 1 });
    }, { retries: 0 })
  );
  assertEquals(error.code, "CONFLICT");
  const shown = JSON.stringify(error) + error.message + JSON.stringify(error.detail);
  assert(!shown.includes("private") && !shown.includes("7777"), shown);
  await manifest.close();
});

test("transact: what an operation read in order to be shown is validated, blind operations are not", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().putDb(1, { name: "d" }).upsertChunk([1, 1], { fileName: "c" }).commit();
  const run = (body: (txn: Transaction) => unknown) =>
    manifest.transact(async (txn) => {
      txn.publishSnapshot([1, 1], { chunks: [{ chunkId: 1 }] });
      body(txn);
      if (txn.attempt === 1) {
        await manifest.begin().upsertChunk([1, 1], { fileName: "c", generation: txn.attempt + manifest.latestChangeSequence() }).commit();
      }
    });
  assertEquals((await run(() => {})).attempts, 1); // it lists what is there when it commits
  assertEquals(manifest.getSnapshot(1, 1)!.chunks[0]!.generation, manifest.getChunk(1, 1)!.generation);
  const seen = await run((txn) => txn.getSnapshot(1, 1)!.chunks[0]!.generation);
  assertEquals(seen.attempts, 2);
  assertEquals(manifest.getSnapshot(1, 1)!.chunks[0]!.generation, manifest.getChunk(1, 1)!.generation);
  await manifest.close();
});

test("transact: hidden effects and cursor moves count as writes", async () => {
  const manifest = await new Medium().open();
  await manifest.begin().putDb(1, { name: "d" }).upsertChunk([1, 1], { fileName: "c" }).commit();
  const object = { originDb: 1, chunkId: 1, generation: 0 };
  const counts = await errorOf(() =>
    manifest.transact(async (txn) => {
      assertEquals(txn.getRefcount(object)!.strong, 0);
      await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 1 }] }).commit();
      txn.put(other, "x", { n: 1 });
    }, { retries: 0 })
  );
  assertEquals([counts.detail.table, counts.detail.what], ["gc_refcounts", "key"]);
  const cascade = await errorOf(() =>
    manifest.transact(async (txn) => {
      assertEquals(txn.listChunks(1).toArray().length, 1);
      await manifest.begin().deleteDb(1).commit();
      txn.put(other, "x", { n: 1 });
    }, { retries: 0 })
  );
  assertEquals([cascade.detail.table, cascade.detail.what], ["chunk_catalog", "range"]);
  const cursor = await manifest.registerChangeCursor("c", { start: 1 });
  const moved = await errorOf(() =>
    manifest.transact(async (txn) => {
      assertEquals(txn.get(cursors, [cursor.id])!.name, "c");
      await manifest.acknowledgeChanges(cursor.id, 2);
      txn.put(other, "x", { n: 1 });
    }, { retries: 0 })
  );
  assertEquals([moved.detail.table, moved.detail.what, moved.detail.sequence], ["change_cursors", "key", 0]);
  await manifest.close();
});

test("transact: a table that is dropped, or dropped and made again, conflicts with what was read of it", async () => {
  assertEquals(await conflict((txn) => txn.get(cells, 10), (manifest) => manifest.dropTable(cells)), KEY);
  assertEquals(
    await conflict((txn) => txn.keys(cells, { limit: 1 }).toArray(), async (manifest) => {
      await manifest.dropTable(cells);
      await put(0, 0)(manifest);
    }),
    RANGE,
  );
  assertEquals(await conflict((txn) => txn.count(cells), (manifest) => manifest.dropTable(cells)), COUNT);
});

test("transact: a table that was not there reads as empty; making it is no conflict, putting what was read is", async () => {
  const late = defineTable({ name: "late", key: [u53("id")], value: { n: u53() } });
  const read = (txn: Transaction) => {
    assertEquals([txn.get(late, 1), txn.has(late, 1), txn.count(late), txn.keys(late).toArray()], [undefined, false, 0, []]);
  };
  const one = (txn: Transaction) => assertEquals(txn.get(late, 1), undefined);
  assertEquals(await conflict(read, (manifest) => manifest.createTable(late)), undefined);
  assertEquals(await conflict(one, (manifest) => manifest.begin().put(late, 2, { n: 1 }).commit()), undefined);
  assertEquals(await conflict(one, (manifest) => manifest.begin().put(late, 1, { n: 1 }).commit()), { table: "late", what: "key" });
  assertEquals(await conflict((txn) => txn.count(late), (manifest) => manifest.begin().put(late, 2, { n: 1 }).commit()), {
    table: "late",
    what: "count",
  });
});

test("transact: with its own table made by the commit, what it read of the missing table does not conflict with that", async () => {
  const manifest = await new Medium().open();
  const { attempts, value } = await manifest.transact((txn) => {
    const before = txn.count(cells) + txn.keys(cells).toArray().length;
    txn.put(cells, 1, { n: 1 });
    return before;
  });
  assertEquals([attempts, value, manifest.count(cells)], [1, 0, 1]);
  await manifest.close();
});

test("transact: more written since its state than is kept is a conflict of capacity", async () => {
  const manifest = await new Medium().open({ maxTransactionBytes: 64 << 20 });
  const big = defineTable({ name: "big", key: [text("k")], value: {} });
  await manifest.createTable(big);
  const error = await errorOf(() =>
    manifest.transact(async (txn) => {
      txn.get(cells, 1);
      for (let batch = 0; batch < 4; batch++) {
        const other = manifest.begin();
        for (let i = 0; i < 5000; i++) other.put(big, [`${batch}/${i}/${"k".repeat(990)}`], {});
        await other.commit();
      }
      txn.put(cells, 1, { n: 1 });
    }, { retries: 0, timeoutMs: 0 })
  );
  assertEquals([error.code, error.detail.what, error.detail.table], ["CONFLICT", "capacity", undefined]);
  // Without a read it does not matter.
  const { attempts } = await manifest.transact(async (txn) => {
    txn.put(cells, 2, { n: 1 });
    await manifest.begin().deleteRange(big, {}).commit();
  }, { retries: 0 });
  assertEquals(attempts, 1);
  await manifest.close();
});

test("transact: a failed transaction of the same group leaves no trace in what others are compared with", async () => {
  const manifest = await filled();
  const bad = manifest.transact(async (txn) => {
    txn.get(cells, 10);
    await undefined;
    txn.put(cells, [20], { n: -1 });
  });
  const good = manifest.transact(async (txn) => {
    txn.get(cells, 20);
    await undefined;
    await undefined;
    txn.put(cells, [10], { n: 5 });
  }, { retries: 0 });
  assertEquals(await codeOf(() => bad), "INVALID_ARGUMENT");
  assertEquals((await good).attempts, 1);
  await manifest.close();
});

test("expectedSequence: a batch is CONFLICT unless the newest change has that sequence, with nothing applied", async () => {
  const manifest = await filled();
  const latest = manifest.latestChangeSequence();
  const receipt = await manifest.begin().put(cells, [10], { n: 1 }).commit({ expectedSequence: latest });
  assertEquals(receipt.sequence, latest + 1);
  const late = manifest.begin().put(cells, [10], { n: 2 });
  const { commitId } = late;
  const error = await errorOf(() => late.commit({ expectedSequence: latest }));
  assertEquals([error.code, error.detail.what, error.detail.sequence, error.detail.expected], ["CONFLICT", "sequence", latest + 1, latest]);
  assertEquals(manifest.get(cells, 10)!.n, 1);
  assertEquals((await manifest.resolve(commitId)).state, "not_applied");
  // Of two in one turn the second finds the first applied.
  const [a, b] = await Promise.allSettled(
    [1, 2].map((n) => manifest.begin().put(cells, [n], { n }).commit({ expectedSequence: latest + 1 })),
  );
  assertEquals([a!.status, b!.status], ["fulfilled", "rejected"]);
  const missing = defineTable({ name: "missing", key: [u53("id")], value: {} });
  assertEquals(await codeOf(() => manifest.begin().put(missing, [1], {}).commit({ expectedSequence: 0 })), "CONFLICT");
  assert(!manifest.listTables().some(({ name }) => name === "missing"));
  assertEquals(await codeOf(() => manifest.begin().commit({ expectedSequence: 0 })), "CONFLICT");
  assertEquals((await manifest.begin().commit({ expectedSequence: latest + 2 })).sequence, 0);
  for (const wrong of ["1", -1, 1.5, NaN, 2 ** 53]) {
    assertEquals(
      await codeOf(() => manifest.begin().put(cells, [3], { n: 1 }).commit({ expectedSequence: wrong as number })),
      "INVALID_ARGUMENT",
    );
  }
  await manifest.close();
});

test("expectedSequence: a read-write transaction is CONFLICT unless the newest change has it when it begins and when it commits", async () => {
  const manifest = await filled();
  const latest = manifest.latestChangeSequence();
  let runs = 0;
  const late = await errorOf(() => manifest.transact(() => void runs++, { expectedSequence: latest - 1 }));
  assertEquals([late.code, runs], ["CONFLICT", 0]);
  const error = await errorOf(() =>
    manifest.transact(async (txn) => {
      runs++;
      txn.put(cells, [1], { n: 1 });
      await put(60)(manifest);
    }, { expectedSequence: latest })
  );
  assertEquals([error.code, error.detail.what, runs, manifest.has(cells, 1)], ["CONFLICT", "sequence", 1, false]);
  const { receipt } = await manifest.transact((txn) => void txn.put(cells, [1], { n: 1 }), { expectedSequence: latest + 1 });
  assertEquals(receipt.sequence, latest + 2);
  const applied = manifest.begin().put(cells, [3], { n: 1 }).commit();
  const { value } = await manifest.transact((txn) => txn.get(cells, 3)!.n, { expectedSequence: latest + 3 });
  assertEquals(value, 1);
  await applied;
  await manifest.close();
});
