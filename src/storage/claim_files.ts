// Writer claims without a kernel lock: each claimant raises a flag file of its own, then looks for the flags of others.
//
// Because every claimant raises before it looks, two can never both win; they may both lose and try again. A flag has a name that is never used twice and appears at once with its content (written beside,
// then renamed), so removing the flag of a dead process can never remove a live one. The kernel-lock way looks here too, after it has written its record into the lock file: that
// record is its flag, and claimants look at it.
import { errnoOf } from "./errno.ts";
import { decodeRecord, encodeRecord, type LockRecord, readRecord, writeRecord } from "./lock_record.ts";
import { type NodeFs, pause } from "./platform.ts";
import { mayBeAlive } from "./process_identity.ts";

const ATTEMPTS = 8;
const FLAG = ".claim";

/** What looking at the flags of others found. */
export interface Rivals {
  /** A claimant that is or may be alive. */
  alive: LockRecord | undefined;
  /** A dead claimant whose flag was removed. */
  dead: LockRecord | undefined;
}

/** A claim that is held. */
export interface Claim {
  /** A dead claimant that was found on the way. */
  readonly previous: LockRecord | undefined;
  /** Whether the flag still stands. */
  stands(): boolean;
  /** Takes the flag down. */
  release(): void;
}

/** Looks at the flags in a folder but one; removes those of the dead. A missing folder means no flags. */
export function findRivals(fs: NodeFs, folder: string, own?: string): Rivals {
  const found: Rivals = { alive: undefined, dead: undefined };
  let names: string[];
  try {
    names = fs.readdirSync(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return found;
    throw error;
  }
  for (const name of names) {
    if (!name.endsWith(FLAG) || name === own) continue;
    const record = readFlag(fs, `${folder}/${name}`);
    if (record === undefined) continue;
    if (mayBeAlive(fs, record)) {
      found.alive = record;
    } else {
      found.dead = record;
      removeFlag(fs, `${folder}/${name}`);
    }
  }
  return found;
}

function readFlag(fs: NodeFs, path: string): LockRecord | undefined {
  try {
    return decodeRecord(fs.readFileSync(path, "utf8"));
  } catch {
    return undefined; // taken down since it was listed
  }
}

function removeFlag(fs: NodeFs, path: string): void {
  try {
    fs.unlinkSync(path);
  } catch {
    // taken down by somebody else
  }
}

function raise(fs: NodeFs, folder: string, name: string, record: LockRecord): void {
  const draft = `${folder}/${name}.draft`;
  fs.writeFileSync(draft, new TextDecoder().decode(encodeRecord(record)), { flag: "w", mode: 0o600 });
  fs.renameSync(draft, `${folder}/${name}`);
}

/**
 * Claims by flag file: the claim, or the record of a claimant that may be alive. `lockFd` is the lock file, where a holder by kernel lock has its record and where the winner leaves its own for people
 * to read.
 */
export function tryClaim(fs: NodeFs, folder: string, lockFd: number, record: LockRecord): Claim | LockRecord {
  try {
    fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
  const name = `${record.pid}-${record.nonce.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 80)}${FLAG}`;
  const path = `${folder}/${name}`;
  let previous: LockRecord | undefined;
  for (let attempt = 1;; attempt++) {
    raise(fs, folder, name, record);
    const rivals = findRivals(fs, folder, name);
    previous ??= rivals.dead;
    const written = readRecord(fs, lockFd);
    let rival = rivals.alive;
    if (written !== undefined && written.strength === "kernel") {
      if (mayBeAlive(fs, written)) rival ??= written;
      else previous ??= written;
    }
    if (rival === undefined) {
      writeRecord(fs, lockFd, record);
      return claimOf(fs, path, lockFd, record, previous);
    }
    removeFlag(fs, path);
    // A claimant that has won stands in the lock file. Any other rival may yet step back, as we do: try again, after a pause unlike that of others.
    if ((rival.strength === "claim" && written?.nonce === rival.nonce) || attempt === ATTEMPTS) return rival;
    pause(1 + (record.nonce.charCodeAt(attempt % record.nonce.length) + record.pid) % 13);
  }
}

function claimOf(fs: NodeFs, path: string, lockFd: number, record: LockRecord, previous: LockRecord | undefined): Claim {
  return {
    previous,
    stands: () => readFlag(fs, path)?.nonce === record.nonce,
    release: () => {
      if (readRecord(fs, lockFd)?.nonce === record.nonce) writeRecord(fs, lockFd, undefined);
      removeFlag(fs, path);
    },
  };
}
