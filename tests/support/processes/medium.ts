// Real media that are too small, become full, or cannot be written: a file system in memory, mounted in a namespace of its own, which ends with the process in it.
import { assert, assertEquals } from "../assert.ts";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { RuntimeName } from "../runtimes.ts";
import { Actor } from "./actor.ts";

const KIB = 1024;
/** The whole medium. */
const BYTES = 2048 * KIB;
/** What is left of it at first: less than a new manifest takes. */
const TOO_LITTLE = 64 * KIB;
/** What is left later: a manifest and some commits. */
const SOME = 700 * KIB;
/** Length of a row that fills it. */
const LENGTH = 6 * KIB;

let unshare: string[] | undefined;

/** Why there are no namespaces to mount in, or "" when there are. */
export function whyNoMounts(): string {
  if (unshare === undefined) {
    const ways = [["unshare", "-m"], ["unshare", "-rm"]];
    const works = (way: string[]): boolean =>
      spawnSync(way[0]!, [...way.slice(1), "mount", "-t", "tmpfs", "none", "/mnt"], { stdio: "ignore" }).status === 0;
    unshare = process.platform === "linux" ? ways.find(works) ?? [] : [];
  }
  return unshare.length > 0 ? "" : "no file system can be mounted here";
}

/** A command that mounts a file system of so many bytes at a folder, runs some shell commands there, then the command that follows. */
function mounted(folder: string, bytes: number, setup: string): string[] {
  const shell = `mount -t tmpfs -o size=${bytes} none "$0" && cd "$0" && ${setup} && cd / && exec "$@"`;
  return [...unshare!, "sh", "-c", shell, folder];
}

/** The mounted folder as it is seen from outside the namespace. */
function seenFrom(pid: number, folder: string): string {
  return `/proc/${pid}/root${folder}`;
}

/** A medium that is too small for a new manifest, then large enough, then full, then has room again. Returns the commits that filled it. */
export async function checkFullMedium(runtime: RuntimeName, folder: string): Promise<number> {
  const mount = join(folder, `full-${runtime}`), path = join(mount, "m.waybill");
  mkdirSync(mount);
  const actor = await Actor.startWithin(mounted(mount, BYTES, `head -c ${BYTES - TOO_LITTLE} /dev/zero > ballast`), runtime, path);
  const outside = seenFrom(actor.pid, mount);
  try {
    // Too small: nothing is left that opens as something.
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = await actor.mustFail({ do: "open" }, "NO_SPACE");
      assertEquals(error.outcome, "not_applied");
      const left = readdirSync(outside).filter((name) => name === "m.waybill");
      await actor.mustFail({ do: "open", options: { create: false } }, left.length === 0 ? "NOT_FOUND" : "EMPTY_FILE");
    }
    rmSync(join(outside, "ballast"));
    writeFileSync(join(outside, "ballast"), new Uint8Array(BYTES - SOME));
    assertEquals((await actor.must({ do: "open" })).created, true);

    // Full: what does not fit is not applied, what was acknowledged can be read.
    const rows: number[] = [];
    let refused: number | undefined;
    for (let row = 1; refused === undefined; row++) {
      const { error } = await actor.ask({ do: "put", row, length: LENGTH });
      if (error === undefined) rows.push(row);
      else {
        assertEquals(
          [error.code, error.outcome, error.handle, error.retryable],
          ["NO_SPACE", "not_applied", "ok", true],
          JSON.stringify(error),
        );
        refused = row;
      }
      if (row * LENGTH > BYTES) throw new Error("the medium never becomes full");
    }
    assert(rows.length > 0, "nothing fits on a medium on which a manifest could be made");
    assertEquals((await actor.must({ do: "rows" })).rows, rows);
    await actor.mustFail({ do: "put", row: refused, length: LENGTH }, "NO_SPACE");

    // Room again: the same handle commits on.
    rmSync(join(outside, "ballast"));
    await actor.must({ do: "put", row: refused, length: LENGTH });
    rows.push(refused);
    assertEquals((await actor.must({ do: "rows" })).rows, rows);
    assertEquals((await actor.must({ do: "check" })).problems, []);
    const ids = actor.begun;
    assertEquals((await actor.must({ do: "resolve", id: ids.at(-2)! })).state, "not_applied");
    await actor.must({ do: "close" });
    assertEquals((await actor.must({ do: "open" })).clean, true);
    assertEquals((await actor.must({ do: "rows" })).rows, rows);
    await actor.must({ do: "close" });
    return rows.length;
  } finally {
    await actor.kill();
  }
}

/** A medium that was mounted read-only: it cannot be opened for writing, and can be read. */
export async function checkReadOnlyMedium(runtime: RuntimeName, folder: string): Promise<void> {
  const mount = join(folder, `read-only-${runtime}`), origin = join(folder, `origin-${runtime}.waybill`), path = join(mount, "m.waybill");
  mkdirSync(mount);
  const maker = await Actor.start(runtime, origin);
  await maker.must({ do: "open" });
  await maker.must({ do: "put", row: 1 });
  await maker.kill(); // not closed: there is a journal to replay
  const reader = await Actor.startWithin(mounted(mount, BYTES, `cp "${origin}" m.waybill && mount -o remount,ro "$0"`), runtime, path);
  try {
    await reader.mustFail({ do: "open" }, "READ_ONLY_MEDIUM");
    await reader.must({ do: "open", options: { create: false, readOnly: true } });
    assertEquals((await reader.must({ do: "rows" })).rows, [1]);
    await reader.mustFail({ do: "put", row: 2 }, "READ_ONLY");
    await reader.must({ do: "close" });
    assert(!existsSync(join(seenFrom(reader.pid, mount), "m.waybill.lock")));
  } finally {
    await reader.kill();
  }
}
