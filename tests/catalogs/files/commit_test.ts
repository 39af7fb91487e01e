// Commits of versions: what they record, what they refuse, and what goes on around them.
import { assert, assertEquals } from "@std/assert";
import { defineTable, Manifest, memoryStorage, text, u53 } from "../../../mod.ts";
import { FileSetCatalog, type Folder, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { fail, type ManifestError } from "../../../src/errors.ts";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { altered, data, filesIn, Place, putFile, replaceFile } from "./parts.ts";

test("commit: a version tells its names, bytes and changes, and what was committed can be read at once", async () => {
  const place = await Place.open();
  await putFile(place.folder, "shared", "12345");
  await putFile(place.folder, "one", "1");
  const first = await place.catalog.commit({ set: [data("a", "shared"), data("b", "shared"), data("c", "one")], label: "import" });
  assertEquals([first.version, first.added, first.changed, first.removed, first.stored], [1, 3, 0, 0, 2]);
  assertEquals(first.receipt.sequence, place.manifest.latestChangeSequence());
  assertEquals(place.catalog.current(), {
    version: 1,
    committedAt: place.clock.time,
    label: "import",
    entries: 3,
    bytes: 11,
    added: 3,
    changed: 0,
    removed: 0,
  });
  const second = await place.catalog.commit({ set: [data("b", "one"), data("c", "one")], remove: [{ kind: "data", name: "a" }] });
  assertEquals([second.added, second.changed, second.removed, second.stored], [0, 1, 1, 0]); // c stands for what it stood for
  assertEquals([place.catalog.current()!.entries, place.catalog.current()!.bytes], [2, 2]);
  assertEquals(place.catalog.get("data", "c")!.since, 1);
  assertEquals(place.catalog.get("data", "b"), {
    kind: "data",
    name: "b",
    path: "one",
    sizeBytes: 1,
    algorithm: "blake3",
    digest: place.catalog.get("data", "c")!.digest,
    firstVersion: 1,
    since: 2,
  });
  await place.manifest.close();
});

test("commit: the three algorithms give the digests that they are known for, and a file keeps the one it was stored with", async () => {
  const known = {
    blake3: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    xxh3: "99aa06d3014798d86001c324468d497f",
  } as const;
  const place = await Place.open();
  for (const digest of ["blake3", "sha256", "xxh3"] as const) {
    const catalog = await place.another({ digest });
    await putFile(place.folder, `empty-${digest}`, "");
    await catalog.commit({ set: [data(digest, `empty-${digest}`)] });
    assertEquals([catalog.get("data", digest)!.algorithm, catalog.get("data", digest)!.digest], [digest, known[digest]]);
  }
  const sha = await place.another({ digest: "sha256" });
  await sha.commit({ set: [data("again", "empty-xxh3")] });
  assertEquals(sha.get("data", "again")!.algorithm, "xxh3");
  assertEquals((await sha.verify()).ok, true);
  await place.manifest.close();
});

test("commit: a file longer than a piece is digested as a whole", async () => {
  const place = await Place.open({ digest: "sha256" });
  const bytes = new Uint8Array(700_001).map((_, i) => i * 7);
  const file = await place.folder.create("long");
  await file.write(0, bytes);
  await file.close();
  await place.catalog.commit({ set: [data("long", "long")] });
  const expected = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  assertEquals(place.catalog.get("data", "long")!.digest, [...expected].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
  await place.manifest.close();
});

test("commit: a stored file is immutable: equal contents under its path are the same file, others an error", async () => {
  const place = await Place.open();
  await place.commit({ a: "f" });
  await replaceFile(place.folder, "f", "f");
  assertEquals(await place.commit({ b: "f" }), 2);
  await replaceFile(place.folder, "f", "g");
  const error = await errorOf(() => place.commit({ c: "f" }));
  assertEquals([error.code, error.detail.file, error.detail.reason], ["FILE_DAMAGED", "f", "digest"]);
  await replaceFile(place.folder, "f", "more");
  assertEquals((await errorOf(() => place.commit({ c: "f" }))).detail, { file: "f", reason: "size", expected: 1, actual: 4 });
  assertEquals(place.names(), { a: "f", b: "f" });
  await place.manifest.close();
});

test("commit: expectedVersion refuses a commit on another version, 0 on any", async () => {
  const place = await Place.open();
  assertEquals((await place.catalog.commit({}, { expectedVersion: 0 })).version, 1);
  const { code, detail, retryable } = await errorOf(() => place.catalog.commit({}, { expectedVersion: 0 }));
  assertEquals([code, detail, retryable], ["CONFLICT", { catalog: "default", expected: 0, actual: 1 }, true]);
  assertEquals((await place.catalog.commit({}, { expectedVersion: 1 })).version, 2);
  await place.manifest.close();
});

test("commit: commits at once make one version each, one after the other", async () => {
  const place = await Place.open();
  for (let i = 0; i < 8; i++) await putFile(place.folder, `f${i}`, "x");
  const done = await Promise.all(
    Array.from({ length: 8 }, (_, i) => place.catalog.commit({ set: [data(`n${i}`, `f${i}`), data("all", `f${i}`)] })),
  );
  assertEquals(done.map(({ version }) => version).sort((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8]);
  const last = done.findIndex(({ version }) => version === 8);
  assertEquals(place.catalog.get("data", "all")!.path, `f${last}`);
  assertEquals(place.catalog.check(), { ok: true, problems: [] });
  await place.manifest.close();
});

test("commit: at most so many files are read at once, and progress adds up", async () => {
  const folder = memoryFolder();
  let open = 0, most = 0;
  const counting = altered(folder, {
    open: async (path) => {
      most = Math.max(most, ++open);
      const file = await folder.open(path);
      return altered(file as never, {
        close: async () => {
          open--;
          await file.close();
        },
      } as never) as never;
    },
  });
  await using manifest = await Manifest.open(memoryStorage(), { create: true });
  const catalog = await FileSetCatalog.open(manifest, counting);
  const set = [];
  for (let i = 0; i < 20; i++) {
    await putFile(folder, `f${i}`, "x".repeat(i));
    set.push(data(`n${i}`, `f${i}`));
  }
  const steps: string[] = [];
  let bytes = 0, files = 0;
  await catalog.commit({ set }, {
    parallel: 3,
    onProgress: (progress) => {
      if (steps.at(-1) !== progress.step) steps.push(progress.step);
      assert(progress.bytes >= bytes && progress.files >= files);
      ({ bytes, files } = progress);
      assertEquals([progress.filesTotal, progress.bytesTotal], [20, 190]);
    },
  });
  assertEquals([steps, files, bytes], [["digest", "sync", "look"], 20, 190]);
  assertEquals([most, open], [3, 0]);
});

test("commit: an abort within the digest ends it, closes every file and leaves nothing of the version", async () => {
  const place = await Place.open();
  let open = 0;
  const counting = altered(place.folder, {
    open: async (path) => {
      const file = await place.folder.open(path);
      open++;
      return altered(file as never, { close: () => (open--, file.close()) } as never) as never;
    },
  });
  const catalog = await place.over(counting);
  for (const path of ["a", "b", "c"]) await putFile(place.folder, path, "x".repeat(600_000));
  const abort = new AbortController();
  const reason = new Error("enough");
  const failing = catalog.commit({ set: ["a", "b", "c"].map((path) => data(path, path)) }, {
    parallel: 2,
    signal: abort.signal,
    onProgress: () => abort.abort(reason),
  });
  const error = await errorOf(() => failing);
  assertEquals([error.code, (error as ManifestError).cause, open], ["ABORTED", reason, 0]);
  assertEquals([catalog.current(), catalog.stats().files], [undefined, 0]);
  assertEquals((await catalog.orphans({ minAgeMs: 0 })).orphans.length, 3); // nothing is in hand any more
  await place.manifest.close();
});

test("commit: a listener that throws ends it with CALLBACK_FAILED", async () => {
  const place = await Place.open();
  await putFile(place.folder, "a", "a");
  const error = await errorOf(() =>
    place.catalog.commit({ set: [data("a", "a")] }, {
      onProgress: () => {
        throw new TypeError("no");
      },
    })
  );
  assertEquals([error.code, (error as ManifestError).cause instanceof TypeError, place.catalog.current()], [
    "CALLBACK_FAILED",
    true,
    undefined,
  ]);
  await place.manifest.close();
});

/** Fails one call of a folder, at its n-th time. */
function failing(
  folder: Folder,
  call: "sync" | "syncDirectory" | "read",
  path: string,
  code: "SYNC_FAILED" | "IO_READ" | "NO_SPACE",
): Folder {
  const refuse = (): never => fail(code, "Cannot sync: it is a test", { detail: { file: path } });
  if (call === "syncDirectory") {
    return altered(folder, { syncDirectory: (directory) => directory === path ? refuse() : folder.syncDirectory(directory) });
  }
  return altered(folder, {
    open: async (opened) => {
      const file = await folder.open(opened);
      return opened !== path ? file : altered(file as never, { [call]: () => Promise.resolve().then(refuse) } as never) as never;
    },
  });
}

test("commit: a file or directory that cannot be synced, and a file that cannot be read, end it; the manifest goes on", async () => {
  const place = await Place.open();
  await putFile(place.folder, "d/a", "a");
  const set = [data("a", "d/a")];
  for (const [call, path] of [["sync", "d/a"], ["syncDirectory", "d"], ["syncDirectory", ""]] as const) {
    const catalog = await place.over(failing(place.folder, call, path, "SYNC_FAILED"));
    const error = await errorOf(() => catalog.commit({ set }));
    assertEquals([error.code, error.outcome, error.handle, error.retryable], ["SYNC_FAILED", "not_applied", "ok", false]);
  }
  const unreadable = await place.over(failing(place.folder, "read", "d/a", "IO_READ"));
  assertEquals(await codeOf(() => unreadable.commit({ set })), "IO_READ");
  assertEquals(place.catalog.current(), undefined);
  assertEquals((await place.catalog.commit({ set })).version, 1);
  await place.manifest.close();
});

const rows = defineTable({ name: "rows", key: [text("name")], value: { version: u53() } });

test("commit: staged into a transaction, a version and the caller's rows are one change, tagged with the transaction's origin", async () => {
  const place = await Place.open({ origin: "own" });
  await putFile(place.folder, "a1", "a");
  using prepared = await place.catalog.prepare({ set: [data("a", "a1")] });
  await prepared.lookAgain();
  const { receipt } = await place.manifest.transact((txn) => {
    const { version } = prepared.stage(txn);
    txn.put(rows, "mine", { version });
  }, { origin: "mine" });
  const change = place.manifest.getChange(receipt.sequence)!;
  assertEquals(change.origin, "mine");
  assertEquals(change.operations.map((operation) => "table" in operation ? operation.table : operation.op), [
    "file_entries",
    "stored_files",
    "file_versions",
    "file_sets",
    "rows",
  ]);
  await place.commit({ b: "b1" });
  assertEquals(place.manifest.getChange(place.manifest.latestChangeSequence())!.origin, "own");
  prepared.dispose();
  await place.manifest.transact((txn) => codeOf(() => prepared.stage(txn))).then(({ value }) => assertEquals(value, "TXN_CLOSED"));
  await place.manifest.close();
});

test("commit: what changes behind the preparation is found by another look", async () => {
  const place = await Place.open();
  await putFile(place.folder, "a", "a");
  using prepared = await place.catalog.prepare({ set: [data("a", "a")] });
  await replaceFile(place.folder, "a", "a");
  assertEquals(await codeOf(() => prepared.lookAgain()), "FILE_CHANGED");
  await place.folder.remove("a");
  assertEquals(await codeOf(() => prepared.lookAgain()), "FILE_CHANGED");
  await place.manifest.close();
});

test("commit: a file that is another one only while it is digested is found out", async () => {
  const place = await Place.open();
  await putFile(place.folder, "a", "a");
  await putFile(place.folder, "b", "b");
  const catalog = await place.over(altered(place.folder, { open: () => place.folder.open("b") }));
  assertEquals(await codeOf(() => catalog.commit({ set: [data("a", "a")] })), "FILE_CHANGED");
  await place.manifest.close();
});

test("commit: a file that another commit stores meanwhile is the same file, or an error", async () => {
  const place = await Place.open();
  await putFile(place.folder, "a", "a");
  using same = await place.catalog.prepare({ set: [data("x", "a")] });
  using other = await place.catalog.prepare({ set: [data("y", "a")] });
  await replaceFile(place.folder, "a", "b");
  await place.commit({ z: "a" });
  const stage = (prepared: typeof same): Promise<string> => codeOf(() => place.manifest.transact((txn) => void prepared.stage(txn)));
  assertEquals([await stage(same), await stage(other)], ["FILE_DAMAGED", "FILE_DAMAGED"]);
  await replaceFile(place.folder, "a", "b");
  using third = await place.catalog.prepare({ set: [data("x", "a")] });
  await place.manifest.transact((txn) => void third.stage(txn));
  assertEquals(place.names(), { x: "a", z: "a" });
  assertEquals(place.catalog.stats().files, 1);
  await place.manifest.close();
});

test("commit: in every durability mode; a prune waits until what it deletes files for is durable", async () => {
  for (const durability of ["relaxed", "none"] as const) {
    const place = await Place.open({}, { durability });
    await place.commit({ a: "a1" });
    await place.commit({ a: "a2" });
    await place.catalog.prune(1);
    assertEquals(await filesIn(place.folder), ["a2"]);
    // What a crash leaves now knows that the file is gone.
    const after = await place.crashed();
    assertEquals(after.names(), { a: "a2" });
    assertEquals((await after.catalog.verify()).ok, true);
    await after.manifest.close();
    await place.manifest.close();
  }
});

test("commit: a file that is committed and not durable yet is no orphan", async () => {
  const place = await Place.open({}, { durability: "relaxed" });
  await putFile(place.folder, "a1", "a");
  await place.catalog.commit({ set: [data("a", "a1")] });
  const report = await place.catalog.orphans({ minAgeMs: 0 });
  assertEquals([report.orphans, report.named], [[], 1]);
  await place.manifest.close();
});

test("commit: orphans are not looked for among files that a commit has in hand", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  await putFile(place.folder, "b1", "b");
  {
    using prepared = await place.catalog.prepare({ set: [data("b", "b1")] });
    const report = await place.catalog.orphans({ minAgeMs: 0 });
    assertEquals([report.orphans, report.named], [[], 2]);
    void prepared;
  }
  assertEquals((await place.catalog.orphans({ minAgeMs: 0 })).orphans.map(({ path }) => path), ["b1"]);
  await place.manifest.close();
});
