// An open file of a folder, over the asynchronous positional calls of `node:fs`.
//
// Invariants: calls that the system cuts short or interrupts are continued; one that makes no progress twice is an error. The descriptor is closed when nothing is in flight on it, and never used behind that.
import { baseName, ManifestError } from "../errors.ts";
import { type FolderAction, folderError, isInterrupted } from "./errno.ts";
import type { EntryKind, FileFacts, FolderFile } from "./folder.ts";
import { checkRange, failClosed, failReadOnly } from "./guard.ts";
import type { FolderStat, NodeCallback, NodeFolderFs } from "./platform.ts";

const PART = 1 << 30;
const INTERRUPTS = 1000;

/** Makes a call again when it is interrupted. */
export function makeCall<T>(call: () => T): T {
  for (let interrupts = 0;; interrupts++) {
    try {
      return call();
    } catch (error) {
      if (!isInterrupted(error) || interrupts === INTERRUPTS) throw error;
    }
  }
}

/** As {@linkcode makeCall} for a call with a callback. */
export async function awaitCall<T = void>(call: (done: NodeCallback<T>) => void): Promise<T> {
  for (let interrupts = 0;; interrupts++) {
    try {
      return await new Promise<T>((resolve, reject) => call((error, result) => error ? reject(error) : resolve(result)));
    } catch (error) {
      if (!isInterrupted(error) || interrupts === INTERRUPTS) throw error;
    }
  }
}

/** What a stat, or a name found in a directory, is. */
export function kindOf(found: { isFile(): boolean; isDirectory(): boolean; isSymbolicLink(): boolean }): EntryKind {
  return found.isFile() ? "file" : found.isDirectory() ? "directory" : found.isSymbolicLink() ? "link" : "other";
}

/** A stat as facts. */
export function factsOf(stat: FolderStat): FileFacts {
  const { mtimeNs, ctimeNs, birthtimeNs } = stat;
  const times = [mtimeNs, ctimeNs, birthtimeNs].map((time) => Number(time ?? 0n) / 1e6);
  return {
    kind: kindOf(stat),
    sizeBytes: Number(stat.size),
    modifiedAt: times[0]!,
    changedAt: Math.max(...times),
    identity: `${stat.dev}:${stat.ino}`,
  };
}

/** A file of a folder that is open. */
export class OpenFile implements FolderFile {
  #fs: NodeFolderFs;
  #fd: number;
  #path: string;
  #name: string;
  #readOnly: boolean;
  #under = 0;
  #closed = false;
  #idle: (() => void) | undefined;

  /** Takes over an open descriptor of a regular file. */
  constructor(fs: NodeFolderFs, fd: number, path: string, readOnly: boolean) {
    this.#fs = fs;
    this.#fd = fd;
    this.#path = path;
    this.#name = baseName(path);
    this.#readOnly = readOnly;
  }

  facts(): Promise<FileFacts> {
    // deno-lint-ignore require-await
    return this.#call("measure", async () => factsOf(this.#stat()));
  }

  async read(at: number, into: Uint8Array): Promise<number> {
    checkRange("read", at, into.length);
    return await this.#call("read", async () => {
      let done = 0;
      for (let stalls = 0; done < into.length;) {
        const length = Math.min(into.length - done, PART);
        const got = await awaitCall<number>((end) => this.#fs.read(this.#fd, into, done, length, at + done, end));
        done += got;
        if (got > 0) stalls = 0;
        else if (at + done >= Number(this.#stat().size)) break;
        else if (++stalls === 2) throw this.#stalled("IO_READ", "read", at + done, length);
      }
      return done;
    });
  }

  async write(at: number, from: Uint8Array): Promise<void> {
    checkRange("write", at, from.length);
    await this.#call("write", async () => {
      if (this.#readOnly) failReadOnly("write", this.#name);
      for (let done = 0, stalls = 0; done < from.length;) {
        const length = Math.min(from.length - done, PART);
        const put = await awaitCall<number>((end) => this.#fs.write(this.#fd, from, done, length, at + done, end));
        done += put;
        if (put > 0) stalls = 0;
        else if (++stalls === 2) throw this.#stalled("IO_WRITE", "write", at + done, length);
      }
    });
  }

  async sync(): Promise<void> {
    await this.#call("sync", () => awaitCall((done) => this.#fs.fdatasync(this.#fd, done)));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#under > 0) await new Promise<void>((resolve) => this.#idle = resolve);
    try {
      this.#fs.closeSync(this.#fd);
    } catch (error) {
      if (!isInterrupted(error)) throw folderError("close", this.#path, error);
    }
  }

  async #call<T>(action: FolderAction, call: () => Promise<T>): Promise<T> {
    if (this.#closed) failClosed(action, this.#name);
    this.#under++;
    try {
      return await call();
    } catch (error) {
      throw folderError(action, this.#path, error);
    } finally {
      if (--this.#under === 0) this.#idle?.();
    }
  }

  #stat(): FolderStat {
    return makeCall(() => this.#fs.fstatSync(this.#fd, { bigint: true }));
  }

  #stalled(code: "IO_READ" | "IO_WRITE", action: string, offset: number, length: number): ManifestError {
    return new ManifestError(code, `Cannot ${action} "${this.#name}": the system makes no progress`, {
      detail: { file: this.#path, offset, length },
    });
  }
}
