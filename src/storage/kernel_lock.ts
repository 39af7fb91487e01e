// Exclusive locks that the operating system keeps and frees when the holder dies: flock(2) in all three runtimes, reached in three ways.
//
// Deno has it on its own files. Bun reaches the C library through bun:ffi. Node has no way of its own: the `flock` utility locks the descriptor it inherits, and because the lock belongs to
// the open file description that Node shares with it, Node holds it when the utility has ended. All three exclude one another.
import { builtinModule, type BunFfi, denoNamespace, type NodeChildProcess, type NodeFs, platformName } from "./platform.ts";

/** A lock that is held, "busy" when another open file holds it, "unsupported" where there is no way to ask. */
export type KernelLock = { release(): void } | "busy" | "unsupported";

const LOCK_EX_NB = 2 | 4;
const UTILITY_TIMEOUT = 10_000;

interface CLibrary {
  readonly files: readonly string[];
  readonly errno: "__errno_location" | "__error";
  readonly wouldBlock: number;
}

const C_LIBRARIES: Readonly<Record<string, CLibrary>> = {
  linux: {
    files: ["libc.so.6", "libc.so", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"],
    errno: "__errno_location",
    wouldBlock: 11,
  },
  darwin: { files: ["libSystem.B.dylib"], errno: "__error", wouldBlock: 35 },
};

type Flock = (fd: number) => "held" | "busy" | "unsupported";

let bunFlock: Flock | null | undefined;

/**
 * Takes an exclusive lock without waiting on the file that `fd` has open at `path`. The lock is released with the returned handle; where it sits on `fd` itself that means closing `fd`, which is the
 * caller's: call `release` first.
 */
export function tryKernelLock(fs: NodeFs, fd: number, path: string): KernelLock {
  if (denoNamespace() !== undefined) return lockWithDeno(fs, fd, path);
  const flock = findBunFlock();
  if (flock !== undefined) {
    const answer = flock(fd);
    return answer === "held" ? { release: nothing } : answer;
  }
  return lockWithUtility(fd);
}

function nothing(): void {}

function lockWithDeno(fs: NodeFs, fd: number, path: string): KernelLock {
  const deno = denoNamespace()!;
  let file;
  try {
    file = deno.openSync(path, { read: true, write: true });
  } catch {
    return "unsupported";
  }
  try {
    const ours = fs.fstatSync(fd, { bigint: true });
    const theirs = file.statSync();
    if (typeof file.tryLockSync !== "function" || Number(ours.dev) !== theirs.dev || Number(ours.ino) !== theirs.ino) {
      file.close();
      return "unsupported";
    }
    if (!file.tryLockSync(true)) {
      file.close();
      return "busy";
    }
  } catch {
    file.close();
    return "unsupported";
  }
  const held = file;
  return { release: () => held.close() };
}

function findBunFlock(): Flock | undefined {
  if (bunFlock !== undefined) return bunFlock ?? undefined;
  bunFlock = null;
  const ffi = builtinModule<BunFfi>("bun:ffi");
  const library = C_LIBRARIES[platformName()];
  if (ffi === undefined || library === undefined) return undefined;
  for (const file of library.files) {
    try {
      const { symbols } = ffi.dlopen(file, {
        flock: { args: ["i32", "i32"], returns: "i32" },
        [library.errno]: { args: [], returns: "ptr" },
      });
      bunFlock = (fd) => {
        if (symbols.flock!(fd, LOCK_EX_NB) === 0) return "held";
        return ffi.read.i32(symbols[library.errno]!(), 0) === library.wouldBlock ? "busy" : "unsupported";
      };
      return bunFlock;
    } catch {
      // another C library goes by another name
    }
  }
  return undefined;
}

function lockWithUtility(fd: number): KernelLock {
  const childProcess = builtinModule<NodeChildProcess>("node:child_process");
  if (childProcess === undefined || platformName() === "win32") return "unsupported";
  const { status, error } = childProcess.spawnSync("flock", ["-n", "-x", "3"], {
    stdio: ["ignore", "ignore", "ignore", fd],
    timeout: UTILITY_TIMEOUT,
  });
  if (error !== undefined) return "unsupported";
  if (status === 0) return { release: nothing };
  return status === 1 ? "busy" : "unsupported";
}
