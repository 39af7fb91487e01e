// The writer claim of a file, across processes and runtimes.
//
// Beside `FILE` lies `FILE.lock`: made once, never unlinked, holding the holder's record. A writer has a kernel lock on it and a second one on the file itself, which also excludes writers that
// come through another hard link. Where there is no kernel lock to be had, claim files in `FILE.lock.d` stand in (see claim_files.ts); both ways exclude each other.
//
// Order: kernel lock, then the record, then a look at the flags of claimants. Whoever finds a living rival steps back.
import { fail, isManifestError } from "../errors.ts";
import { type Claim, findRivals, tryClaim } from "./claim_files.ts";
import { errnoOf, platformError } from "./errno.ts";
import { type KernelLock, tryKernelLock } from "./kernel_lock.ts";
import { holderOf, type LockRecord, readRecord, writeRecord } from "./lock_record.ts";
import { type NodeFs, pause } from "./platform.ts";
import { mayBeAlive, thisProcess } from "./process_identity.ts";
import type { LockHolder, LockRequest, LockStrength, StorageLock } from "./storage.ts";

/** How a file may be locked: `auto` prefers the kernel, `claim` uses claim files only (for file systems whose locks cannot be trusted). */
export type Locking = "auto" | "claim";

const HOLDER_LOOKS = 40;
const HOLDER_PAUSE = 5;

/** What to lock. */
export interface LockTarget {
  /** Absolute path of the file, symbolic links resolved. */
  path: string;
  /** Base name, for errors. */
  name: string;
  /** Device and inode of the open file. */
  identity: string;
  /** How it may be locked. */
  locking: Locking;
}

/** The record of a claim that this process makes. */
export function recordOf(fs: NodeFs, request: LockRequest, strength: LockStrength): LockRecord {
  const { pid, started, host, boot, runtime } = thisProcess(fs);
  return { pid, started, host, boot, runtime, since: new Date(request.now).toISOString(), nonce: request.nonce.slice(0, 64), strength };
}

/** Claims a file for one writer; throws LOCKED when another process has it. */
export function lockFile(fs: NodeFs, target: LockTarget, request: LockRequest): FileLock {
  const lock = new FileLock(fs, target);
  try {
    lock.take(request);
    return lock;
  } catch (error) {
    lock.release();
    throw isManifestError(error) ? error : platformError("lock", target.name, error, { lockFile: `${target.name}.lock` });
  }
}

/** A writer claim on a file. */
export class FileLock implements StorageLock {
  #fs: NodeFs;
  #target: LockTarget;
  #lockFd = -1;
  #dataFd = -1;
  #kernel: KernelLock[] = [];
  #claim: Claim | undefined;
  #record: LockRecord | undefined;
  #previous: LockRecord | undefined;
  #written = false;

  /** Nothing is held before `take`. */
  constructor(fs: NodeFs, target: LockTarget) {
    this.#fs = fs;
    this.#target = target;
  }

  get strength(): LockStrength {
    return this.#claim === undefined ? "kernel" : "claim";
  }

  get holder(): LockHolder {
    return holderOf(this.#record!);
  }

  get previous(): LockHolder | undefined {
    return this.#previous && holderOf(this.#previous);
  }

  /** Takes the claim or throws; what was taken half is given back by `release`. */
  take(request: LockRequest): void {
    const { path, locking } = this.#target;
    this.#lockFd = this.#openLockFile(`${path}.lock`);
    const kernel = locking === "claim" ? "unsupported" : tryKernelLock(this.#fs, this.#lockFd, `${path}.lock`);
    if (kernel === "busy") this.#failLocked(this.#waitForHolder());
    if (kernel === "unsupported") return this.#takeClaim(request);
    this.#kernel.push(kernel);
    this.#lockData();
    const before = readRecord(this.#fs, this.#lockFd);
    if (before !== undefined && (before.strength === "kernel" || !mayBeAlive(this.#fs, before))) this.#previous = before;
    this.#record = recordOf(this.#fs, request, "kernel");
    this.#write(this.#record);
    this.#outlast(`${path}.lock.d`, before);
  }

  // Claimants that see our record give way; one that had looked before it stood there has won, and leaves its own record in the lock file.
  #outlast(folder: string, before: LockRecord | undefined): void {
    for (let look = 1;; look++) {
      const { alive, dead } = findRivals(this.#fs, folder);
      this.#previous ??= dead;
      if (alive === undefined) return;
      const won = before?.nonce === alive.nonce || readRecord(this.#fs, this.#lockFd)?.nonce === alive.nonce;
      if (won || look === HOLDER_LOOKS) {
        this.#write(alive);
        this.#written = false;
        this.#failLocked(alive);
      }
      pause(HOLDER_PAUSE);
    }
  }

  #takeClaim(request: LockRequest): void {
    const record = recordOf(this.#fs, request, "claim");
    const answer = tryClaim(this.#fs, `${this.#target.path}.lock.d`, this.#lockFd, record);
    if (!("stands" in answer)) this.#failLocked(answer);
    this.#claim = answer;
    this.#openData();
    this.#record = record;
    this.#previous = answer.previous;
  }

  #write(record: LockRecord): void {
    this.#written = true;
    writeRecord(this.#fs, this.#lockFd, record);
  }

  #openLockFile(path: string): number {
    const { O_RDWR = 2, O_CREAT = 0, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = this.#fs.constants;
    const fd = this.#fs.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    if (!this.#fs.fstatSync(fd, { bigint: true }).isFile()) {
      this.#fs.closeSync(fd);
      fail("NOT_A_REGULAR_FILE", `Cannot lock "${this.#target.name}": its lock file is not a regular file`, {
        detail: { file: `${this.#target.name}.lock` },
      });
    }
    return fd;
  }

  // A file that was replaced since it was opened must not be claimed: who opens the path now opens another one.
  #openData(): void {
    const { path, name, identity } = this.#target;
    const { O_RDWR = 2, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = this.#fs.constants;
    this.#dataFd = this.#fs.openSync(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    const { dev, ino } = this.#fs.fstatSync(this.#dataFd, { bigint: true });
    if (`${dev}:${ino}` !== identity) {
      fail("FILE_MOVED", `Cannot lock "${name}": another file has taken its place`, { handle: "closed", detail: { file: name } });
    }
  }

  // The second lock, on the file itself. Only "busy" matters: where it cannot be had, the first one stands alone.
  #lockData(): void {
    this.#openData();
    const kernel = tryKernelLock(this.#fs, this.#dataFd, this.#target.path);
    if (kernel === "busy") this.#failLocked(undefined);
    if (kernel !== "unsupported") this.#kernel.push(kernel);
  }

  // Who holds the kernel lock writes its name a moment after it took the lock; until then the record is missing or names a dead holder.
  #waitForHolder(): LockRecord | undefined {
    for (let look = 0; look < HOLDER_LOOKS; look++) {
      const record = readRecord(this.#fs, this.#lockFd);
      if (record !== undefined && mayBeAlive(this.#fs, record)) return record;
      pause(HOLDER_PAUSE);
    }
    return undefined;
  }

  #failLocked(record: LockRecord | undefined): never {
    const { name } = this.#target;
    if (record === undefined) fail("LOCKED", `Cannot lock "${name}": another process holds it`, { detail: { file: name } });
    const by = `${record.runtime} process ${record.pid}${record.host === "" ? "" : ` on ${record.host}`} since ${record.since}`;
    fail("LOCKED", `Cannot lock "${name}": held by ${by}`, { detail: { file: name, holder: holderOf(record), strength: record.strength } });
  }

  verify(): void {
    const held = this.#claim === undefined ? this.#kernel.length > 0 : this.#claim.stands();
    if (!held) {
      const { name } = this.#target;
      fail("FENCED", `Cannot continue to write "${name}": the writer claim is lost`, { detail: { file: name } });
    }
    this.#checkPlace();
  }

  // What is written to a file that nobody can open by its name any more would be acknowledged and lost.
  #checkPlace(): void {
    const { path, name, identity } = this.#target;
    let state: string;
    try {
      const { dev, ino } = this.#fs.lstatSync(path, { bigint: true });
      if (`${dev}:${ino}` === identity) return;
      state = "another file has taken its place";
    } catch (error) {
      if (!["ENOENT", "ENOTDIR", "NotFound"].includes(errnoOf(error))) return; // what cannot be looked at has not been seen to move
      state = "it was renamed or removed";
    }
    fail("FILE_MOVED", `Cannot continue to write "${name}": ${state}`, { handle: "read_only", detail: { file: name } });
  }

  release(): void {
    attempt(() => this.#claim?.release());
    this.#claim = undefined;
    // The record goes while the lock is still held: it must never name a process that lives and holds nothing.
    if (this.#written) attempt(() => writeRecord(this.#fs, this.#lockFd, undefined));
    this.#written = false;
    for (const kernel of this.#kernel.splice(0).reverse()) if (typeof kernel === "object") attempt(() => kernel.release());
    for (const fd of [this.#dataFd, this.#lockFd]) if (fd >= 0) attempt(() => this.#fs.closeSync(fd));
    this.#dataFd = this.#lockFd = -1;
  }
}

// Giving back goes on whatever fails on the way: the system frees what is left when the descriptors close.
function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // nothing more can be done here
  }
}
