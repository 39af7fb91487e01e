// The folder of the file system beyond the contract: links and devices that it meets, what it makes, and a platform that answers short, late or with errors.
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { execFileSync } from "node:child_process";
import * as nodeFs from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { ErrorCode } from "../../src/errors.ts";
import { FileFolder, fileFolder } from "../../src/storage/file_folder.ts";
import type { Folder } from "../../src/storage/folder.ts";
import type { NodeCallback, NodeFolderFs } from "../../src/storage/platform.ts";
import { withFolder } from "../support/folder.ts";
import { assertRefused, fileText, putFile } from "../support/folder_suite.ts";
import { test } from "../support/harness.ts";
import { assertCode, assertCodeAsync } from "../support/storage_suite.ts";

const real = nodeFs as unknown as NodeFolderFs;

function errno(code: string, syscall = "call"): Error {
  return Object.assign(new Error(`${code}: something with /a/secret/path`), { code, syscall });
}

/** A folder whose platform answers some calls differently. */
function altered(path: string, changes: Partial<Record<keyof NodeFolderFs, unknown>>): FileFolder {
  return new FileFolder(path, { ...real, ...changes } as NodeFolderFs);
}

/** A call with a callback, or a synchronous one, that fails. */
function failing(name: keyof NodeFolderFs, code: string): Partial<Record<keyof NodeFolderFs, unknown>> {
  return {
    [name]: (...args: unknown[]) => {
      if (name.endsWith("Sync")) throw errno(code, name);
      (args.at(-1) as NodeCallback)(errno(code, name));
    },
  };
}

/** Every call that takes a path, once with it in each place. */
function calls(folder: Folder): ((path: string) => Promise<unknown>)[] {
  return [
    (path) => folder.open(path),
    (path) => folder.create(path),
    (path) => folder.rename(path, "moved"),
    (path) => folder.rename("file", path),
    (path) => folder.remove(path),
    (path) => folder.list(path),
    (path) => folder.facts(path),
    (path) => folder.makeDirectory(path),
    (path) => folder.removeDirectory(path),
    (path) => folder.syncDirectory(path),
  ];
}

test("fileFolder: a link on the way is NOT_A_REGULAR_FILE for every call, and what it leads to stays untouched", async () => {
  await withFolder(async (path) => {
    nodeFs.mkdirSync(join(path, "outside/inner"), { recursive: true });
    nodeFs.writeFileSync(join(path, "outside/secret"), "secret");
    nodeFs.mkdirSync(join(path, "root/d"), { recursive: true });
    nodeFs.writeFileSync(join(path, "root/file"), "file");
    for (const [at, target] of [["link", "../outside"], ["d/link", join(path, "outside")], ["loop", "loop"], ["dangling", "../nothing"]]) {
      nodeFs.symlinkSync(target!, join(path, "root", at!));
    }
    const folder = fileFolder(join(path, "root"));
    for (const call of calls(folder)) {
      for (const link of ["link", "d/link", "loop", "dangling"]) {
        for (const rest of ["secret", "new", "inner", "inner/new", "../file"].slice(0, 4)) {
          await assertRefused("NOT_A_REGULAR_FILE", link, () => call(`${link}/${rest}`));
        }
      }
    }
    assertEquals(nodeFs.readdirSync(join(path, "outside")).sort(), ["inner", "secret"]);
    assertEquals(nodeFs.readFileSync(join(path, "outside/secret"), "utf8"), "secret");
    assertEquals(nodeFs.readdirSync(join(path, "root")).sort(), ["d", "dangling", "file", "link", "loop"]);
  });
});

test("fileFolder: a link, a FIFO or a device at the end is told, removed, and otherwise refused at once", async () => {
  await withFolder(async (path) => {
    nodeFs.mkdirSync(join(path, "outside"));
    nodeFs.writeFileSync(join(path, "target"), "target");
    nodeFs.mkdirSync(join(path, "root"));
    const root = join(path, "root");
    nodeFs.symlinkSync("../target", join(root, "link"));
    nodeFs.symlinkSync("../outside", join(root, "to directory"));
    nodeFs.symlinkSync("../nothing", join(root, "dangling"));
    execFileSync("mkfifo", [join(root, "fifo")]);
    const folder = fileFolder(root);
    await putFile(folder, "file", "file");
    const kinds: Record<string, string> = { "link": "link", "to directory": "link", "dangling": "link", "fifo": "other", "file": "file" };
    assertEquals<Record<string, string>>(Object.fromEntries((await folder.list("")).map(({ name, kind }) => [name, kind])), kinds);
    for (const [name, kind] of Object.entries(kinds)) {
      assertEquals((await folder.facts(name))!.kind, kind);
      if (name === "file") continue;
      await assertRefused("NOT_A_REGULAR_FILE", name, () => folder.open(name));
      await assertRefused("EXISTS", name, () => folder.create(name));
      await assertRefused("NOT_A_REGULAR_FILE", name, () => folder.rename(name, "moved"));
      await assertRefused("NOT_A_REGULAR_FILE", name, () => folder.rename("file", name));
      await assertRefused("EXISTS", name, () => folder.makeDirectory(name));
      const refused = kind === "link" ? "NOT_A_REGULAR_FILE" : "NOT_A_DIRECTORY";
      for (const call of [() => folder.list(name), () => folder.syncDirectory(name), () => folder.removeDirectory(name)]) {
        await assertRefused(refused, name, call);
      }
    }
    for (const name of Object.keys(kinds)) assertEquals([await folder.remove(name), await folder.remove(name)], [true, false]);
    assertEquals([nodeFs.readdirSync(root), nodeFs.readdirSync(path).sort()], [[], ["outside", "root", "target"]]);
    assertEquals(nodeFs.readFileSync(join(path, "target"), "utf8"), "target");
  });
});

test("fileFolder: what takes a file's place between look and open is not opened", async () => {
  await withFolder(async (path) => {
    nodeFs.writeFileSync(join(path, "target"), "target");
    let opened = 0;
    const replace = (make: (name: string) => void) => ({
      openSync: (name: string, flags: number, mode?: number) => {
        if (name.endsWith("/file")) {
          nodeFs.rmSync(name, { force: true });
          make(name);
        }
        const fd = real.openSync(name, flags, mode);
        opened++;
        return fd;
      },
      closeSync: (fd: number) => (opened--, real.closeSync(fd)),
    });
    for (
      const make of [
        (name: string) => nodeFs.symlinkSync("target", name),
        (name: string) => execFileSync("mkfifo", [name]),
      ]
    ) {
      nodeFs.writeFileSync(join(path, "file"), "file");
      const folder = altered(path, replace(make));
      await assertRefused("NOT_A_REGULAR_FILE", "file", () => folder.open("file"));
      assertEquals(opened, 0, "no descriptor is left");
      nodeFs.rmSync(join(path, "file"));
    }
    await assertRefused("EXISTS", "file", () => altered(path, replace((name) => nodeFs.symlinkSync("new", name))).create("file"));
    assert(!nodeFs.existsSync(join(path, "new")));
    nodeFs.rmSync(join(path, "file"));
    nodeFs.writeFileSync(join(path, "file"), "file");
    await assertRefused("NOT_FOUND", "file", () => altered(path, replace(() => {})).open("file"));
  });
});

test("fileFolder: the folder itself may be missing, and may be reached over a link", async () => {
  await withFolder(async (path) => {
    const folder = fileFolder(join(path, "root"));
    assertEquals([folder.name, await folder.facts(""), await folder.facts("a"), await folder.remove("a")], [
      "root",
      undefined,
      undefined,
      false,
    ]);
    assertEquals(await folder.removeDirectory(""), false);
    for (const call of [() => folder.list(""), () => folder.create("a"), () => folder.syncDirectory(""), () => folder.makeDirectory("d")]) {
      await assertRefused("NOT_FOUND", "root", call);
    }
    await assertRefused("NOT_FOUND", "a", () => folder.open("a"));
    await assertCodeAsync("NOT_FOUND", () => fileFolder(join(path, "none/root")).makeDirectory(""));
    const synced: string[] = [];
    const watched = altered(join(path, "root"), {
      openSync: (name: string, flags: number) => (synced.push(name), real.openSync(name, flags)),
    });
    await watched.makeDirectory("");
    assertEquals(synced, [path], "the name of a new folder is made durable");
    await watched.makeDirectory("");
    assertEquals(synced.length, 1);
    await folder.makeDirectory("d");
    nodeFs.symlinkSync("root", join(path, "link"));
    const linked = fileFolder(join(path, "link"));
    await linked.makeDirectory("");
    await putFile(linked, "d/a", "text");
    await linked.syncDirectory("");
    assertEquals([await fileText(folder, "d/a"), (await linked.facts(""))!.kind], ["text", "directory"]);
    nodeFs.writeFileSync(join(path, "file"), "");
    const none = fileFolder(join(path, "file"));
    await assertRefused("NOT_A_DIRECTORY", "file", () => none.list(""));
    await assertRefused("EXISTS", "file", () => none.makeDirectory(""));
  });
});

test("fileFolder: takes a file: URL; what is no path is INVALID_ARGUMENT", async () => {
  await withFolder(async (path) => {
    await putFile(fileFolder(path), "a", "text");
    assertEquals(await fileText(fileFolder(pathToFileURL(path)), "a"), "text");
    for (const wrong of ["", "a\0b", 5, null, undefined, {}, new URL("https://example.com/x")]) {
      assertInstanceOf(assertCode("INVALID_ARGUMENT", () => fileFolder(wrong as string)), TypeError);
    }
  });
});

test("fileFolder: new files and directories belong to their owner alone; facts are those of the system", async () => {
  await withFolder(async (path) => {
    const folder = fileFolder(path);
    await folder.makeDirectory("d");
    await putFile(folder, "d/a", "text");
    assertEquals([nodeFs.statSync(join(path, "d")).mode & 0o777, nodeFs.statSync(join(path, "d/a")).mode & 0o777], [0o700, 0o600]);
    nodeFs.utimesSync(join(path, "d/a"), 1_700_000_000, 1_700_000_000);
    const { modifiedAt, identity } = (await folder.facts("d/a"))!;
    const stat = nodeFs.statSync(join(path, "d/a"));
    assertEquals([modifiedAt, identity], [1_700_000_000_000, `${stat.dev}:${stat.ino}`]);
  });
});

test("fileFolder: reads and writes that the system cuts short or interrupts are continued", async () => {
  await withFolder(async (path) => {
    let turn = 0;
    const short = (call: "read" | "write") =>
    (
      fd: number,
      bytes: Uint8Array,
      offset: number,
      length: number,
      at: number,
      done: NodeCallback<number>,
    ) => {
      if (turn++ % 3 === 0) done(errno("EINTR", call), undefined as never);
      else real[call](fd, bytes, offset, Math.min(length, 7), at, done);
    };
    const interrupted = (call: "fdatasync" | "fsync") => (fd: number, done: NodeCallback) =>
      turn++ % 3 !== 2 ? done(errno("EINTR", call)) : real[call](fd, done);
    const once = <T extends unknown[], R>(call: (...args: T) => R) => {
      let interrupt = true;
      return (...args: T): R => {
        interrupt = !interrupt;
        if (!interrupt) throw errno("EINTR");
        return call(...args);
      };
    };
    const folder = altered(path, {
      read: short("read"),
      write: short("write"),
      fdatasync: interrupted("fdatasync"),
      fsync: interrupted("fsync"),
      lstatSync: once(real.lstatSync),
      openSync: once(real.openSync),
    });
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
    const file = await folder.create("a");
    await file.write(3, bytes);
    await file.sync();
    await folder.syncDirectory("");
    const into = new Uint8Array(200);
    assertEquals([await file.read(3, into), into.subarray(0, 100)], [100, bytes]);
    await file.close();
  });
});

test("fileFolder: a platform that makes no progress ends in an error, never in an endless loop", async () => {
  await withFolder(async (path) => {
    nodeFs.writeFileSync(join(path, "a"), "text");
    const nothing = (...args: unknown[]): void => (args.at(-1) as NodeCallback<number>)(null, 0);
    const folder = altered(path, { read: nothing, write: nothing, fdatasync: failing("fdatasync", "EINTR").fdatasync });
    const reader = await folder.open("a");
    const into = new Uint8Array(4);
    const error = await assertCodeAsync("IO_READ", () => reader.read(0, into));
    assertEquals([error.detail.file, error.detail.offset, error.detail.length], ["a", 0, 4]);
    assertEquals(await reader.read(4, into), 0, "behind the end there is nothing to wait for");
    assertEquals((await assertCodeAsync("SYNC_FAILED", () => reader.sync())).detail.errno, "EINTR");
    await reader.close();
    const writer = await folder.create("b");
    await assertCodeAsync("IO_WRITE", () => writer.write(0, into));
    await writer.close();
  });
});

test("fileFolder: errors of the platform have their codes, the path in the detail and no folder of the user in JSON", async () => {
  await withFolder(async (path) => {
    nodeFs.mkdirSync(join(path, "d"));
    nodeFs.writeFileSync(join(path, "d/a"), "text");
    const into = new Uint8Array(4);
    const cases: [keyof NodeFolderFs, string, ErrorCode, (folder: Folder) => Promise<unknown>][] = [
      ["openSync", "EACCES", "PERMISSION", (folder) => folder.open("d/a")],
      ["openSync", "EMFILE", "UNAVAILABLE", (folder) => folder.open("d/a")],
      ["openSync", "EIO", "IO_READ", (folder) => folder.open("d/a")],
      ["openSync", "EROFS", "READ_ONLY_MEDIUM", (folder) => folder.create("d/b")],
      ["openSync", "ENOSPC", "NO_SPACE", (folder) => folder.create("d/b")],
      ["openSync", "EIO", "IO_WRITE", (folder) => folder.create("d/b")],
      ["lstatSync", "EACCES", "PERMISSION", (folder) => folder.facts("d")],
      ["lstatSync", "EIO", "IO_READ", (folder) => folder.facts("d")],
      ["read", "EIO", "IO_READ", async (folder) => (await folder.open("d/a")).read(0, into)],
      ["read", "ENOSPC", "IO_READ", async (folder) => (await folder.open("d/a")).read(0, into)],
      ["write", "ENOSPC", "NO_SPACE", async (folder) => (await folder.create("d/c")).write(0, into)],
      ["write", "EDQUOT", "QUOTA", async (folder) => (await folder.create("d/d")).write(0, into)],
      ["write", "EIO", "IO_WRITE", async (folder) => (await folder.create("d/e")).write(0, into)],
      ["fdatasync", "EIO", "SYNC_FAILED", async (folder) => (await folder.create("d/f")).sync()],
      ["fdatasync", "ENOSPC", "SYNC_FAILED", async (folder) => (await folder.create("d/g")).sync()],
      ["fsync", "EIO", "SYNC_FAILED", (folder) => folder.syncDirectory("d")],
      ["fsync", "ENOSPC", "SYNC_FAILED", (folder) => folder.syncDirectory("d")],
      ["openSync", "ENOENT", "NOT_FOUND", (folder) => folder.syncDirectory("d")],
      ["readdir", "ENOTDIR", "NOT_A_DIRECTORY", (folder) => folder.list("d")],
      ["readdir", "EIO", "IO_READ", (folder) => folder.list("d")],
      ["rename", "EXDEV", "IO_WRITE", (folder) => folder.rename("d/a", "b")],
      ["rename", "ENOENT", "NOT_FOUND", (folder) => folder.rename("d/a", "b")],
      ["unlink", "EPERM", "PERMISSION", (folder) => folder.remove("d/a")],
      ["mkdir", "ENOSPC", "NO_SPACE", (folder) => folder.makeDirectory("d/x")],
      ["rmdir", "ENOTEMPTY", "EXISTS", (folder) => folder.removeDirectory("d")],
    ];
    for (const [name, code, expected, call] of cases) {
      const error = await assertCodeAsync(expected, () => call(altered(path, failing(name, code))));
      const unknown = expected === "SYNC_FAILED" ? "unknown" : "not_applied";
      assertEquals([error.detail.errno, error.detail.syscall, error.handle, error.outcome], [code, name, "ok", unknown], error.message);
      assert(String(error.detail.file).startsWith("d"), error.message);
      assert(!/secret|waybill-test-/.test(JSON.stringify(error) + error.message), error.message);
    }
    for (const code of ["EINVAL", "ENOTSUP", "EOPNOTSUPP"]) await altered(path, failing("fsync", code)).syncDirectory("d");
    assertEquals(await altered(path, failing("unlink", "ENOENT")).remove("d/a"), false);
    assertEquals(nodeFs.readFileSync(join(path, "d/a"), "utf8"), "text");
  });
});
