// Names that mean something to the language stay data: as keys, fields, tables, origins, cursors, and in what errors and diagnostics tell.
import { assert, assertEquals } from "@std/assert";
import { defineTable, isManifestError, Manifest, memoryStorage, optional, record, text, u53 } from "../../mod.ts";
import { ManifestError } from "../../src/errors.ts";
import type { MemoryStorage } from "../../src/storage/memory.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";

const NAMES = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "valueOf",
  "hasOwnProperty",
  "__defineGetter__",
  "__lookupSetter__",
  "then",
  "toJSON",
  "\ufeffwith a byte order mark",
];

/** Nothing was added to what every object inherits. */
function assertClean(): void {
  assertEquals(Object.keys(Object.prototype), []);
  assertEquals(({} as { polluted?: unknown }).polluted, undefined);
  assertEquals(({} as { n?: unknown }).n, undefined);
}

function open(storage = memoryStorage()): Promise<Manifest> {
  return Manifest.open(storage, { create: true, environment: testEnvironment(1), idleCheckpoint: 0 });
}

test("Manifest: names of the language are keys, values, database names, origins and cursors like any others", async () => {
  const plain = defineTable({ name: "plain", key: [text("name")], value: { n: u53(), same: optional(text()) } });
  await using manifest = await open();
  for (const [i, name] of NAMES.entries()) {
    await manifest.begin({ origin: name }).put(plain, [name], { n: i, same: name }).putDb(i + 1, { name }).commit();
    await manifest.registerChangeCursor(name, { start: "oldest" });
  }
  for (const [i, name] of NAMES.entries()) {
    assertEquals(manifest.get(plain, [name]), { n: i, same: name });
    assertEquals(manifest.getDb(i + 1)?.name, name);
  }
  assertEquals([...manifest.range(plain)].length, NAMES.length);
  const origins: (string | undefined)[] = [];
  for await (const change of manifest.changes()) origins.push(change.origin);
  assertEquals(origins, NAMES);
  assertEquals(manifest.stats().cursors.map(({ name }) => name).sort(), [...NAMES].sort());
  assertClean();
});

test("Manifest: names of the language are table names and field names, kept over a reopening", async () => {
  const storage = memoryStorage();
  const tables = NAMES.map((name) =>
    defineTable({
      name,
      key: [text(name)],
      value: { ["__proto__"]: u53(), constructor: record({ [name]: text() }), toString: optional(text()) },
    })
  );
  {
    await using manifest = await open(storage);
    for (const [i, table] of tables.entries()) {
      const row = Object.fromEntries([["__proto__", i], ["constructor", Object.fromEntries([[NAMES[i]!, "x"]])], ["toString", "y"]]);
      await manifest.begin().put(table as never, ["k"] as never, row as never).commit();
    }
  }
  await using manifest = await open((storage as MemoryStorage).reopen());
  for (const [i, table] of tables.entries()) {
    const row = manifest.get(table as never, ["k"] as never) as Record<string, unknown>;
    assert(Object.hasOwn(row, "__proto__") && Object.hasOwn(row, "constructor") && Object.hasOwn(row, "toString"), NAMES[i]);
    assertEquals(Object.getOwnPropertyDescriptor(row, "__proto__")?.value, i);
    assertEquals(Object.entries(row["constructor"] as object), [[NAMES[i]!, "x"]]);
    assert(Object.hasOwn(row["constructor"] as object, NAMES[i]!));
  }
  const names = manifest.listTables().filter(({ builtIn }) => !builtIn).map(({ name }) => name);
  assertEquals(names, [...NAMES].sort());
  assertClean();
});

test("ManifestError.toJSON, Manifest.diagnostics: names of the language are told as data", async () => {
  await using manifest = await open();
  await manifest.registerChangeCursor("__proto__", { start: "oldest" });
  assertEquals(JSON.parse(JSON.stringify(manifest.stats().cursors))[0].name, "__proto__");
  JSON.stringify(manifest.diagnostics());
  const detail = JSON.parse('{"__proto__":{"polluted":true},"constructor":"x","toString":1}');
  const error = new ManifestError("LIMIT", "Cannot do it: a limit", { detail });
  const json = error.toJSON();
  assertEquals(Object.getOwnPropertyDescriptor(json.detail, "__proto__")?.value, { polluted: true });
  assertEquals((json.detail as { polluted?: unknown }).polluted, undefined);
  assertEquals(Object.getOwnPropertyDescriptor(json.detail, "constructor")?.value, "x");
  try {
    await manifest.dropTable("__proto__");
  } catch (caught) {
    assert(isManifestError(caught) && caught.code === "TABLE_UNKNOWN");
  }
  assertClean();
});
