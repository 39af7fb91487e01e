// The file adapter beyond the contract: what it refuses to open, what it makes, and how it meets a platform that answers short, late or with errors.
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { execFileSync } from "node:child_process";
import * as nodeFs from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { ErrorCode } from "../../src/errors.ts";
import { type FileOpenOptions, openFile } from "../../src/storage/file.ts";
import type { NodeFs } from "../../src/storage/platform.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { assertCode, assertCodeAsync, lockRequest } from "../support/storage_suite.ts";

const real = nodeFs as unknown as NodeFs;

function errno(code: string, syscall = "call"): Error {
  return Object.assign(new Error(`${code}: something with /a/secret/path`), { code, syscall });
}

// The real node:fs with some functions exchanged.
function altered(changes: Partial<Record<keyof NodeFs, unknown>>): NodeFs {
  return { ...real, ...changes } as NodeFs;
}

function failing(name: keyof NodeFs, code: string): NodeFs {
  return altered({
    [name]: () => {
      throw errno(code, name);
    },
  });
}

test("openFile: a missing file without create is NOT_FOUND, and nothing is made", async () => {
  await withFolder((folder) => {
    const error = assertCode("NOT_FOUND", () => openFile(join(folder, "store.waybill")));
    assertEquals([error.kind, error.handle, error.outcome, error.detail.file], ["usage", "closed", "not_applied", "store.waybill"]);
    assert(!JSON.stringify(error).includes(folder) && !error.message.includes(folder), "no directories in errors");
    assertCode("NOT_FOUND", () => openFile(join(folder, "store.waybill"), { readOnly: true, create: true }));
    assertCode("NOT_FOUND", () => openFile(join(folder, "no", "folder"), { create: true }));
    assertEquals(nodeFs.readdirSync(folder), []);
  });
});

test("openFile: a directory, a FIFO, a device and a symbolic link are NOT_A_REGULAR_FILE, at once and untouched", async () => {
  await withFolder((folder) => {
    const path = (name: string): string => join(folder, name);
    nodeFs.mkdirSync(path("directory"));
    execFileSync("mkfifo", [path("fifo")]);
    nodeFs.writeFileSync(path("target"), "target");
    nodeFs.symlinkSync(path("target"), path("link"));
    nodeFs.symlinkSync(path("nowhere"), path("dangling"));
    nodeFs.symlinkSync(path("loop"), path("loop"));
    for (const name of ["directory", "fifo", "link", "dangling", "loop", "directory/", "/dev/null"]) {
      for (const options of [{}, { create: true }, { readOnly: true }] as FileOpenOptions[]) {
        assertCode("NOT_A_REGULAR_FILE", () => openFile(name.startsWith("/") ? name : path(name), options));
      }
    }
    assertEquals(nodeFs.readFileSync(path("target"), "utf8"), "target");
    assert(!nodeFs.existsSync(path("nowhere")));
    assertCode("NOT_FOUND", () => openFile(path("target/inside"), { create: true }));
  });
});

test("openFile: followSymlink opens what a link leads to, and what that is must be a regular file", async () => {
  await withFolder((folder) => {
    const path = (name: string): string => join(folder, name);
    nodeFs.writeFileSync(path("target"), "target");
    nodeFs.symlinkSync("target", path("link"));
    nodeFs.symlinkSync("link", path("link of link"));
    nodeFs.symlinkSync("nowhere", path("dangling"));
    nodeFs.symlinkSync(".", path("link to directory"));
    nodeFs.symlinkSync("loop", path("loop"));
    const storage = openFile(path("link of link"), { followSymlink: true });
    assertEquals([storage.size(), storage.name], [6, "target"]);
    storage.close();
    assertCode("NOT_FOUND", () => openFile(path("dangling"), { followSymlink: true, create: true }));
    assertCode("NOT_A_REGULAR_FILE", () => openFile(path("link to directory"), { followSymlink: true }));
    assertCode("NOT_A_REGULAR_FILE", () => openFile(path("loop"), { followSymlink: true }));
  });
});

test("openFile: a name that is no name is INVALID_ARGUMENT, a name too long is NAME_INVALID", async () => {
  await withFolder((folder) => {
    for (const path of ["", "a\0b", 5, null, undefined, new URL("https://example.com/x")]) {
      assertInstanceOf(assertCode("INVALID_ARGUMENT", () => openFile(path as string, { create: true })), TypeError);
    }
    assertCode("NAME_INVALID", () => openFile(join(folder, "x".repeat(300)), { create: true }));
  });
});

test("openFile: takes a file: URL", async () => {
  await withFolder((folder) => {
    const storage = openFile(pathToFileURL(join(folder, "a file with spaces")), { create: true });
    assertEquals([storage.name, storage.created, storage.path], ["a file with spaces", true, join(folder, "a file with spaces")]);
    storage.close();
  });
});

test("openFile: a new file belongs to its owner alone, and its directory is synced before it is used", async () => {
  await withFolder((folder) => {
    const order: string[] = [];
    const fs = altered({
      openSync: (path: string, flags: number, mode?: number) => {
        order.push(path === folder ? "open directory" : `open ${(flags & nodeFs.constants.O_EXCL) !== 0 ? "new" : "old"}`);
        return real.openSync(path, flags, mode);
      },
      fsyncSync: (fd: number) => {
        order.push(real.fstatSync(fd, { bigint: true }).isDirectory() ? "sync directory" : "sync file");
        real.fsyncSync(fd);
      },
    });
    const storage = openFile(join(folder, "store"), { create: true }, fs);
    assertEquals(order, ["open new", "open directory", "sync directory"]);
    assertEquals(nodeFs.statSync(join(folder, "store")).mode & 0o777, 0o600);
    storage.close();
    openFile(join(folder, "store"), { create: true }, fs).close();
    assertEquals(order.slice(3), ["open old"]);
  });
});

test("openFile: creation that cannot be made durable leaves no file and no descriptor behind", async () => {
  await withFolder((folder) => {
    let opened = 0;
    const fs = altered({
      openSync: (path: string, flags: number, mode?: number) => (opened++, real.openSync(path, flags, mode)),
      closeSync: (fd: number) => (opened--, real.closeSync(fd)),
      fsyncSync: () => {
        throw errno("EIO", "fsync");
      },
    });
    assertCode("IO_WRITE", () => openFile(join(folder, "store"), { create: true }, fs));
    assertEquals([nodeFs.readdirSync(folder).length, opened], [0, 0]);
  });
});

test("openFile: a file that appears or goes between look and open is looked at again", async () => {
  await withFolder((folder) => {
    const path = join(folder, "store");
    let calls = 0;
    const appears = altered({
      openSync: (name: string, flags: number, mode?: number) => {
        if (calls++ === 0) nodeFs.writeFileSync(path, "abc");
        return real.openSync(name, flags, mode);
      },
    });
    const storage = openFile(path, { create: true }, appears);
    assertEquals([storage.created, storage.size()], [false, 3]);
    storage.close();
    calls = 0;
    const goes = altered({
      openSync: (name: string, flags: number, mode?: number) => {
        if (calls++ === 0) nodeFs.unlinkSync(path);
        return real.openSync(name, flags, mode);
      },
    });
    assertCode("NOT_FOUND", () => openFile(path, {}, goes));
    assertCode("UNAVAILABLE", () => openFile(path, { create: true }, failing("openSync", "EEXIST")));
  });
});

test("openFile: errors of the platform at open have their codes", async () => {
  await withFolder((folder) => {
    nodeFs.writeFileSync(join(folder, "store"), "abc");
    const cases: [string, ErrorCode][] = [
      ["EACCES", "PERMISSION"],
      ["EPERM", "PERMISSION"],
      ["EROFS", "READ_ONLY_MEDIUM"],
      ["EISDIR", "NOT_A_REGULAR_FILE"],
      ["ENXIO", "NOT_A_REGULAR_FILE"],
      ["EMFILE", "UNAVAILABLE"],
      ["ENOSPC", "NO_SPACE"],
      ["EDQUOT", "QUOTA"],
      ["EIO", "IO_READ"],
    ];
    for (const [code, expected] of cases) {
      const error = assertCode(expected, () => openFile(join(folder, "store"), {}, failing("openSync", code)));
      assertEquals([error.detail.errno, error.detail.syscall, error.detail.file, error.outcome], [
        code,
        "openSync",
        "store",
        "not_applied",
      ]);
      assert(!JSON.stringify(error).includes("secret"), "the cause's message stays out of JSON");
      assert(error.cause instanceof Error);
    }
    assertCode("READ_ONLY_MEDIUM", () => openFile(join(folder, "new"), { create: true }, failing("openSync", "EROFS")));
    assertCode("PERMISSION", () => openFile(join(folder, "store"), {}, failing("lstatSync", "EACCES")));
  });
});

test("FileStorage.lock: a lock file that cannot be made is the platform's error, and the claim of this process is given back", async () => {
  await withFolder((folder) => {
    let refuse = true;
    const fs = altered({
      openSync: (path: string, flags: number, mode?: number) => {
        if (refuse && path.endsWith(".lock")) throw errno("EROFS", "open");
        return real.openSync(path, flags, mode);
      },
    });
    const storage = openFile(join(folder, "store"), { create: true }, fs);
    assertCode("READ_ONLY_MEDIUM", () => storage.lock(lockRequest()));
    refuse = false;
    storage.lock(lockRequest()).verify();
    storage.close();
  });
});

test("FileStorage.lock: a file that another one has replaced is FILE_MOVED", async () => {
  await withFolder((folder) => {
    for (const locking of ["auto", "claim"] as const) {
      const path = join(folder, locking);
      const storage = openFile(path, { create: true, locking });
      nodeFs.renameSync(path, join(folder, "elsewhere"));
      nodeFs.writeFileSync(path, "another");
      assertCode("FILE_MOVED", () => storage.lock(lockRequest()));
      storage.close();
      const other = openFile(path, { locking });
      other.lock(lockRequest()).verify();
      other.close();
    }
  });
});

test("StorageLock.verify: a file that was renamed, removed or replaced while it was locked is FILE_MOVED", async () => {
  const moves: ((path: string) => void)[] = [
    (path) => nodeFs.renameSync(path, `${path}.elsewhere`),
    (path) => nodeFs.unlinkSync(path),
    (path) => {
      nodeFs.writeFileSync(`${path}.new`, "another");
      nodeFs.renameSync(`${path}.new`, path);
    },
  ];
  await withFolder((folder) => {
    for (const locking of ["auto", "claim"] as const) {
      for (const [i, move] of moves.entries()) {
        const path = join(folder, `${locking}-${i}`);
        const storage = openFile(path, { create: true, locking });
        const lock = storage.lock(lockRequest());
        lock.verify();
        move(path);
        const error = assertCode("FILE_MOVED", () => lock.verify());
        assertEquals([error.outcome, error.handle], ["not_applied", "read_only"]);
        storage.close();
      }
    }
  });
});

test("FileStorage.read: short reads are continued, also across interruptions of every shape", async () => {
  await withFolder((folder) => {
    const random = seeded(5);
    const data = random.bytes(50_000);
    const interruptions = [
      errno("EINTR"),
      Object.assign(new Error("Interrupted system call (os error 4)"), { name: "Error" }),
      Object.assign(new Error("operation interrupted"), { name: "Interrupted" }),
    ];
    const interrupt = (): void => {
      if (random.chance(0.3)) throw random.pick(interruptions);
    };
    const fs = altered({
      readSync: (fd: number, into: Uint8Array, offset: number, length: number, at: number) => {
        interrupt();
        return real.readSync(fd, into, offset, 1 + random.int(length), at);
      },
      writeSync: (fd: number, from: Uint8Array, offset: number, length: number, at: number) => {
        interrupt();
        return real.writeSync(fd, from, offset, 1 + random.int(length), at);
      },
      fdatasyncSync: (fd: number) => {
        interrupt();
        real.fdatasyncSync(fd);
      },
      fdatasync: (fd: number, done: (error: Error | null) => void) => {
        if (random.chance(0.5)) done(errno("EINTR"));
        else real.fdatasync(fd, done);
      },
    });
    const storage = openFile(join(folder, "store"), { create: true }, fs);
    for (let round = 0; round < 20; round++) {
      storage.write(round, data);
      const into = new Uint8Array(data.length + 10);
      assertEquals(storage.read(round, into), data.length);
      assertEquals(into.subarray(0, data.length), data);
      storage.sync();
    }
    return storage.syncAsync().then(() => storage.close());
  });
});

test("FileStorage.write: two calls in a row without progress are an error, one is not", async () => {
  await withFolder((folder) => {
    let stalls = 0, calls = 0;
    const fs = altered({
      writeSync: (fd: number, from: Uint8Array, offset: number, length: number, at: number) => {
        calls++;
        if (stalls-- > 0) return 0;
        return real.writeSync(fd, from, offset, Math.min(length, 3), at);
      },
      readSync: (fd: number, into: Uint8Array, offset: number, length: number, at: number) => {
        calls++;
        if (stalls-- > 0) return 0;
        return real.readSync(fd, into, offset, Math.min(length, 3), at);
      },
    });
    const storage = openFile(join(folder, "store"), { create: true }, fs);
    const data = Uint8Array.of(1, 2, 3, 4, 5, 6, 7);
    stalls = 1;
    storage.write(0, data);
    stalls = 1;
    const into = new Uint8Array(7);
    assertEquals(storage.read(0, into), 7);
    assertEquals(into, data);
    for (const [code, action] of [["IO_WRITE", () => storage.write(0, data)], ["IO_READ", () => storage.read(0, into)]] as const) {
      stalls = Infinity;
      calls = 0;
      const error = assertCode(code, action);
      assertEquals([calls, error.detail.offset, error.detail.length], [2, 0, 7]);
    }
    storage.close();
  });
});

test("FileStorage.write: errors of the platform name call, errno, offset and length", async () => {
  await withFolder((folder) => {
    const cases: [string, ErrorCode][] = [
      ["EIO", "IO_WRITE"],
      ["ENOSPC", "NO_SPACE"],
      ["EDQUOT", "QUOTA"],
      ["EFBIG", "QUOTA"],
      ["EACCES", "PERMISSION"],
      ["EROFS", "READ_ONLY_MEDIUM"],
      ["EBADF", "IO_WRITE"],
    ];
    for (const [code, expected] of cases) {
      const storage = openFile(join(folder, "store"), { create: true }, failing("writeSync", code));
      const error = assertCode(expected, () => storage.write(4096, new Uint8Array(100)));
      const { file, errno, syscall, offset, length } = error.detail;
      assertEquals([file, errno, syscall, offset, length], ["store", code, "writeSync", 4096, 100]);
      assertEquals(storage.size(), 0);
      storage.close();
    }
    for (
      const [name, code, expected] of [["readSync", "EIO", "IO_READ"], ["ftruncateSync", "ENOSPC", "NO_SPACE"], [
        "ftruncateSync",
        "EIO",
        "IO_WRITE",
      ]] as const
    ) {
      const storage = openFile(join(folder, "store"), { create: true }, failing(name, code));
      assertCode(expected, () => name === "readSync" ? storage.read(0, new Uint8Array(1)) : storage.truncate(9));
      storage.close();
    }
  });
});

test("FileStorage.sync: any failure is SYNC_FAILED, asked once, with the outcome unknown", async () => {
  await withFolder(async (folder) => {
    for (const code of ["EIO", "ENOSPC", "EDQUOT", "EROFS"]) {
      let calls = 0;
      const fs = altered({
        fdatasyncSync: () => {
          calls++;
          throw errno(code, "fdatasync");
        },
        fdatasync: (_fd: number, done: (error: Error) => void) => {
          calls++;
          done(errno(code, "fdatasync"));
        },
      });
      const storage = openFile(join(folder, "store"), { create: true }, fs);
      const error = assertCode("SYNC_FAILED", () => storage.sync());
      assertEquals([error.kind, error.outcome, error.handle, error.retryable], ["unknown_outcome", "unknown", "read_only", false]);
      assertEquals((await assertCodeAsync("SYNC_FAILED", () => storage.syncAsync())).detail.errno, code);
      assertEquals(calls, 2);
      storage.close();
    }
  });
});

test("FileStorage.close: waits with the descriptor until a running sync has ended", async () => {
  await withFolder(async (folder) => {
    const order: string[] = [];
    let finish = (): void => {};
    const fs = altered({
      fdatasync: (_fd: number, done: (error: null) => void) => {
        finish = () => {
          order.push("synced");
          done(null);
        };
      },
      closeSync: (fd: number) => {
        order.push("closed");
        real.closeSync(fd);
      },
    });
    const storage = openFile(join(folder, "store"), { create: true }, fs);
    order.length = 0;
    const syncing = storage.syncAsync();
    assertCode("INVARIANT", () => storage.sync());
    storage.close();
    assertEquals(order, []);
    finish();
    await syncing;
    assertEquals(order, ["synced", "closed"]);
  });
});

test("openFile: opens, locks and closes leave no descriptor open", async () => {
  await withFolder((folder) => {
    const open = (): number => nodeFs.existsSync("/proc/self/fd") ? nodeFs.readdirSync("/proc/self/fd").length : 0;
    const path = join(folder, "store");
    const once = (): void => {
      for (const locking of ["auto", "claim"] as const) {
        const storage = openFile(path, { create: true, locking });
        const second = openFile(path, { locking });
        storage.lock(lockRequest());
        assertCode("LOCKED", () => second.lock(lockRequest()));
        second.close();
        storage.close();
      }
    };
    once();
    const before = open();
    for (let i = 0; i < 5; i++) once();
    assertEquals(open(), before);
  });
});
