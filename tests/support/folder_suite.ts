// What it means to be a folder adapter: one suite that every adapter passes. A new adapter is done when `folderSuite` passes with it.
import { assert, assertEquals, assertNotEquals, assertStrictEquals } from "@std/assert";
import type { ErrorCode } from "../../src/errors.ts";
import type { FileFacts, Folder, FolderFile } from "../../src/storage/folder.ts";
import type { Durability } from "../../src/storage/storage.ts";
import { test } from "./harness.ts";
import { seeded } from "./random.ts";
import { assertCodeAsync } from "./storage_suite.ts";

/** An adapter under test. */
export interface FolderAdapter {
  /** Name of the class, first in every test's name. */
  name: string;
  /** An empty folder that exists, and how to be rid of it. */
  make(): { folder: Folder; dispose(): void };
  /** What its sync may promise. */
  durability: readonly Durability[];
}

const encoder = new TextEncoder();

/** Makes a file with a text in it. */
export async function putFile(folder: Folder, path: string, text: string): Promise<void> {
  const file = await folder.create(path);
  await file.write(0, encoder.encode(text));
  await file.close();
}

/** The text of a file. */
export async function fileText(folder: Folder, path: string): Promise<string> {
  const file = await folder.open(path);
  const bytes = new Uint8Array((await file.facts()).sizeBytes);
  assertEquals(await file.read(0, bytes), bytes.length);
  await file.close();
  return new TextDecoder().decode(bytes);
}

/** Asserts what an error of a folder says of itself. */
export async function assertRefused(code: ErrorCode, file: string, action: () => Promise<unknown>): Promise<void> {
  const error = await assertCodeAsync(code, action);
  assertEquals([error.detail.file, error.handle], [file, "ok"], error.message);
  const name = file.slice(file.lastIndexOf("/") + 1);
  assert(error.message.includes(JSON.stringify(name)), error.message);
}

const names = async (folder: Folder, directory = ""): Promise<string[]> =>
  (await folder.list(directory)).map(({ name, kind }) => `${name} ${kind}`).sort();

/** Registers the suite for an adapter. */
export function folderSuite(adapter: FolderAdapter): void {
  const check = (rule: string, body: (folder: Folder) => Promise<void>): void =>
    test(`${adapter.name}.${rule}`, async () => {
      const { folder, dispose } = adapter.make();
      try {
        await body(folder);
      } finally {
        dispose();
      }
    });

  check("folder: says what it is, and is a directory that is empty", async (folder) => {
    assert(adapter.durability.includes(folder.durability), folder.durability);
    assert(folder.name.length > 0 && !folder.name.includes("/"), folder.name);
    assertEquals(await folder.list(""), []);
    assertEquals((await folder.facts(""))!.kind, "directory");
  });

  check("create: makes an empty file; what is written is read, at any offset and length", async (folder) => {
    const random = seeded(1);
    const model = random.bytes(300_000);
    const file = await folder.create("a");
    assertEquals((await file.facts()).sizeBytes, 0);
    for (const at of [200_000, 0, 100_000]) await file.write(at, model.subarray(at, at + 100_000));
    for (const opened of [file, await folder.open("a")]) {
      assertEquals((await opened.facts()).sizeBytes, model.length);
      for (let i = 0; i < 60; i++) {
        const at = random.int(model.length), length = random.int(100_000);
        const into = new Uint8Array(length);
        const got = await opened.read(at, into);
        assertEquals(got, Math.min(length, model.length - at));
        assertEquals(into.subarray(0, got), model.subarray(at, at + got));
      }
      await opened.close();
    }
  });

  check("read: ends where the file ends, touches its view alone and leaves the rest of it", async (folder) => {
    await putFile(folder, "a", "0123456789");
    const file = await folder.open("a");
    const whole = new Uint8Array(20).fill(1);
    assertEquals(await file.read(6, whole.subarray(4, 12)), 4);
    assertEquals([...whole.subarray(3, 9)], [1, 54, 55, 56, 57, 1]);
    assertEquals([await file.read(10, whole), await file.read(5000, whole), await file.read(0, new Uint8Array(0))], [0, 0, 0]);
    await file.close();
  });

  check("write: overwrites its range alone; a gap reads as zeros; of nothing changes nothing", async (folder) => {
    const file = await folder.create("a");
    await file.write(500, new Uint8Array(0));
    assertEquals((await file.facts()).sizeBytes, 0);
    await file.write(0, Uint8Array.of(1, 2, 3, 4));
    await file.write(1, Uint8Array.of(9, 9));
    await file.write(100_000, Uint8Array.of(5));
    const into = new Uint8Array(100_001);
    assertEquals(await file.read(0, into), into.length);
    assertEquals([...into.subarray(0, 4), into.at(-1)], [1, 9, 9, 4, 5]);
    assert(into.subarray(4, -1).every((byte) => byte === 0));
    await file.close();
  });

  check("read, write: offsets that are no whole numbers from 0 to 2^53 - 1 are INVALID_ARGUMENT", async (folder) => {
    const file = await folder.create("a");
    for (const at of [-1, 0.5, NaN, Infinity, Number.MAX_SAFE_INTEGER]) {
      for (const action of [() => file.read(at, new Uint8Array(1)), () => file.write(at, new Uint8Array(1))]) {
        assert(await assertCodeAsync("INVALID_ARGUMENT", action) instanceof RangeError);
      }
    }
    assertEquals((await file.facts()).sizeBytes, 0);
    await file.close();
  });

  check("open: is for reading; sync is allowed, a write is READ_ONLY and changes nothing", async (folder) => {
    await putFile(folder, "a", "text");
    const file = await folder.open("a");
    assertEquals((await assertCodeAsync("READ_ONLY", () => file.write(0, Uint8Array.of(1)))).outcome, "not_applied");
    await file.sync();
    await file.close();
    assertEquals(await fileText(folder, "a"), "text");
  });

  check("sync: of files and directories may follow anything and repeat", async (folder) => {
    await folder.makeDirectory("d");
    const file = await folder.create("d/a");
    await file.sync();
    await file.write(0, new Uint8Array(50_000));
    await Promise.all([file.sync(), file.write(50_000, Uint8Array.of(1)), file.sync()]);
    await file.sync();
    for (const directory of ["d", "", "d"]) await folder.syncDirectory(directory);
    assertEquals((await file.facts()).sizeBytes, 50_001);
    await file.close();
  });

  check("close: lets calls under way end; twice is once; every later call is HANDLE_CLOSED", async (folder) => {
    const file = await folder.create("a");
    await Promise.all([file.write(0, new Uint8Array(2_000_000).fill(3)), file.sync(), file.close()]);
    await file.close();
    const calls = [() => file.facts(), () => file.read(0, new Uint8Array(1)), () => file.write(0, new Uint8Array(1)), () => file.sync()];
    for (const call of calls) await assertCodeAsync("HANDLE_CLOSED", call);
    const again = await folder.open("a");
    const into = new Uint8Array(2_000_001);
    assertEquals([await again.read(0, into), into[0], into[1_999_999]], [2_000_000, 3, 3]);
    await again.close();
  });

  check("facts: tell kind, length, time and identity; nothing is undefined", async (folder) => {
    await folder.makeDirectory("d");
    await putFile(folder, "d/a", "12345");
    await putFile(folder, "b", "12345");
    const [a, b, d] = await Promise.all(["d/a", "b", "d"].map((path) => folder.facts(path))) as [FileFacts, FileFacts, FileFacts];
    assertEquals([a.kind, a.sizeBytes, b.kind, b.sizeBytes, d.kind], ["file", 5, "file", 5, "directory"]);
    assertEquals(new Set([a.identity, b.identity, d.identity]).size, 3);
    assert([a, b, d].every(({ modifiedAt }) => Number.isFinite(modifiedAt) && modifiedAt >= 0));
    assert([a, b, d].every(({ modifiedAt, changedAt }) => Number.isFinite(changedAt) && changedAt >= modifiedAt));
    const file = await folder.open("d/a");
    assertEquals((await file.facts()).identity, a.identity);
    await file.close();
    for (const path of ["c", "d/c", "none/c", "none/none/c"]) assertStrictEquals(await folder.facts(path), undefined);
  });

  check("create: of what is there is EXISTS, in a directory that is not there NOT_FOUND", async (folder) => {
    await folder.makeDirectory("d");
    await putFile(folder, "d/a", "text");
    await assertRefused("EXISTS", "d/a", () => folder.create("d/a"));
    await assertRefused("EXISTS", "d", () => folder.create("d"));
    await assertRefused("NOT_FOUND", "none", () => folder.create("none/a"));
    assertEquals([await fileText(folder, "d/a"), await names(folder), await names(folder, "d")], ["text", ["d directory"], ["a file"]]);
  });

  check("open: of nothing is NOT_FOUND, of a directory NOT_A_REGULAR_FILE", async (folder) => {
    await folder.makeDirectory("d");
    for (const path of ["a", "d/a", "none/a"]) await assertRefused("NOT_FOUND", path, () => folder.open(path));
    await assertRefused("NOT_A_REGULAR_FILE", "d", () => folder.open("d"));
  });

  check("list: tells names and kinds of one directory", async (folder) => {
    await folder.makeDirectory("d");
    await folder.makeDirectory("d/e");
    for (const path of ["a", "d/b", "d/e/c", "__proto__", "d/ünï €"]) await putFile(folder, path, path);
    assertEquals(await names(folder), ["__proto__ file", "a file", "d directory"]);
    assertEquals(await names(folder, "d"), ["b file", "e directory", "ünï € file"]);
    assertEquals(await fileText(folder, "__proto__"), "__proto__");
    await assertRefused("NOT_FOUND", "none", () => folder.list("none"));
    await assertRefused("NOT_A_DIRECTORY", "a", () => folder.list("a"));
  });

  check("NOT_A_DIRECTORY: a file on the way to what is asked for, by every call", async (folder) => {
    await putFile(folder, "a", "text");
    await putFile(folder, "b", "text");
    const calls: ((path: string) => Promise<unknown>)[] = [
      (path) => folder.facts(path),
      (path) => folder.open(path),
      (path) => folder.create(path),
      (path) => folder.remove(path),
      (path) => folder.rename(path, "c"),
      (path) => folder.rename("b", path),
      (path) => folder.list(path),
      (path) => folder.makeDirectory(path),
      (path) => folder.removeDirectory(path),
      (path) => folder.syncDirectory(path),
    ];
    for (const call of calls) {
      await assertRefused("NOT_A_DIRECTORY", "a", () => call("a/x"));
      await assertRefused("NOT_A_DIRECTORY", "a", () => call("a/x/y"));
    }
    for (const call of [() => folder.syncDirectory("a"), () => folder.removeDirectory("a")]) {
      await assertRefused("NOT_A_DIRECTORY", "a", call);
    }
    assertEquals(await names(folder), ["a file", "b file"]);
  });

  check("rename: gives a file another name, also in another directory, in place of one that is there", async (folder) => {
    await folder.makeDirectory("d");
    await putFile(folder, "a", "first");
    await putFile(folder, "d/b", "second");
    const before = (await folder.facts("a"))!.identity;
    const reader = await folder.open("d/b");
    await folder.rename("a", "d/b");
    assertEquals([await names(folder), await names(folder, "d")], [["d directory"], ["b file"]]);
    assertEquals([await fileText(folder, "d/b"), (await folder.facts("d/b"))!.identity], ["first", before]);
    const into = new Uint8Array(6);
    await reader.read(0, into);
    assertEquals(new TextDecoder().decode(into), "second", "an open file goes on when another one has taken its name");
    await reader.close();
    await folder.rename("d/b", "d/b");
    assertEquals(await fileText(folder, "d/b"), "first");
  });

  check(
    "rename: gives a directory another name with all that is in it, but only where nothing is, and never inside itself",
    async (folder) => {
      for (const directory of ["d", "d/e", "f"]) await folder.makeDirectory(directory);
      await putFile(folder, "d/e/a", "text");
      await putFile(folder, "b", "b");
      await assertRefused("EXISTS", "f", () => folder.rename("d", "f"));
      await assertRefused("EXISTS", "b", () => folder.rename("d", "b"));
      await assertRefused("NAME_INVALID", "d", () => folder.rename("d", "d/e/d"));
      await assertRefused("NOT_A_REGULAR_FILE", "f", () => folder.rename("b", "f"));
      await folder.rename("d", "f/g");
      assertEquals([await names(folder), await fileText(folder, "f/g/e/a")], [["b file", "f directory"], "text"]);
    },
  );

  check("rename: of nothing, or into a directory that is not there, is NOT_FOUND", async (folder) => {
    await putFile(folder, "a", "text");
    await assertRefused("NOT_FOUND", "b", () => folder.rename("b", "c"));
    await assertRefused("NOT_FOUND", "b", () => folder.rename("b", "a"));
    await assertRefused("NOT_FOUND", "none/b", () => folder.rename("none/b", "c"));
    await assertRefused("NOT_FOUND", "none", () => folder.rename("a", "none/a"));
    assertEquals(await fileText(folder, "a"), "text");
  });

  check("remove: is true once and then false; a directory is NOT_A_REGULAR_FILE and stays", async (folder) => {
    await folder.makeDirectory("d");
    await putFile(folder, "d/a", "text");
    const file = await folder.open("d/a");
    assertEquals([await folder.remove("d/a"), await folder.remove("d/a"), await folder.remove("none/a")], [true, false, false]);
    assertEquals((await file.facts()).sizeBytes, 4, "an open file goes on when it is removed");
    await file.close();
    await assertRefused("NOT_A_REGULAR_FILE", "d", () => folder.remove("d"));
    assertEquals(await names(folder), ["d directory"]);
    await putFile(folder, "d/a", "again");
    assertEquals(await fileText(folder, "d/a"), "again");
  });

  check("makeDirectory: unless there is one; EXISTS for a file, NOT_FOUND without a parent", async (folder) => {
    await folder.makeDirectory("");
    await Promise.all([folder.makeDirectory("d"), folder.makeDirectory("d")]);
    await putFile(folder, "d/a", "text");
    await folder.makeDirectory("d");
    assertEquals(await names(folder, "d"), ["a file"]);
    await assertRefused("EXISTS", "d/a", () => folder.makeDirectory("d/a"));
    await assertRefused("NOT_FOUND", "none", () => folder.makeDirectory("none/d"));
  });

  check("removeDirectory: an empty one is true once and then false; EXISTS while something is in it", async (folder) => {
    await folder.makeDirectory("d");
    await putFile(folder, "d/a", "text");
    await assertRefused("EXISTS", "d", () => folder.removeDirectory("d"));
    await folder.remove("d/a");
    assertEquals([await folder.removeDirectory("d"), await folder.removeDirectory("d")], [true, false]);
    assertEquals(await names(folder), []);
  });

  check("syncDirectory: of nothing is NOT_FOUND", async (folder) => {
    await assertRefused("NOT_FOUND", "none", () => folder.syncDirectory("none"));
  });

  check("paths: one that leads out, or is none, is refused by every call before anything is done", async (folder) => {
    await putFile(folder, "a", "text");
    const asFile: ((path: string) => Promise<unknown>)[] = [
      (path) => folder.open(path),
      (path) => folder.create(path),
      (path) => folder.remove(path),
      (path) => folder.rename("a", path),
      (path) => folder.rename(path, "b"),
    ];
    const asDirectory: ((path: string) => Promise<unknown>)[] = [
      (path) => folder.list(path),
      (path) => folder.facts(path),
      (path) => folder.makeDirectory(path),
      (path) => folder.removeDirectory(path),
      (path) => folder.syncDirectory(path),
    ];
    for (const call of asFile) await assertRefusedName(() => call(""));
    for (const call of [...asFile, ...asDirectory]) {
      for (const path of ["..", "../a", "/a", "d/../../a", "a\0", "nul", "a/", "a//b", ".", "a\\b", "c:a", "\ud800"]) {
        await assertRefusedName(() => call(path));
      }
      for (const path of [5, null, undefined, {}]) {
        assert(await assertCodeAsync("INVALID_ARGUMENT", () => call(path as string)) instanceof TypeError);
      }
    }
    assertEquals(await names(folder), ["a file"]);
  });

  check("identity: a file that takes another's name is another file", async (folder) => {
    await putFile(folder, "a", "text");
    const reader: FolderFile = await folder.open("a"); // it keeps its number from being given out again
    const before = (await folder.facts("a"))!.identity;
    await folder.remove("a");
    await putFile(folder, "a", "text");
    assertNotEquals((await folder.facts("a"))!.identity, before);
    await reader.close();
  });
}

async function assertRefusedName(action: () => Promise<unknown>): Promise<void> {
  const error = await assertCodeAsync("NAME_INVALID", action);
  assertEquals([error.kind, error.outcome], ["usage", "not_applied"]);
}
