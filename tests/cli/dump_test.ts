// `dump`: tables and rows as text and JSON, damage, and the state that a writer replaces.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineTable, Manifest, text, u53 } from "../../mod.ts";
import { jsonLines, makeManifest, runCli } from "../support/cli.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";

/** Damages the newest copy of the page that holds a text. */
function damage(file: string, text: string): void {
  const image = readFileSync(file);
  const at = image.lastIndexOf(text);
  image[(at & ~4095) + 100]! ^= 1;
  writeFileSync(file, image);
}

test("dump: a line for each table with rows and bytes, no keys and no values", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const { code, out, err } = await runCli(["dump", file]);
    assertEquals([code, err], [0, ""]);
    const lines = out.split("\n");
    assertEquals(lines[0], "table                  rows      keys  values  kind");
    assertEquals(lines.filter((line) => /^(owners|change_log|db) /.test(line)), [
      "change_log                3  computed          built in",
      "db                        1       8 B    19 B  built in",
      "owners                    2      24 B    48 B  user",
    ]);
    assert(!out.includes("core") && !out.includes("a/b") && !out.includes("events"));
  });
});

test("dump: --values shows every row without loss, --table one table only", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    assertEquals((await runCli(["dump", file, "--table", "owners", "--values"])).out.split("\n"), [
      "owners  2 rows",
      '  [1,"a/b"]  {"team":"core","digest":{"$bytes":"00ff"},"total":{"$int":"18446744073709551615"},"share":{"$float":"-0"}}',
      '  [1,"a/c"]  {"team":"web","digest":{"$bytes":""},"total":{"$int":"0"},"share":{"$float":"NaN"},"note":"n\\u001b[31m"}',
      "",
    ]);
    const rows = jsonLines((await runCli(["dump", file, "--values", "--json"])).out).filter(({ type }) => type === "row");
    assert(rows.some(({ table, key }) => table === "db" && JSON.stringify(key) === "[1]"));
    const unknown = await runCli(["dump", file, "--table", "none"]);
    assertEquals([unknown.code, unknown.out], [4, ""]);
    assertStringIncludes(unknown.err, "[TABLE_UNKNOWN]");
  });
});

test("dump: --json is a line of version 1 for each table and row", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const [table, ...rows] = jsonLines((await runCli(["dump", file, "--json", "--table", "owners"])).out);
    assertEquals(Object.keys(table!), ["version", "type", "table", "builtIn", "rows", "schema"]);
    assertEquals(rows, [26, 22].map((valueBytes) => ({ version: 1, type: "row", table: "owners", keyBytes: 12, valueBytes })));
  });
});

test("dump: a damaged table is exit code 2 with a line of its own, and the others are all there", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    damage(file, "a/b");
    for (const values of [[], ["--values"]]) {
      const { code, out } = await runCli(["dump", file, ...values]);
      assertEquals(code, 2);
      assert(/^owners {2}CORRUPT_PAGE page \d+: /m.test(out), out);
      assertStringIncludes(out, "wal_state");
    }
    const lines = jsonLines((await runCli(["dump", file, "--json"])).out);
    assertEquals(lines.filter(({ type }) => type === "damage").map(({ table, code }) => [table, code]), [["owners", "CORRUPT_PAGE"]]);
    assert(lines.some(({ type, table }) => type === "row" && table === "snapshot_index"));
  });
});

test("dump: names like __proto__ stay data", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    const odd = defineTable({ name: "__proto__", key: [text("constructor")], value: { ["__proto__"]: text(), toString: u53() } });
    const manifest = await Manifest.open(file, { create: true });
    await manifest.begin().put(odd, "__proto__", JSON.parse('{"__proto__":"p","toString":1}')).commit();
    await manifest.close();
    const { code, out } = await runCli(["dump", file, "--table", "__proto__", "--values"]);
    assertEquals([code, out], [0, '__proto__  1 row\n  ["__proto__"]  {"__proto__":"p","toString":1}\n']);
    const row = (await runCli(["tail", file, "--values", "--no-follow", "--json"])).out;
    assertStringIncludes(row, '"value":{"__proto__":"p","toString":1}');
  });
});

test("dump: ends when nobody reads its output any more", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    const manifest = await Manifest.open(file, { create: true });
    for (let n = 0; n < 6; n++) {
      const txn = manifest.begin();
      for (let db = 1; db <= 500; db++) txn.putDb(500 * n + db, { name: "n".repeat(3000) });
      await txn.commit();
    }
    await manifest.close();
    const closed = new AbortController();
    const { code, out } = await runCli(["dump", file, "--values", "--table", "db"], { closed: closed.signal, heard: () => closed.abort() });
    assertEquals(code, 0);
    assert(out.length > 0 && out.length < 3000 * 3000, `${out.length}`);
  });
});
