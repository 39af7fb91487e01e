// Every adapter passes the one suite; the file adapter also with claim files instead of kernel locks, and the wrappers of the tests as well.
import { join } from "node:path";
import { openFile } from "../../src/storage/file.ts";
import type { Locking } from "../../src/storage/file_lock.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { CountingStorage } from "../support/counting_storage.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { makeFolder, removeFolder } from "../support/folder.ts";
import { type StorageSubject, storageSuite } from "../support/storage_suite.ts";

let names = 0;

function memory(): StorageSubject {
  const name = `suite-${names++}`;
  return {
    open: ({ readOnly } = {}) => MemoryStorage.open(name, { create: readOnly !== true, readOnly }),
    dispose: () => void MemoryStorage.remove(name),
  };
}

function file(locking: Locking): StorageSubject {
  const folder = makeFolder();
  return {
    open: ({ readOnly } = {}) => openFile(join(folder, "store.waybill"), { create: readOnly !== true, readOnly, locking }),
    dispose: () => removeFolder(folder),
  };
}

function simulated(): StorageSubject {
  const disk = new SimDisk();
  let opened = false;
  return {
    open: (options = {}) => {
      const storage = new CountingStorage(disk.open(options));
      Object.defineProperty(storage, "created", { value: !opened });
      opened = true;
      return storage;
    },
    dispose: () => {},
  };
}

storageSuite({ name: "MemoryStorage", make: memory, durability: ["memory"], sparse: true });
storageSuite({ name: "FileStorage", make: () => file("auto"), durability: ["media", "os", "memory", "best-effort"], sparse: true });
storageSuite({
  name: "FileStorage (claim)",
  make: () => file("claim"),
  durability: ["media", "os", "memory", "best-effort"],
  sparse: true,
});
storageSuite({ name: "CrashStorage", make: simulated, durability: ["memory"], sparse: false });
