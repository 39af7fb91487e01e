// Bad input: whatever the LSM catalog is given, it answers with a typed error and nothing is applied.
import { assert, assertEquals } from "@std/assert";
import { openCatalog } from "../../../src/catalogs/catalog.ts";
import { LsmCatalog } from "../../../src/catalogs/lsm/mod.ts";
import { codeOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { ids, key, Medium, openLsm, sst, stateOf } from "./lsm.ts";

/** Numbers that are no ids, with the code that says so. */
const NO_ID: readonly [value: unknown, code: string][] = [
  [NaN, "INVALID_ARGUMENT"],
  [-1, "INVALID_ARGUMENT"],
  [1.5, "INVALID_ARGUMENT"],
  [Infinity, "INVALID_ARGUMENT"],
  [-Infinity, "INVALID_ARGUMENT"],
  [2 ** 53, "LIMIT"],
  [2 ** 53 - 1, "LIMIT"], // the next id must be a number too
  [1e300, "LIMIT"],
  ["1", "INVALID_ARGUMENT"],
  [1n, "INVALID_ARGUMENT"],
  [null, "INVALID_ARGUMENT"],
  [undefined, "INVALID_ARGUMENT"],
  [{}, "INVALID_ARGUMENT"],
  [[1], "INVALID_ARGUMENT"],
  [Symbol("1"), "INVALID_ARGUMENT"],
  [{ valueOf: () => 1 }, "INVALID_ARGUMENT"],
];

/** Calls that must fail; nothing may have been committed behind them. */
async function refused(catalog: LsmCatalog, calls: readonly [code: string, call: () => unknown, what: string][]): Promise<void> {
  const before = stateOf(catalog);
  const sequence = catalog.manifest.latestChangeSequence();
  for (const [code, call, what] of calls) assertEquals(await codeOf(call), code, what);
  assertEquals([stateOf(catalog), catalog.manifest.latestChangeSequence()], [before, sequence]);
}

test("LsmCatalog bad input: ids that are none", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.addSst(sst(1));
  const calls: [string, () => unknown, string][] = [];
  for (const [value, code] of NO_ID) {
    const bad = value as number;
    const what = `${String(value)} (${typeof value})`;
    calls.push(
      [code, () => catalog.setActiveWal(bad), what],
      [code, () => catalog.addFrozenWal(bad), what],
      [code, () => catalog.removeFrozenWal(bad), what],
      [code, () => catalog.addSst({ ...sst(2), id: bad }), what],
      [code, () => catalog.removeSst(bad), what],
      [code, () => catalog.getSst(bad), what],
      [code, () => catalog.applyCompaction({ removed: [bad] }), what],
      [code, () => catalog.applyCompaction({ added: [{ ...sst(2), id: bad }] }), what],
      [code, () => catalog.flush({ sst: { ...sst(2), id: bad } }), what],
      [code, () => catalog.forget([{ kind: "sst", id: bad }]), what],
      [code, () => catalog.orphans([{ kind: "wal", id: bad }]), what],
      [code, () => catalog.edit().rotateWal(bad), what],
    );
    if (value !== undefined) {
      calls.push([code, () => catalog.rotateWal(bad), what], [code, () => catalog.flush({ wal: [1, bad] }), what]);
    }
    if (typeof value === "number") calls.push([code, () => catalog.orphans([bad]), what]);
    if (value !== 2 ** 53 - 1) {
      calls.push(
        [code, () => catalog.setVersion(bad), what],
        [code, () => catalog.updateLsn(bad), what],
        [code, () => catalog.allocateSstIds(bad), what],
        [code, () => catalog.addSst({ ...sst(2), ...value === undefined ? { minKey: undefined as never } : { sizeBytes: bad } }), what],
      );
    }
  }
  await refused(catalog, calls);
  // The least and the greatest of them.
  await catalog.edit().addSst(sst(0)).setActiveWal(0).updateLsn(2 ** 53 - 1).setVersion(0).addFrozenWal(2 ** 53 - 2).commit();
  assertEquals([ids(catalog.listSsts()), catalog.getLastLsn(), catalog.getFrozenWals()], [[0, 1], 2 ** 53 - 1, [2 ** 53 - 2]]);
  await catalog.addSst(sst(2 ** 53 - 3));
  assertEquals(await catalog.allocateSstId(), 2 ** 53 - 2);
  assertEquals(await codeOf(() => catalog.allocateSstId()), "LIMIT"); // there are no more
  assertEquals(await codeOf(() => catalog.rotateWal()), "LIMIT");
  assertEquals([catalog.peekNextSstId(), catalog.getActiveWal()], [2 ** 53 - 1, 0]);
  assertEquals(await codeOf(() => catalog.allocateSstIds(0)), "INVALID_ARGUMENT");
  assertEquals(await codeOf(() => catalog.allocateSstIds(65_537)), "LIMIT");
  await manifest.close();
});

test("LsmCatalog bad input: sorted tables that are none", async () => {
  const { catalog, manifest } = await openLsm();
  const good = { id: 1, minKey: key("a"), maxKey: key("b") };
  const bad: [code: string, sst: unknown][] = [
    ["INVALID_ARGUMENT", undefined],
    ["INVALID_ARGUMENT", null],
    ["INVALID_ARGUMENT", 7],
    ["INVALID_ARGUMENT", "table"],
    ["INVALID_ARGUMENT", {}],
    ["INVALID_ARGUMENT", { ...good, minKey: "a" }],
    ["INVALID_ARGUMENT", { ...good, minKey: [97] }],
    ["INVALID_ARGUMENT", { ...good, maxKey: undefined }],
    ["INVALID_ARGUMENT", { ...good, maxKey: new Uint16Array(1) }],
    ["INVALID_ARGUMENT", { ...good, minKey: key("c") }], // reversed
    ["INVALID_ARGUMENT", { ...good, minKey: key("ba") }],
    ["INVALID_ARGUMENT", { ...good, minKey: new Uint8Array([255]), maxKey: new Uint8Array([1]) }],
    ["INVALID_ARGUMENT", { ...good, level: -1 }],
    ["INVALID_ARGUMENT", { ...good, level: "0" }],
    ["LIMIT", { ...good, level: 65_536 }],
    ["INVALID_ARGUMENT", { ...good, entries: NaN }],
    ["INVALID_ARGUMENT", { ...good, minLsn: 5, maxLsn: 4 }],
    ["INVALID_ARGUMENT", { ...good, minLsn: -1 }],
    ["INVALID_ARGUMENT", { ...good, createdAt: new Date() }],
    ["INVALID_ARGUMENT", { ...good, digest: 5 }],
    ["INVALID_ARGUMENT", { ...good, digest: "\ud800" }],
    ["INVALID_ARGUMENT", { ...good, fileName: 5 }],
    ["NAME_INVALID", { ...good, fileName: "" }],
    ["NAME_INVALID", { ...good, fileName: "../escape.sst" }],
    ["NAME_INVALID", { ...good, fileName: "/etc/passwd" }],
    ["NAME_INVALID", { ...good, fileName: "a\0b" }],
    ["NAME_INVALID", { ...good, fileName: "NUL" }],
    ["NAME_INVALID", { ...good, fileName: "C:\\x" }],
    ["INVALID_ARGUMENT", { ...good, sizebytes: 5 }], // no such field
    ["INVALID_ARGUMENT", { ...good, __proto__: null, toString: 1 }],
    [
      "INVALID_ARGUMENT",
      new Proxy({}, {
        ownKeys: () => {
          throw new Error("mine");
        },
      }),
    ], // deno-fmt-ignore
  ];
  await refused(
    catalog,
    bad.flatMap(([code, one], at): [string, () => unknown, string][] => [
      [code, () => catalog.addSst(one as never), `addSst of bad table ${at}`],
      [code, () => catalog.applyCompaction({ added: [good, one as never] }), "applyCompaction"],
      ...one === undefined ? [] : [[code, () => catalog.flush({ sst: one as never }), "flush"] as [string, () => unknown, string]],
      [code, () => catalog.flush({ sst: [good, one as never] }), "flush of several"],
    ]),
  );
  // At its limits everything is kept as it is.
  const most = {
    ...good,
    level: 65_535,
    sizeBytes: 2 ** 53 - 1,
    entries: 2 ** 53 - 1,
    minLsn: 0,
    maxLsn: 2 ** 53 - 1,
    digest: "",
    createdAt: 0,
  };
  const extreme = { ...most, minKey: new Uint8Array(0), maxKey: new Uint8Array(0), fileName: "__proto__" };
  await catalog.addSst(extreme);
  assertEquals(catalog.getSst(1), extreme);
  assertEquals(ids(catalog.overlapping({ to: new Uint8Array(0) })), [1]);
  await manifest.close();
});

test("LsmCatalog bad input: lists, kinds, options and queries", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.edit().addSst(sst(1, 1, "a", "c")).setActiveWal(3).commit();
  const hostile = new Proxy({}, {
    get: () => {
      throw new Error("mine");
    },
    ownKeys: () => ["levels"],
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
  }); // deno-fmt-ignore
  const calls: [string, () => unknown, string][] = [
    ["INVALID_ARGUMENT", () => catalog.applyCompaction({ removed: 5 as never }), "removed"],
    ["INVALID_ARGUMENT", () => catalog.applyCompaction({ removed: "12" as never }), "text"],
    ["INVALID_ARGUMENT", () => catalog.applyCompaction({ removed: null as never }), "null"],
    ["INVALID_ARGUMENT", () => catalog.applyCompaction({ remove: [] } as never), "option"],
    ["INVALID_ARGUMENT", () => catalog.applyCompaction(5 as never), "compaction"],
    ["INVALID_ARGUMENT", () => catalog.flush({ lsn: -1 }), "lsn"],
    ["INVALID_ARGUMENT", () => catalog.flush({ wal: ["1"] as never }), "wals"],
    ["INVALID_ARGUMENT", () => catalog.flush({ wal: 3 }), "the active segment"],
    ["INVALID_ARGUMENT", () => catalog.rotateWal(3), "to itself"],
    ["INVALID_ARGUMENT", () => catalog.forget([{ kind: "table" as never, id: 1 }]), "kind"],
    ["INVALID_ARGUMENT", () => catalog.forget([{ kind: "__proto__" as never, id: 1 }]), "kind"],
    ["INVALID_ARGUMENT", () => catalog.forget([1 as never]), "number"],
    ["INVALID_ARGUMENT", () => catalog.forget(null as never), "none"],
    ["INVALID_ARGUMENT", () => catalog.deletable({ limit: -1 }), "limit"],
    ["INVALID_ARGUMENT", () => catalog.deletable({ most: 1 } as never), "option"],
    ["INVALID_ARGUMENT", () => catalog.overlapping({ from: key("b"), to: key("a") }), "reversed"],
    ["INVALID_ARGUMENT", () => catalog.overlapping({ from: "a" as never }), "text"],
    ["INVALID_ARGUMENT", () => catalog.overlapping({ levels: 1 as never }), "levels"],
    ["INVALID_ARGUMENT", () => catalog.overlapping({ levels: [-1] }), "level"],
    ["LIMIT", () => catalog.overlapping({ levels: [70_000] }), "level"],
    ["INVALID_ARGUMENT", () => catalog.overlapping({ until: key("a") } as never), "option"],
    ["INVALID_ARGUMENT", () => catalog.overlapping(hostile as never), "proxy"],
    ["INVALID_ARGUMENT", () => catalog.listSsts({ level: NaN }), "level"],
    ["INVALID_ARGUMENT", () => catalog.orphans(5 as never), "found"],
    ["INVALID_ARGUMENT", () => catalog.orphans("1.sst"), "a text is no list"],
    ["INVALID_ARGUMENT", () => catalog.orphans([{ kind: "sst" } as never]), "no id"],
    ["INVALID_ARGUMENT", () => catalog.orphans([], { accept: ["all" as never] }), "accept"],
    ["INVALID_ARGUMENT", () => catalog.orphans([], { accept: "empty" as never }), "accept"],
    ["INVALID_ARGUMENT", () => catalog.orphans([], { idOf: 5 as never }), "idOf"],
    ["INVALID_ARGUMENT", () => catalog.edit().commit({ signal: 5 as never }), "signal"],
    ["INVALID_ARGUMENT", () => catalog.edit().commit({ retry: 5 } as never), "option"],
    ["INVALID_ARGUMENT", () => catalog.edit().stage(undefined as never), "no transaction"],
    ["INVALID_ARGUMENT", () => catalog.within({} as never), "no transaction"],
    ["INVALID_ARGUMENT", () => catalog.within(hostile as never), "proxy"],
  ];
  await refused(catalog, calls);
  await manifest.close();
});

test("LsmCatalog bad input: openings", async () => {
  const medium = new Medium();
  const manifest = await medium.open();
  for (const bad of [undefined, null, 5, {}, medium]) assertEquals(await codeOf(() => LsmCatalog.open(bad as never)), "INVALID_ARGUMENT");
  for (const name of ["", "x".repeat(129), "a\0", "\udc00", 5, null]) {
    assertEquals(await codeOf(() => LsmCatalog.open(manifest, { name: name as never })), "NAME_INVALID", String(name));
  }
  for (const options of [{ nam: "x" }, { create: 1 }, { origin: 5 }, { allowOverlaps: "yes" }, 5, null]) {
    assertEquals(await codeOf(() => LsmCatalog.open(manifest, options as never)), "INVALID_ARGUMENT", JSON.stringify(options));
  }
  assertEquals(await codeOf(() => LsmCatalog.open(manifest, { create: false })), "NOT_FOUND");
  assertEquals(manifest.latestChangeSequence(), 0); // nothing was made
  await manifest.close();
});

test("LsmCatalog bad input: a name that is a catalog of another kind", async () => {
  const medium = new Medium();
  const manifest = await medium.open();
  await openCatalog(manifest, { action: "open the catalog", name: "default", kind: "files", create: true, tables: [], make: () => {} });
  await LsmCatalog.open(manifest, { name: "own" });
  const bytes = medium.file.bytes();
  for (const options of [{}, { create: false }]) assertEquals(await codeOf(() => LsmCatalog.open(manifest, options)), "CATALOG_MISMATCH");
  const other = { action: "open the catalog", name: "own", kind: "files" as const, create: true, tables: [], make: () => {} };
  assertEquals(await codeOf(() => openCatalog(manifest, other)), "CATALOG_MISMATCH");
  assertEquals(medium.file.bytes(), bytes);
  await manifest.close();
});

test("LsmCatalog bad input: a manifest that is only read shows everything and changes nothing", async () => {
  const medium = new Medium();
  const { catalog: writing, manifest: writer } = await openLsm(medium);
  await writing.edit().addSst(sst(1, 1, "a", "c")).setActiveWal(3).commit();
  const state = stateOf(writing);
  await writer.close();
  const { catalog, manifest } = await openLsm(medium, {}, { readOnly: true });
  assertEquals(stateOf(catalog), state);
  using version = catalog.pin({ files: false });
  assertEquals([stateOf(version), version.held, catalog.stats().pins], [state, false, 0]);
  const calls: [string, () => unknown, string][] = [
    ["READ_ONLY", () => catalog.setVersion(2), "setVersion"],
    ["READ_ONLY", () => catalog.addSst(sst(1, 1, "a", "c")), "also where nothing is to do"],
    ["READ_ONLY", () => catalog.allocateSstId(), "allocateSstId"],
    ["READ_ONLY", () => catalog.rotateWal(), "rotateWal"],
    ["READ_ONLY", () => catalog.flush({ lsn: 5 }), "flush"],
    ["READ_ONLY", () => catalog.forget([]), "forget"],
    ["READ_ONLY", () => catalog.deletable(), "deletable"],
    ["READ_ONLY", () => catalog.pin(), "pin"],
    ["READ_ONLY", () => catalog.orphans([1]), "orphans"],
    ["READ_ONLY", () => catalog.acceptHistory(), "acceptHistory"],
    ["READ_ONLY", () => catalog.checkpoint(), "checkpoint"],
    ["READ_ONLY", () => manifest.transact((txn) => catalog.edit().setVersion(9).stage(txn)), "in a transaction"],
  ];
  await refused(catalog, calls);
  await manifest.close();
});

test("LsmCatalog bad input: a manifest that is closed", async () => {
  const { catalog, manifest } = await openLsm();
  await catalog.addSst(sst(1));
  const version = catalog.pin();
  await manifest.close();
  const calls: (() => unknown)[] = [
    () => catalog.getVersion(),
    () => catalog.getFrozenWals(),
    () => catalog.listSsts(),
    () => catalog.overlapping(),
    () => catalog.isDirty(),
    () => catalog.stats(),
    () => catalog.pin(),
    () => catalog.addSst(sst(2)),
    () => catalog.allocateSstId(),
    () => catalog.deletable(),
    () => catalog.orphans([1]),
    () => catalog.checkpoint(),
    () => LsmCatalog.open(manifest),
  ];
  for (const call of calls) assertEquals(await codeOf(call), "HANDLE_CLOSED", String(call));
  assertEquals(await codeOf(() => version.listSsts()), "TXN_CLOSED");
  version.close(); // does no harm
  assert(version.closed);
});
