// The objects of a backup: written under a name that nobody looks for, read again, and only then given their own.
//
// Invariants:
// - What lies under an object's name has its digest and length, unless the medium has changed it since.
// - An object is durable, its name too, when `settle` has resolved. No record that names it is written before.
import { fail, isManifestError } from "../../errors.ts";
import type { Environment } from "../../store/environment.ts";
import type { FileFacts, Folder, FolderFile } from "../../storage/folder.ts";
import { checkAborted, releaseHasher, takeHasher } from "../files/digest.ts";
import {
  draftName,
  isDraft,
  objectDirectory,
  type ObjectName,
  objectPath,
  OBJECTS,
  objectText,
  recordDraft,
  RECORDS,
  UNFINISHED,
} from "./names.ts";

const PIECE_BYTES = 1 << 18;
/** Unfinished objects are left alone for so long: somebody may be writing them. Milliseconds. */
const UNFINISHED_AGE = 24 * 3_600_000;

/** Where bytes come from, in order; each piece is used before the next is asked for. */
export type Content = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** What is wrong with an object. */
export type ObjectFault = "missing" | "size" | "digest" | "kind" | "read" | "limit";

/** The objects in a backup folder. */
export class Objects {
  readonly #folder: Folder;
  readonly #environment: Environment;
  readonly #signal: AbortSignal | undefined;
  /** Directories that hold names which may not be durable yet: who has made these may have come no further. */
  readonly #unsynced = new Set<string>(["", OBJECTS]);
  readonly #directories = new Set<string>();

  constructor(folder: Folder, environment: Environment, signal: AbortSignal | undefined) {
    this.#folder = folder;
    this.#environment = environment;
    this.#signal = signal;
  }

  /** What is wrong with an object that is to be used again; undefined: nothing, as far as `level` looks. Its name is durable with `settle`: who has stored it may have come no further. */
  async reuse(name: ObjectName, level: "size" | "digest", action: string): Promise<ObjectFault | undefined> {
    const fault = await this.fault(name, level, action);
    if (fault === undefined) this.#unsynced.add(objectDirectory(name));
    return fault;
  }

  /** Stores an object, in place of a file that may lie there. `wrong` is called when the content is not what the name says: it throws. BACKUP_DAMAGED when what was written is not what is read again. */
  async put(name: ObjectName, content: Content, wrong: () => never): Promise<void> {
    const path = objectPath(name);
    await this.#makeDirectory(UNFINISHED);
    await this.#makeDirectory(objectDirectory(name));
    const draft = draftName(this.#environment);
    try {
      await this.#write(draft, name, content, wrong);
      const fault = await this.#faultAt(draft, name, "back up");
      if (fault !== undefined) failObject(name, fault, "back up");
      await this.#folder.rename(draft, path);
      this.#unsynced.add(objectDirectory(name));
    } catch (error) {
      await this.#folder.remove(draft).catch(() => {}); // what went wrong first says more
      throw error;
    }
  }

  async #write(path: string, name: ObjectName, content: Content, wrong: () => never): Promise<void> {
    const hasher = await takeHasher(name.algorithm);
    try {
      const file = await this.#folder.create(path);
      try {
        let at = 0;
        for await (const piece of content) {
          checkAborted(this.#signal, "back up");
          if (at + piece.length > name.sizeBytes) wrong();
          hasher.update(piece);
          await file.write(at, piece);
          at += piece.length;
        }
        if (at !== name.sizeBytes || hasher.digest("hex") !== name.digest) wrong();
        await file.sync();
      } finally {
        await file.close();
      }
    } finally {
      releaseHasher(name.algorithm, hasher);
    }
  }

  /** What is wrong with an object; undefined: nothing. With level "size" its bytes are not read. */
  async fault(
    name: ObjectName,
    level: "size" | "digest",
    action: string,
    onBytes?: (count: number) => void,
  ): Promise<ObjectFault | undefined> {
    const path = objectPath(name);
    let found: FileFacts | undefined;
    try {
      found = await this.#folder.facts(path);
    } catch {
      return "read";
    }
    if (found === undefined) return "missing";
    if (found.kind !== "file") return "kind";
    if (found.sizeBytes !== name.sizeBytes) return "size";
    return level === "size" ? undefined : await this.#faultAt(path, name, action, onBytes);
  }

  async #faultAt(path: string, name: ObjectName, action: string, onBytes?: (count: number) => void): Promise<ObjectFault | undefined> {
    try {
      for await (const piece of this.#pieces(path, name, action)) onBytes?.(piece.length);
      return undefined;
    } catch (error) {
      if (error instanceof Fault) return error.fault;
      if (isManifestError(error) && error.code === "CALLBACK_FAILED") throw error; // the listener's
      checkAborted(this.#signal, action);
      return "read";
    }
  }

  /** The bytes of an object, a piece at a time; each is overwritten by the next. The digest is known to be right only when the last piece has been taken. BACKUP_INCOMPLETE when it is missing, BACKUP_DAMAGED. */
  async *read(name: ObjectName, action: string): AsyncGenerator<Uint8Array> {
    await this.#need(name, action);
    yield* this.#verified(name, action);
  }

  async #need(name: ObjectName, action: string): Promise<void> {
    const fault = await this.fault(name, "size", action);
    if (fault !== undefined) failObject(name, fault, action);
  }

  async *#verified(name: ObjectName, action: string): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#pieces(objectPath(name), name, action);
    } catch (error) {
      if (error instanceof Fault) failObject(name, error.fault, action);
      throw error;
    }
  }

  /** An object as a whole, verified. For pieces of the manifest and lists: BACKUP_DAMAGED for one that is longer than `most`. */
  async load(name: ObjectName, most: number, action: string): Promise<Uint8Array> {
    await this.#need(name, action); // before memory is taken for what a name says
    if (name.sizeBytes > most) failObject(name, "limit", action);
    const bytes = new Uint8Array(name.sizeBytes);
    let at = 0;
    for await (const piece of this.#verified(name, action)) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  async *#pieces(path: string, { algorithm, digest, sizeBytes }: ObjectName, action: string): AsyncGenerator<Uint8Array> {
    const hasher = await takeHasher(algorithm);
    try {
      const file: FolderFile = await this.#folder.open(path);
      try {
        const piece = new Uint8Array(Math.min(PIECE_BYTES, sizeBytes));
        for (let at = 0; at < sizeBytes;) {
          checkAborted(this.#signal, action);
          const count = await file.read(at, piece.subarray(0, Math.min(piece.length, sizeBytes - at)));
          if (count === 0) throw new Fault("size");
          hasher.update(piece.subarray(0, count));
          at += count;
          yield piece.subarray(0, count);
        }
        if ((await file.facts()).sizeBytes !== sizeBytes) throw new Fault("size");
      } finally {
        await file.close();
      }
      if (hasher.digest("hex") !== digest) throw new Fault("digest");
    } finally {
      releaseHasher(algorithm, hasher);
    }
  }

  async #makeDirectory(directory: string): Promise<void> {
    if (this.#directories.has(directory)) return;
    await this.#folder.makeDirectory(directory);
    this.#directories.add(directory);
  }

  /** Makes the names of all objects durable that were stored or used again. */
  async settle(): Promise<void> {
    for (const directory of [...this.#unsynced].sort().reverse()) await this.#folder.syncDirectory(directory);
  }

  /** Removes what earlier backups have left unfinished, long ago. What is younger somebody may be writing now; so what has no time (a folder in memory without a clock) is left. */
  async tidy(): Promise<void> {
    for (const directory of [RECORDS, UNFINISHED] as const) {
      if (await this.#folder.facts(directory) === undefined) continue;
      for (const { name, kind } of await this.#folder.list(directory)) {
        if (!isDraft(directory, name)) continue;
        const path = `${directory}/${name}`;
        const facts = await this.#folder.facts(path);
        if (facts === undefined || facts.modifiedAt <= 0 || this.#environment.now() - facts.modifiedAt <= UNFINISHED_AGE) continue;
        if (kind === "file") await this.#folder.remove(path);
        else if (kind === "directory") await this.#removeDraft(path);
      }
    }
  }

  /** A directory of a record that did not get its name. It gets another one first: whoever made it, and goes on after all, must not give an empty one a number. Another backup may be tidying too. */
  async #removeDraft(draft: string): Promise<void> {
    const path = recordDraft(this.#environment);
    try {
      await this.#folder.rename(draft, path);
      for (const { name, kind } of await this.#folder.list(path)) if (kind === "file") await this.#folder.remove(`${path}/${name}`);
      await this.#folder.removeDirectory(path);
    } catch (error) {
      if (!isManifestError(error) || (error.code !== "NOT_FOUND" && error.code !== "EXISTS")) throw error;
    }
  }
}

class Fault extends Error {
  readonly fault: ObjectFault;
  constructor(fault: ObjectFault) {
    super(fault);
    this.fault = fault;
  }
}

const STATES: Readonly<Record<ObjectFault, string>> = {
  missing: "is missing",
  size: "has another length",
  digest: "has another content",
  kind: "is no file",
  read: "cannot be read",
  limit: "is longer than any such object",
};

function failObject(name: ObjectName, fault: ObjectFault, action: string): never {
  const code = fault === "missing" ? "BACKUP_INCOMPLETE" : "BACKUP_DAMAGED";
  fail(code, `Cannot ${action}: an object of the backup ${STATES[fault]}`, { detail: { file: objectText(name), reason: fault } });
}
