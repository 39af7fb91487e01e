// Looking at the writer claim of a file, and removing what dead or lost writers have left of it.
//
// Invariants: a lock that the operating system keeps is never broken, because its holder is alive. A claim file goes when its holder is certainly gone, or by force; its former holder then finds
// its claim lost (FENCED) before its next group. Nothing is made where nothing was: a file without a lock file is free and stays without one.
import { isManifestError } from "../errors.ts";
import { openFile } from "./file.ts";
import { errnoOf, platformError } from "./errno.ts";
import { type KernelLock, tryKernelLock } from "./kernel_lock.ts";
import { decodeRecord, holderOf, type LockRecord, readRecord, writeRecord } from "./lock_record.ts";
import { builtinModule, type NodeFs } from "./platform.ts";
import { mayBeAlive, thisProcess } from "./process_identity.ts";
import type { LockHolder, LockStrength } from "./storage.ts";

/** A claim that was found. */
export interface FoundClaim {
  /** Who made it; undefined when it does not say so in words that can be read. */
  readonly holder: LockHolder | undefined;
  /** How it holds. */
  readonly strength: LockStrength;
  /** False only when its process is certainly gone. */
  readonly alive: boolean;
  /** Whether it was removed. */
  readonly removed: boolean;
}

/** What `unlockFile` found and did. */
export interface UnlockReport {
  /** `free`: nothing was there. `removed`: all that was there is gone now. `held`: somebody holds the file. */
  readonly state: "free" | "removed" | "held";
  /** Every claim that was found. */
  readonly claims: readonly FoundClaim[];
}

const FLAG = ".claim";

/**
 * Removes the claims of dead writers from a file, and with `force` those of writers that may be alive but hold no lock of the operating system. NOT_FOUND, NOT_A_REGULAR_FILE, PERMISSION.
 */
export function unlockFile(
  path: string | URL,
  options: { force?: boolean; followSymlink?: boolean } = {},
  fs: NodeFs = builtinModule<NodeFs>("node:fs")!,
): UnlockReport {
  const storage = openFile(path, { readOnly: true, followSymlink: options.followSymlink ?? false });
  try {
    return new Unlock(fs, storage.path, options.force === true).run();
  } catch (error) {
    throw isManifestError(error) ? error : platformError("lock", storage.name, error, { lockFile: `${storage.name}.lock` });
  } finally {
    storage.close();
  }
}

class Unlock {
  readonly #fs: NodeFs;
  readonly #path: string;
  readonly #force: boolean;
  readonly #claims: FoundClaim[] = [];

  constructor(fs: NodeFs, path: string, force: boolean) {
    this.#fs = fs;
    this.#path = path;
    this.#force = force;
  }

  run(): UnlockReport {
    const fds: number[] = [];
    const { O_RDWR = 2, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = this.#fs.constants;
    const open = (path: string): number => {
      const fd = this.#fs.openSync(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
      fds.push(fd);
      return fd;
    };
    const kernel: KernelLock[] = [];
    const lockPath = `${this.#path}.lock`;
    try {
      const lockFd = exists(this.#fs, lockPath) ? open(lockPath) : undefined;
      // While this process has the locks of the operating system, nobody who uses them can claim the file.
      for (const [path, fd] of [[lockPath, lockFd], [this.#path, open(this.#path)]] as const) {
        if (fd === undefined) continue;
        const answer = tryKernelLock(this.#fs, fd, path);
        if (answer === "busy") {
          const record = lockFd === undefined ? undefined : readRecord(this.#fs, lockFd);
          this.#found(record?.strength === "kernel" ? record : undefined, "kernel", true, false);
          return this.#report();
        }
        kernel.push(answer);
      }
      const excluded = kernel.every((answer) => typeof answer === "object");
      const record = lockFd === undefined ? undefined : readRecord(this.#fs, lockFd);
      const flags = this.#flags();
      if (record !== undefined && !flags.some(({ nonce }) => nonce === record.nonce)) this.#leftover(record, excluded);
      if (record !== undefined && this.#claims.every(({ removed }) => removed)) writeRecord(this.#fs, lockFd!, undefined);
      return this.#report();
    } finally {
      for (const lock of kernel) if (typeof lock === "object") lock.release();
      for (const fd of fds) this.#fs.closeSync(fd);
    }
  }

  /** The claim files of others; those that may go are removed. */
  #flags(): LockRecord[] {
    const folder = `${this.#path}.lock.d`;
    if (!exists(this.#fs, folder)) return [];
    const records: LockRecord[] = [];
    for (const name of this.#fs.readdirSync(folder).filter((name) => name.endsWith(FLAG)).sort()) {
      const record = this.#read(`${folder}/${name}`);
      if (record === undefined) continue; // taken down meanwhile, or no claim: it excludes nobody
      records.push(record);
      const alive = mayBeAlive(this.#fs, record);
      const remove = !alive || this.#force;
      if (remove) this.#fs.unlinkSync(`${folder}/${name}`);
      this.#found(record, "claim", alive, remove);
    }
    return records;
  }

  #read(path: string): LockRecord | undefined {
    try {
      return decodeRecord(this.#fs.readFileSync(path, "utf8"));
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** A record in the lock file that no claim file stands behind. `excluded`: its holder, were it alive on this machine, would have the lock that we have. */
  #leftover(record: LockRecord, excluded: boolean): void {
    const here = record.host === thisProcess(this.#fs).host;
    const alive = record.strength === "kernel" && !(excluded && here) && mayBeAlive(this.#fs, record);
    this.#found(record, record.strength, alive, !alive || this.#force);
  }

  #found(record: LockRecord | undefined, strength: LockStrength, alive: boolean, removed: boolean): void {
    this.#claims.push({ holder: record && holderOf(record), strength, alive, removed });
  }

  #report(): UnlockReport {
    const claims = this.#claims;
    const state = claims.length === 0 ? "free" : claims.every(({ removed }) => removed) ? "removed" : "held";
    return { state, claims };
  }
}

function exists(fs: NodeFs, path: string): boolean {
  try {
    fs.lstatSync(path, { bigint: true });
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
