// `tail`: the changes that are kept, then those that come, in order and without a silent gap.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Manifest, systemEnvironment } from "../../mod.ts";
import { contents, jsonLines, makeManifest, owners, runCli } from "../support/cli.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";
import { runtimeCommand, RUNTIMES } from "../support/runtimes.ts";

test("tail: a line for each change, equal operations in a row counted, no keys and no values", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const { code, out, err } = await runCli(["tail", file, "--no-follow"]);
    assertEquals([code, err], [0, ""]);
    const shape = out.replace(/[0-9a-f]{32}/g, "ID").replace(/\d{4}-[^ ]+Z/g, "TIME");
    assertEquals(shape.split("\n"), [
      "1  TIME  ID  putDb db, upsertChunk chunk_catalog ×2, publishSnapshot snapshot_index",
      "2  TIME  ID  from importer  put owners ×2",
      "3  TIME  ID  deleteChunk chunk_catalog",
      "",
    ]);
    assert(!out.includes("core") && !out.includes("a/b"));
  });
});

test("tail: --values shows keys and values without loss, and nothing in them reaches a terminal", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const { out } = await runCli(["tail", file, "--no-follow", "--values", "--from", "2", "--limit", "1"], { terminal: true });
    const lines = out.split("\n");
    assertEquals(lines.slice(1), [
      '    put owners  [1,"a/b"]  {"team":"core","digest":{"$bytes":"00ff"},"total":{"$int":"18446744073709551615"},"share":{"$float":"-0"}}',
      '    put owners  [1,"a/c"]  {"team":"web","digest":{"$bytes":""},"total":{"$int":"0"},"share":{"$float":"NaN"},"note":"n\\u001b[31m"}',
      "",
    ]);
    const [change] = jsonLines((await runCli(["tail", file, "--no-follow", "--values", "--json", "--from", "3"])).out);
    assertEquals(change!.operations, [{ op: "deleteChunk", table: "chunk_catalog", key: [1, 43] }]);
  });
});

test("tail: --json is one line of version 1 for each change", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const lines = jsonLines((await runCli(["tail", file, "--no-follow", "--json"])).out);
    assertEquals(lines.map(({ version, type, sequence }) => [version, type, sequence]), [1, 2, 3].map((n) => [1, "change", n]));
    assertEquals(Object.keys(lines[1]!), ["version", "type", "sequence", "commitId", "committedAt", "origin", "generations", "operations"]);
    assertEquals(lines[2]!.operations, [{ op: "deleteChunk", table: "chunk_catalog" }]);
  });
});

test("tail: --from latest prints only what is new, and an interrupt ends it with exit code 0", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const writer = await Manifest.open(file);
    const stop = new AbortController();
    let arrived = false;
    const running = runCli(["tail", file, "--from", "latest", "--json"], { signal: stop.signal, heard: () => arrived = true });
    while (!arrived) {
      await writer.begin().delete(owners, [1, "a/b"]).commit();
      await systemEnvironment.yield();
    }
    stop.abort();
    const { code, out } = await running;
    await writer.close();
    assertEquals(code, 0);
    const sequences = jsonLines(out).map(({ sequence }) => sequence as number);
    assert(sequences.length > 0 && sequences[0]! > 3);
    assertEquals(sequences, sequences.map((_, i) => sequences[0]! + i));
  });
});

test("tail: ends when nobody reads its output any more", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const closed = new AbortController();
    const { code } = await runCli(["tail", file], { closed: closed.signal, heard: () => closed.abort() });
    assertEquals(code, 0);
  });
});

test("tail: changes that are no longer kept are a line of their own", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    const writer = await Manifest.open(file, { create: true, logRetention: { changes: 5 } });
    for (let i = 0; i < 200; i++) await writer.begin().putDb(1, { name: `${i}` }).commit();
    const { oldest } = writer.stats().changes;
    await writer.close();
    assert(oldest > 50);
    const text = await runCli(["tail", file, "--from", "3", "--limit", "1"]);
    assertEquals([text.code, text.out.split("\n")[0]], [0, `changes 3 to ${oldest - 1} are no longer kept`]);
    const lines = jsonLines((await runCli(["tail", file, "--from", "3", "--limit", "1", "--json"])).out);
    assertEquals(lines[0], { version: 1, type: "gap", from: 3, to: oldest - 1 });
    assertEquals(lines[1]!.sequence, oldest);
  });
});

test("tail: a change of a dropped table is named by the table's number", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const writer = await Manifest.open(file);
    await writer.dropTable("owners");
    await writer.close();
    const { code, out } = await runCli(["tail", file, "--no-follow", "--from", "2", "--limit", "1"]);
    assertEquals(code, 0);
    assertStringIncludes(out, "put in unknown table ");
  });
});

for (const runtime of RUNTIMES) {
  test(`tail: changes of a writer in a ${runtime} process arrive while it goes on, and nothing is written by the reader`, async () => {
    await withFolder(async (folder) => {
      const file = join(folder, "a.waybill");
      await makeManifest(file);
      const { cmd, args } = runtimeCommand(runtime, "tests/support/children/proof_open.ts", [file]);
      const child = spawn(cmd, args, { stdio: ["pipe", "pipe", "inherit"] });
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const next = async (): Promise<Record<string, unknown>> => JSON.parse((await lines.next()).value!) as Record<string, unknown>;
      try {
        assert("opened" in await next());
        const stop = new AbortController();
        const arrived: number[] = [];
        let wake = (): void => {};
        const running = runCli(["tail", file, "--json"], {
          signal: stop.signal,
          heard: (text) => {
            arrived.push(...jsonLines(text).map(({ sequence }) => sequence as number));
            wake();
          },
        });
        for (let n = 4; n <= 7; n++) {
          child.stdin.write(`name ${n}\n`);
          assertEquals(await next(), { sequence: n });
          while (arrived.at(-1) !== n) await new Promise<void>((resolve) => wake = resolve);
        }
        const before = contents(folder);
        stop.abort();
        assertEquals((await running).code, 0);
        assertEquals(contents(folder), before);
        assertEquals(arrived, [1, 2, 3, 4, 5, 6, 7]);
      } finally {
        child.stdin.end();
        await new Promise((resolve) => child.once("exit", resolve));
      }
    });
  });
}
