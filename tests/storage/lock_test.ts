// One writer for each file, across processes, runtimes and ways of locking.
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, linkSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { join } from "node:path";
import process from "node:process";
import type { ErrorJson } from "../../src/errors.ts";
import { openFile } from "../../src/storage/file.ts";
import type { Locking } from "../../src/storage/file_lock.ts";
import { encodeRecord } from "../../src/storage/lock_record.ts";
import type { LockHolder } from "../../src/storage/storage.ts";
import { withFolder as inFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";
import { currentRuntime, runtimeCommand, type RuntimeName, RUNTIMES } from "../support/runtimes.ts";
import { assertCode, lockRequest } from "../support/storage_suite.ts";

const CHILD = "tests/support/children/lock_holder.ts";

interface Answer {
  held?: LockHolder;
  strength?: string;
  previous?: LockHolder | null;
  error?: ErrorJson;
}

interface Child {
  answer: Answer;
  pid: number;
  end(signal?: "SIGKILL"): Promise<void>;
}

const started: ChildProcess[] = [];

// Children that a failed test leaves behind would keep Node from ending.
async function withFolder(body: (folder: string) => void | Promise<void>): Promise<void> {
  try {
    await inFolder(body);
  } finally {
    for (const child of started.splice(0)) child.kill("SIGKILL");
  }
}

// A child of a runtime that has tried to claim the file and has said how it went.
async function claimant(runtime: RuntimeName, path: string, locking: Locking = "auto"): Promise<Child> {
  const { cmd, args } = runtimeCommand(runtime, CHILD, [path, locking, `nonce-of-${runtime}-child`]);
  const child: ChildProcess = spawn(cmd, args, { stdio: ["pipe", "pipe", "inherit"] });
  started.push(child);
  const ended = new Promise<void>((done) => child.once("close", () => done()));
  child.stdin!.on("error", () => {}); // one that was refused has ended before it is told to
  const line = await new Promise<string>((done, failed) => {
    createInterface({ input: child.stdout! }).once("line", done);
    child.once("error", failed);
    child.once("close", (code) => failed(new Error(`${runtime} child ended with ${code} and said nothing`)));
  });
  return {
    answer: JSON.parse(line) as Answer,
    pid: child.pid!,
    end: async (signal) => {
      if (signal !== undefined) child.kill(signal);
      else if (child.exitCode === null && !child.stdin!.destroyed) child.stdin!.end("end\n");
      await ended;
    },
  };
}

function holderIn(answer: Answer): LockHolder {
  assertEquals(answer.error?.code, "LOCKED", JSON.stringify(answer));
  return answer.error!.detail.holder as LockHolder;
}

// The first holds; the second is refused and told who holds; the first is killed; the second gets it without any step between; it ends; a third gets it.
async function checkPair(first: RuntimeName, second: RuntimeName, firstWay: Locking, secondWay: Locking): Promise<void> {
  await withFolder(async (folder) => {
    const path = join(folder, "store.waybill");
    const holder = await claimant(first, path, firstWay);
    assertEquals(holder.answer.held?.runtime, first, JSON.stringify(holder.answer));
    const refused = await claimant(second, path, secondWay);
    const named = holderIn(refused.answer);
    assertEquals([named.runtime, named.pid, named.nonce], [first, holder.pid, holder.answer.held!.nonce]);
    assert(refused.answer.error!.message.includes(String(holder.pid)));
    await refused.end();
    await holder.end("SIGKILL");
    const next = await claimant(second, path, secondWay);
    assertEquals(next.answer.held?.runtime, second, JSON.stringify(next.answer));
    assertEquals(next.answer.previous?.pid, holder.pid, "the dead holder is reported");
    await next.end();
    const last = await claimant(first, path, firstWay);
    assertEquals([last.answer.held?.runtime, last.answer.previous], [first, null], "nobody died this time");
    await last.end();
  });
}

for (const first of RUNTIMES) {
  for (const second of RUNTIMES) {
    test(`FileStorage.lock: ${first} excludes ${second} until it is killed`, () => checkPair(first, second, "auto", "auto"));
  }
}

for (const [first, second] of [["node", "deno"], ["bun", "node"], ["deno", "bun"]] as const) {
  test(`FileStorage.lock: a claim file of ${first} excludes a kernel lock of ${second}`, () => checkPair(first, second, "claim", "auto"));
  test(`FileStorage.lock: a kernel lock of ${first} excludes a claim file of ${second}`, () => checkPair(first, second, "auto", "claim"));
  test(`FileStorage.lock: a claim file of ${first} excludes a claim file of ${second}`, () => checkPair(first, second, "claim", "claim"));
}

// Node reaches the kernel's locks through the flock utility; Deno and Bun need nothing.
function hasKernelLock(runtime: RuntimeName): boolean {
  return runtime !== "node" || spawnSync("flock", ["--help"], { stdio: "ignore" }).error === undefined;
}

test("FileStorage.lock: every runtime has a kernel lock, Node where the flock utility is", async () => {
  for (const runtime of RUNTIMES) {
    await withFolder(async (folder) => {
      const child = await claimant(runtime, join(folder, "store.waybill"));
      assertEquals(child.answer.strength, hasKernelLock(runtime) ? "kernel" : "claim", runtime);
      await child.end();
    });
  }
});

test("FileStorage.lock: a hard link under another name is the same file, in this process and for kernel locks in others", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "store.waybill"), link = join(folder, "link.waybill");
    const storage = openFile(path, { create: true });
    linkSync(path, link);
    storage.lock(lockRequest());
    const other = openFile(link);
    assertEquals(other.identity, storage.identity);
    assertEquals(assertCode("LOCKED", () => other.lock(lockRequest())).detail.sameProcess, true);
    other.close();
    // A claim file is beside one name only: both sides need a kernel lock.
    for (const runtime of hasKernelLock(currentRuntime()) ? RUNTIMES.filter(hasKernelLock) : []) {
      const child = await claimant(runtime, link);
      assertEquals(child.answer.error?.code, "LOCKED", runtime);
      await child.end();
    }
    storage.close();
    const next = await claimant("deno", link);
    assertEquals(next.answer.held?.runtime, "deno");
    await next.end();
  });
});

test("FileStorage.lock: through a symbolic link the claim is that of the file it leads to", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "store.waybill"), link = join(folder, "link.waybill");
    const child = await claimant("node", path);
    symlinkSync(path, link);
    const storage = openFile(link, { followSymlink: true });
    assertEquals((assertCode("LOCKED", () => storage.lock(lockRequest())).detail.holder as LockHolder).pid, child.pid);
    storage.close();
    assert(!existsSync(`${link}.lock`));
    await child.end();
  });
});

test("FileStorage.lock: the lock file names the holder, survives the claim and is reused", async () => {
  await withFolder((folder) => {
    const path = join(folder, "store.waybill"), lockPath = `${path}.lock`;
    const storage = openFile(path, { create: true });
    const lock = storage.lock(lockRequest());
    const written = JSON.parse(readFileSync(lockPath, "utf8"));
    assertEquals([written.pid, written.runtime, written.nonce], [process.pid, currentRuntime(), "nonce-of-a-test-0"]);
    assertEquals(statSync(lockPath).mode & 0o777, 0o600);
    const { ino } = statSync(lockPath);
    lock.release();
    assertEquals(readFileSync(lockPath, "utf8"), "");
    storage.lock(lockRequest());
    storage.close();
    assertEquals(statSync(lockPath).ino, ino);
    const claims = hasKernelLock(currentRuntime()) ? [] : ["store.waybill.lock.d"];
    assertEquals(readdirSync(folder).sort(), ["store.waybill", "store.waybill.lock", ...claims]);
  });
});

test("FileStorage.lock: a record that cannot be read is nobody's", async () => {
  await withFolder((folder) => {
    for (const text of ["", "{", "null", "[1]", '{"pid":"1"}', "\0".repeat(600), "x".repeat(5000)]) {
      for (const locking of ["auto", "claim"] as const) {
        const path = join(folder, "store.waybill");
        writeFileSync(`${path}.lock`, text);
        const storage = openFile(path, { create: true, locking });
        const lock = storage.lock(lockRequest());
        assertEquals(lock.previous, undefined);
        storage.close();
      }
    }
  });
});

test("FileStorage.lock: a holder is dead when its pid is gone or reused or its machine restarted, else alive", async () => {
  await withFolder((folder) => {
    const path = join(folder, "store.waybill");
    const own = openFile(path, { create: true, locking: "claim" });
    const { holder } = own.lock(lockRequest());
    own.close();
    const cases: [Partial<LockHolder>, boolean][] = [
      [{}, true],
      [{ started: "" }, true],
      [{ pid: 2 ** 30 }, false],
      [{ started: "1" }, process.platform !== "linux"],
      [{ boot: "another boot" }, holder.boot === ""],
      [{ host: "another-host", pid: 2 ** 30 }, true],
    ];
    for (const [change, alive] of cases) {
      writeFileSync(`${path}.lock`, encodeRecord({ ...holder, nonce: "nonce-of-before", ...change, strength: "kernel" }));
      const storage = openFile(path, { locking: "claim" });
      if (alive) {
        assertCode("LOCKED", () => storage.lock(lockRequest()));
      } else {
        const lock = storage.lock(lockRequest());
        assertEquals(lock.previous?.nonce, "nonce-of-before", JSON.stringify(change));
      }
      storage.close();
    }
  });
});

test("FileStorage.lock: a holder that has ended but was not waited for is dead", async () => {
  if (!existsSync("/proc/self/stat")) return;
  await withFolder(async (folder) => {
    const path = join(folder, "store.waybill");
    // The inner shell ends when it has read a line, which comes only when its parent has become what never waits for it: a shell would still wait.
    const parent = spawn("sh", ["-c", "exec 3<&0; sh -c 'read line' <&3 & echo $!; exec sleep 600 3<&-"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const pid = Number(await new Promise<string>((done) => createInterface({ input: parent.stdout! }).once("line", done)));
    const turn = (): Promise<void> => new Promise((done) => setTimeout(done, 5));
    try {
      while (!readFileSync(`/proc/${parent.pid}/stat`, "utf8").includes("(sleep)")) await turn();
      parent.stdin!.end("end\n");
      while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) await turn();
      const own = openFile(path, { create: true, locking: "claim" });
      const { holder } = own.lock(lockRequest());
      own.close();
      writeFileSync(`${path}.lock`, encodeRecord({ ...holder, pid, started: "", strength: "kernel" }));
      const storage = openFile(path, { locking: "claim" });
      assertEquals(storage.lock(lockRequest()).previous?.pid, pid);
      storage.close();
    } finally {
      parent.kill("SIGKILL");
      await new Promise((done) => parent.once("close", done));
    }
  });
});

test("FileStorage.lock: a claim whose flag was taken down is FENCED", async () => {
  await withFolder((folder) => {
    const path = join(folder, "store.waybill");
    const storage = openFile(path, { create: true, locking: "claim" });
    const lock = storage.lock(lockRequest());
    assertEquals(lock.strength, "claim");
    lock.verify();
    const [flag] = readdirSync(`${path}.lock.d`);
    writeFileSync(join(`${path}.lock.d`, flag!), encodeRecord({ ...lock.holder, nonce: "somebody-else", strength: "claim" }));
    const error = assertCode("FENCED", () => lock.verify());
    assertEquals([error.handle, error.retryable], ["read_only", false]);
    storage.close();
  });
});

test("FileStorage.lock: many claimants at once, and exactly one wins", async () => {
  for (const ways of [["auto"], ["claim"], ["auto", "claim"]] as const) {
    await withFolder(async (folder) => {
      const path = join(folder, "store.waybill");
      const children = await Promise.all(RUNTIMES.flatMap((runtime) => ways.map((way) => claimant(runtime, path, way))));
      const winners = children.filter(({ answer }) => answer.held !== undefined);
      assertEquals(winners.length, 1, JSON.stringify(children.map(({ answer }) => answer)));
      for (const child of children) if (child !== winners[0]) assertEquals(child.answer.error?.code, "LOCKED");
      await Promise.all(children.map((child) => child.end()));
    });
  }
});

test("FileStorage.lock: a lock file that is a link or a folder is refused and nothing is claimed", async () => {
  await withFolder((folder) => {
    const path = join(folder, "store.waybill");
    symlinkSync(join(folder, "elsewhere"), `${path}.lock`);
    const storage = openFile(path, { create: true });
    assertCode("NOT_A_REGULAR_FILE", () => storage.lock(lockRequest()));
    assert(!existsSync(join(folder, "elsewhere")));
    assertNotEquals(storage.size(), -1);
    storage.close();
  });
});
