// `unlock`: its lines and exit codes; what it does to claims is told in tests/storage/unlock_test.ts.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openFile } from "../../src/storage/file.ts";
import { contents, jsonLines, runCli } from "../support/cli.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";

const REQUEST = { now: Date.UTC(2026, 5, 6), nonce: "nonce-of-the-test-itself" };

test("unlock: a free file is exit code 0 and nothing is written", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    writeFileSync(file, "data");
    const before = contents(folder);
    assertEquals(await runCli(["unlock", file]), { code: 0, out: "not locked\n", err: "" });
    assertEquals(jsonLines((await runCli(["unlock", file, "--json"])).out), [{ version: 1, type: "lock", state: "free", claims: [] }]);
    assertEquals(contents(folder), before);
  });
});

test("unlock: a holder that may be alive is shown, exit code 5, until --force removes its claim", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    writeFileSync(file, "data");
    const storage = openFile(file, { locking: "claim" });
    const { holder } = storage.lock(REQUEST);
    const before = contents(folder);
    const { code, out, err } = await runCli(["unlock", file]);
    assertEquals([code, err], [5, ""]);
    assertEquals(out.split("\n"), [
      `holder   ${holder.runtime} process ${holder.pid} on ${holder.host}`,
      "since    2026-06-06T00:00:00.000Z",
      "held by  a claim file",
      "alive    yes, or not known to be gone",
      "claim    left",
      "locked: --force removes the claim when you know that its process is gone",
      "",
    ]);
    const [line] = jsonLines((await runCli(["unlock", file, "--json"])).out);
    assertEquals(line, { version: 1, type: "lock", state: "held", claims: [{ holder, strength: "claim", alive: true, removed: false }] });
    assertEquals(contents(folder), before);
    const forced = await runCli(["unlock", file, "--force"]);
    assertEquals(forced.code, 0);
    assertStringIncludes(forced.out, "claim    removed\nunlocked\n");
    storage.close();
  });
});

test("unlock: a lock of the operating system is exit code 5 also with --force", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    writeFileSync(file, "data");
    const storage = openFile(file);
    const { strength } = storage.lock(REQUEST);
    const { code, out } = await runCli(["unlock", file, "--force"]);
    assertEquals([strength, code], ["kernel", 5]);
    assertStringIncludes(out, "locked: the operating system frees it when that process ends\n");
    storage.close();
  });
});
