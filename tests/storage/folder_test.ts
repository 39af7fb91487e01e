// Every folder adapter passes the one suite.
import { assertEquals } from "@std/assert";
import { fileFolder } from "../../src/storage/file_folder.ts";
import { memoryFolder } from "../../src/storage/memory_folder.ts";
import { makeFolder, removeFolder } from "../support/folder.ts";
import { folderSuite } from "../support/folder_suite.ts";
import { test } from "../support/harness.ts";
import { assertCode } from "../support/storage_suite.ts";

folderSuite({ name: "memoryFolder", make: () => ({ folder: memoryFolder(), dispose() {} }), durability: ["memory"] });

folderSuite({
  name: "fileFolder",
  make() {
    const path = makeFolder();
    return { folder: fileFolder(path), dispose: () => removeFolder(path) };
  },
  durability: ["media", "os", "memory", "best-effort"],
});

test("memoryFolder: files have the time of its clock when they were made and written; without one it is 1970", async () => {
  let time = 1000;
  const folder = memoryFolder({ now: () => time });
  const file = await folder.create("a");
  assertEquals((await file.facts()).modifiedAt, 1000);
  time = 2000;
  await file.write(0, Uint8Array.of(1));
  time = 3000;
  await folder.rename("a", "b");
  const { modifiedAt, changedAt } = (await folder.facts("b"))!;
  assertEquals([modifiedAt, changedAt], [2000, 3000]); // it was renamed since
  const other = memoryFolder();
  await other.create("a");
  assertEquals((await other.facts("a"))!.modifiedAt, 0);
  for (const clock of [null, {}, 5]) assertCode("INVALID_ARGUMENT", () => memoryFolder(clock as never));
});
