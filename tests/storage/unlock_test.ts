// unlockFile: what it says of a claim, what it removes, and what it never touches.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { openFile } from "../../src/storage/file.ts";
import type { LockRecord } from "../../src/storage/lock_record.ts";
import { encodeRecord } from "../../src/storage/lock_record.ts";
import { unlockFile } from "../../src/storage/unlock.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";
import { runtimeCommand, RUNTIMES } from "../support/runtimes.ts";

const REQUEST = { now: Date.UTC(2026, 5, 6), nonce: "nonce-of-the-test-itself" };

function makeFile(folder: string): string {
  const path = join(folder, "file");
  writeFileSync(path, "data");
  return path;
}

/** The record that a claim of this process has. */
function ownRecord(path: string): LockRecord {
  const storage = openFile(path, { locking: "claim" });
  const { holder } = storage.lock(REQUEST);
  storage.close();
  return { ...holder, strength: "claim" };
}

function leaveClaim(path: string, record: LockRecord): string {
  const flag = `${path}.lock.d/${record.pid}-${record.nonce}.claim`;
  writeFileSync(flag, new TextDecoder().decode(encodeRecord(record)));
  writeFileSync(`${path}.lock`, new TextDecoder().decode(encodeRecord(record)));
  return flag;
}

test("unlockFile: a file that nobody has ever locked is free, and nothing is made beside it", async () => {
  await withFolder((folder) => {
    const path = makeFile(folder);
    assertEquals(unlockFile(path), { state: "free", claims: [] });
    assertEquals(unlockFile(path, { force: true }), { state: "free", claims: [] });
    assertEquals(readdirSync(folder), ["file"]);
  });
});

test("unlockFile: a file that was given back is free", async () => {
  await withFolder((folder) => {
    const path = makeFile(folder);
    const storage = openFile(path);
    storage.lock(REQUEST);
    storage.close();
    assertEquals(unlockFile(path), { state: "free", claims: [] });
  });
});

test("unlockFile: what is missing or no regular file is refused", async () => {
  await withFolder((folder) => {
    assertEquals((assertThrows(() => unlockFile(join(folder, "none"))) as { code?: string }).code, "NOT_FOUND");
    assertEquals((assertThrows(() => unlockFile(folder)) as { code?: string }).code, "NOT_A_REGULAR_FILE");
  });
});

for (const runtime of RUNTIMES) {
  test(`unlockFile: a lock of the operating system held by ${runtime} is shown and not broken, also by force; killed, its record goes without`, async () => {
    await withFolder(async (folder) => {
      const path = makeFile(folder);
      const { cmd, args } = runtimeCommand(runtime, "tests/support/children/lock_holder.ts", [path]);
      const child = spawn(cmd, args, { stdio: ["pipe", "pipe", "inherit"] });
      const ended = new Promise((resolve) => child.once("exit", resolve));
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const { held } = JSON.parse((await lines.next()).value!) as { held: { pid: number } };
      const record = readFileSync(`${path}.lock`, "utf8");
      for (const force of [false, true]) {
        const { state, claims } = unlockFile(path, { force });
        assertEquals([state, claims.length], ["held", 1]);
        assertEquals([claims[0]!.holder?.pid, claims[0]!.strength, claims[0]!.alive, claims[0]!.removed], [
          held.pid,
          "kernel",
          true,
          false,
        ]);
      }
      assertEquals(readFileSync(`${path}.lock`, "utf8"), record);
      child.kill("SIGKILL");
      await ended;
      const { state, claims } = unlockFile(path);
      assertEquals([state, claims.map(({ alive, removed }) => [alive, removed])], ["removed", [[false, true]]]);
      assertEquals(statSync(`${path}.lock`).size, 0);
      assertEquals(unlockFile(path).state, "free");
      const storage = openFile(path);
      assertEquals(storage.lock(REQUEST).previous, undefined);
      storage.close();
    });
  });
}

test("unlockFile: a claim file of a living process goes by force only, and its holder then finds the claim lost", async () => {
  await withFolder((folder) => {
    const path = makeFile(folder);
    const storage = openFile(path, { locking: "claim" });
    const lock = storage.lock(REQUEST);
    const kept = unlockFile(path);
    assertEquals([kept.state, kept.claims], ["held", [{ holder: lock.holder, strength: "claim", alive: true, removed: false }]]);
    lock.verify();
    const gone = unlockFile(path, { force: true });
    assertEquals([gone.state, gone.claims[0]!.removed], ["removed", true]);
    assertEquals((assertThrows(() => lock.verify()) as { code?: string }).code, "FENCED");
    assertEquals(unlockFile(path).state, "free");
    storage.close();
  });
});

test("unlockFile: a claim file of a dead process goes without force, one of another machine does not", async () => {
  await withFolder((folder) => {
    const path = makeFile(folder);
    const own = ownRecord(path);
    const dead = leaveClaim(path, {
      ...own,
      started: `${Number(own.started || "1") + 1}`,
      boot: "another boot",
      nonce: "nonce-of-the-dead-one",
    });
    assertEquals(unlockFile(path).state, "removed");
    assert(!existsSync(dead));
    const remote = leaveClaim(path, { ...own, host: "elsewhere", nonce: "nonce-of-another-machine" });
    const { state, claims } = unlockFile(path);
    assertEquals([state, claims[0]!.holder?.host, claims[0]!.alive], ["held", "elsewhere", true]);
    assert(existsSync(remote));
    assertEquals(unlockFile(path, { force: true }).state, "removed");
    assert(!existsSync(remote));
  });
});

test("unlockFile: a lock taken through another hard link is seen", async () => {
  await withFolder(async (folder) => {
    const path = makeFile(folder);
    const { linkSync } = await import("node:fs");
    linkSync(path, join(folder, "link"));
    const storage = openFile(join(folder, "link"));
    const { strength } = storage.lock(REQUEST);
    const { state, claims } = unlockFile(path, { force: true });
    assertEquals(
      [state, claims],
      strength === "kernel" ? ["held", [{ holder: undefined, strength, alive: true, removed: false }]] : ["free", []],
    );
    storage.close();
    assertEquals(unlockFile(path).state, "free");
  });
});
