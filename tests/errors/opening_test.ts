// What a failed opening says of the handle: there is none.
import { assertEquals } from "@std/assert";
import { Manifest, type ManifestOptions } from "../../mod.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { errorOf } from "../manifest/open_manifest.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { FaultyStorage } from "../support/faulty_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";

const options = (): ManifestOptions => ({ environment: testEnvironment(1), idleCheckpoint: 0 });

test("Manifest.open: whatever it fails with, the handle is closed", async () => {
  const made = new MemoryFile();
  await (await Manifest.open(new MemoryStorage(made), { create: true, ...options() })).close();
  const junk = (bytes: number) => new MemoryStorage(new Uint8Array(bytes).fill(7));
  const cases: [code: string, at: Storage, options: ManifestOptions][] = [
    ["INVALID_ARGUMENT", new MemoryStorage(made), { pageSize: 5000 }],
    ["INVALID_ARGUMENT", {} as Storage, {}],
    ["NOT_A_MANIFEST", junk(20_000), {}],
    ["NOT_A_MANIFEST", junk(100), {}],
    ["EMPTY_FILE", new MemoryStorage(new MemoryFile()), {}],
    ["TRUNCATED", new MemoryStorage(made.bytes().subarray(0, 20_000)), {}],
    ["TRUNCATED", new MemoryStorage(made.bytes().subarray(0, 9_000)), {}],
  ];
  for (const [code, at, more] of cases) {
    const error = await errorOf(() => Manifest.open(at, { ...options(), ...more }));
    assertEquals([error.code, error.handle, error.toJSON().handle], [code, "closed", "closed"]);
  }
});

test("Manifest.open: a storage that fails at any call of the opening leaves the handle closed", async () => {
  const crashed = new SimDisk();
  const manifest = await Manifest.open(crashed.open(), { create: true, ...options() });
  await manifest.begin().putDb(1, { name: "a" }).commit();
  const image = crashed.live();
  await manifest.close();
  const codes = new Set<string>();
  for (const errno of ["EIO", "ENOSPC", "EACCES"]) {
    for (let at = 0;; at++) {
      const storage = new FaultyStorage(new SimDisk(image).open(), { at, errno, times: Infinity });
      const opened = await Manifest.open(storage, options()).catch((error) => error);
      if (opened instanceof Manifest) {
        await opened.close().catch(() => {});
        if (storage.failed === 0) break;
        continue;
      }
      assertEquals(opened.handle, "closed", `${errno} from call ${at} on: ${opened.message}`);
      codes.add(opened.code);
    }
  }
  assertEquals([...codes].sort(), ["IO_READ", "IO_WRITE", "NO_SPACE", "PERMISSION", "SYNC_FAILED"]);
});
