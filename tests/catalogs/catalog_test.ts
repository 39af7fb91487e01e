// What all catalogs share: names, kinds, and the commit that makes one.
import { assertEquals } from "@std/assert";
import { defineTable, type Manifest, text, u53 } from "../../mod.ts";
import {
  type CatalogKind,
  type CatalogOpening,
  checkCatalogName,
  checkManifest,
  listCatalogs,
  openCatalog,
} from "../../src/catalogs/catalog.ts";
import { codeOf, errorOf, Medium } from "../manifest/open_manifest.ts";
import { test } from "../support/harness.ts";

const things = defineTable({ name: "things", key: [text("catalog"), u53("id")], value: { n: u53() } });

function opening(name: string, kind: CatalogKind, more: Partial<CatalogOpening> = {}): CatalogOpening {
  return {
    action: "open the catalog",
    name,
    kind,
    create: true,
    tables: [things],
    make: (txn) => void txn.put(things, [name, 0], { n: 1 }),
    ...more,
  };
}

function find(manifest: Manifest, name: string): number | undefined {
  return manifest.get(things, [name, 0])?.n;
}

test("catalogs: one is made with its first rows in one change, and found again", async () => {
  const medium = new Medium();
  const manifest = await medium.open();
  assertEquals(listCatalogs(manifest), []);
  assertEquals(await openCatalog(manifest, opening("a", "lsm")), true);
  assertEquals(manifest.latestChangeSequence(), 1);
  assertEquals(manifest.getChange(1)!.operations.map((operation) => operation.op), ["put", "put"]);
  assertEquals(await openCatalog(manifest, opening("b", "files")), true);
  assertEquals(await openCatalog(manifest, opening("a", "lsm")), false);
  assertEquals(manifest.latestChangeSequence(), 2);
  await manifest.close();
  const again = await medium.open();
  assertEquals(listCatalogs(again), [{ name: "a", kind: "lsm" }, { name: "b", kind: "files" }]);
  assertEquals(await openCatalog(again, opening("a", "lsm", { create: false })), false);
  assertEquals(find(again, "a"), 1);
  await again.close();
});

test("catalogs: a name is of one kind for good", async () => {
  const manifest = await new Medium().open();
  await openCatalog(manifest, opening("a", "lsm"));
  const error = await errorOf(() => openCatalog(manifest, opening("a", "files")));
  assertEquals([error.code, error.detail], ["CATALOG_MISMATCH", { catalog: "a", expected: "files", actual: "lsm" }]);
  assertEquals(manifest.latestChangeSequence(), 1);
  await manifest.close();
});

test("catalogs: openings at once make one, also of two kinds", async () => {
  const manifest = await new Medium().open();
  const kinds: CatalogKind[] = ["lsm", "lsm", "files", "lsm"];
  const results = await Promise.allSettled(kinds.map((kind) => openCatalog(manifest, opening("a", kind))));
  const made = results.map((result) => result.status === "fulfilled" ? result.value : result.reason.code);
  assertEquals(made, [true, false, "CATALOG_MISMATCH", false]);
  assertEquals(manifest.latestChangeSequence(), 1);
  await manifest.close();
});

test("catalogs: none is made where it must not, and where nothing can be written", async () => {
  const medium = new Medium();
  const manifest = await medium.open();
  assertEquals(await codeOf(() => openCatalog(manifest, opening("a", "lsm", { create: false }))), "NOT_FOUND");
  assertEquals(manifest.listTables().filter(({ builtIn }) => !builtIn), []);
  await openCatalog(manifest, opening("b", "lsm"));
  await manifest.close();
  const reading = await medium.open({ readOnly: true });
  assertEquals(await codeOf(() => openCatalog(reading, opening("a", "lsm"))), "NOT_FOUND");
  assertEquals(await openCatalog(reading, opening("b", "lsm")), false);
  await reading.close();
  assertEquals(await codeOf(() => openCatalog(reading, opening("b", "lsm"))), "HANDLE_CLOSED");
});

test("catalogs: names are 1 to 128 bytes of text without NUL; only a manifest is one", async () => {
  for (const name of ["default", "__proto__", "constructor", "ü".repeat(64), " ", "a/../b"]) {
    assertEquals(checkCatalogName(name, "open"), name);
  }
  for (const name of ["", "ü".repeat(65), "a\0b", "\ud800", 1, null, undefined, {}]) {
    assertEquals(await codeOf(() => checkCatalogName(name, "open")), "NAME_INVALID", String(name));
  }
  for (const manifest of [undefined, null, 1, {}, { transact: 1 }]) {
    assertEquals(await codeOf(() => checkManifest(manifest as never, "open")), "INVALID_ARGUMENT");
  }
  const hostile = new Proxy({}, {
    get: () => {
      throw new Error("no");
    },
  }); // deno-fmt-ignore
  assertEquals(await codeOf(() => checkManifest(hostile as never, "open")), "INVALID_ARGUMENT");
});
