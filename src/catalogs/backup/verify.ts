// Verifying backups: every record, every link between them, and every object that they name.
import { isManifestError } from "../../errors.ts";
import type { Environment } from "../../store/environment.ts";
import type { Folder } from "../../storage/folder.ts";
import { runAll } from "../files/pool.ts";
import { checkLink, type Link, readRecord, recordNames } from "./chain.ts";
import { decodeFiles } from "./file_list.ts";
import { type ObjectName, objectPath, OBJECTS, objectText, parseObject, recordPath, RECORDS } from "./names.ts";
import { type ObjectFault, Objects } from "./objects.ts";
import { type OnProgress, Tally } from "./progress.ts";
import { decodedRows } from "./rows.ts";

const ACTION = "verify backups";

/** Something that is wrong. */
export interface BackupProblem {
  /** The file, from the backup folder. */
  readonly file: string;
  /** What is wrong with it: `missing`, `size`, `digest`, `kind` (no file), `read` (the platform fails); of a record also `chain` and `record`; of a piece or a list `content`; `name` for a file whose name no backup has; `unrecorded` of the directory of records when it is empty and there are objects. */
  readonly reason: ObjectFault | "chain" | "record" | "content" | "name" | "unrecorded";
  /** For people. */
  readonly message: string;
  /** Numbers of backups that cannot be restored because of it, ascending. */
  readonly backups: readonly number[];
}

/** What a verification has found. */
export interface BackupVerifyReport {
  /** Whether nothing is wrong. */
  readonly ok: boolean;
  /** How it was looked. */
  readonly level: "size" | "digest";
  /** Backups that were looked at. */
  readonly backups: number;
  /** Objects that they name, each once. */
  readonly objects: number;
  /** Bytes of them. */
  readonly bytes: number;
  /** What is wrong, in the order of the files' names. */
  readonly problems: readonly BackupProblem[];
  /** Objects in the folder that no record names: what an interrupted backup leaves, and the next one uses. */
  readonly unused: number;
}

/** What to verify, and how. */
export interface Verifying {
  readonly folder: Folder;
  readonly level: "size" | "digest";
  /** Only this backup, with the records before it. */
  readonly number: number | undefined;
  readonly parallel: number;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal | undefined;
  readonly environment: Environment;
}

interface Named {
  readonly name: ObjectName;
  readonly backups: Set<number>;
}

/** Verifies. */
export class Verification {
  readonly #of: Verifying;
  readonly #objects: Objects;
  readonly #problems: BackupProblem[] = [];
  readonly #named = new Map<string, Named>();
  /** Of these, the lists and pieces that records name. */
  readonly #lists: ObjectName[] = [];
  readonly #pieces: ObjectName[] = [];
  #recordless = false;
  /** What is wrong with the objects that were read as a whole. */
  readonly #known = new Map<string, ObjectFault | undefined>();

  constructor(of: Verifying) {
    this.#of = of;
    this.#objects = new Objects(of.folder, of.environment, of.signal);
  }

  async run(): Promise<BackupVerifyReport> {
    const { level, number } = this.#of;
    const backups = await this.#records();
    // Lists say which files there are: they are read, whatever the level.
    for (const list of this.#lists) await this.#list(list);
    if (level === "digest") { for (const piece of this.#pieces) await this.#rows(piece); }
    await this.#objectsNamed();
    const unused = await this.#strangers(number === undefined);
    if (unused > 0 && this.#recordless) {
      this.#problem(RECORDS, "unrecorded", "there are objects and no record: the first backup did not end, or its record is gone", []);
    }
    const named = [...this.#named.values()];
    const problems = this.#problems.sort((a, b) => a.file < b.file ? -1 : a.file > b.file ? 1 : 0);
    const bytes = named.reduce((sum, { name }) => sum + name.sizeBytes, 0);
    return { ok: problems.length === 0, level, backups, objects: named.length, bytes, problems, unused };
  }

  /** Notes who needs an object; true when nobody did before. */
  #name(name: ObjectName, backups: Iterable<number>): boolean {
    const text = objectText(name);
    const named = this.#named.get(text);
    if (named === undefined) this.#named.set(text, { name, backups: new Set(backups) });
    else for (const backup of backups) named.backups.add(backup);
    return named === undefined;
  }

  /** Notes what records name that can be read, and counts them; the others, and breaks of the chain, are told. A record is held no longer than the next one. */
  async #records(): Promise<number> {
    const { folder, number: last } = this.#of;
    const { names, others } = await recordNames(folder);
    this.#recordless = last === undefined && names.length === 0;
    for (const name of others) this.#problem(`${RECORDS}/${name}`, "name", "no backup writes a file of this name", []);
    let before: Link | undefined, broken = false, count = 0;
    const asked = names.filter(({ number }) => last === undefined || number <= last);
    if (last !== undefined && asked.at(-1)?.number !== last) {
      this.#problem(`${RECORDS}/${last}`, "missing", `there is no backup ${last}`, [last]);
    }
    for (const name of asked) {
      const file = recordPath(name);
      try {
        const link = { name, record: await readRecord(folder, name) };
        // Behind a record that cannot be read the chain goes on: that it is broken was told.
        if (!broken) checkLink(before, link);
        before = link;
        broken = false;
        if (last !== undefined && name.number !== last) continue;
        count++;
        const { manifest, fileSets } = link.record;
        for (const piece of manifest.pieces) if (this.#name(piece, [name.number])) this.#pieces.push(piece);
        for (const { lists } of fileSets) {
          for (const list of lists) if (this.#name(list, [name.number])) this.#lists.push(list);
        }
      } catch (error) {
        if (!isManifestError(error)) throw error;
        const chain = error.code === "BACKUP_MISMATCH" ||
          (error.code === "BACKUP_INCOMPLETE" && (error.detail as { file?: string }).file === file);
        // A restore goes by the whole chain: nothing from here on can be.
        const behind = asked.filter(({ number }) => number >= name.number).map(({ number }) => number);
        this.#problem(file, chain ? "chain" : "record", error.message, new Set(behind));
        broken = true;
      }
    }
    return count;
  }

  #problem(file: string, reason: BackupProblem["reason"], message: string, backups: Iterable<number>): void {
    this.#problems.push({ file, reason, message, backups: [...backups].sort((a, b) => a - b) });
  }

  async #list(name: ObjectName): Promise<void> {
    const piece = await this.#loaded(name);
    if (piece === undefined) return;
    const { backups } = this.#named.get(objectText(name))!;
    try {
      for (const { object } of decodeFiles(piece, objectText(name))) this.#name(object, backups);
    } catch (error) {
      if (!isManifestError(error)) throw error;
      this.#problem(objectPath(name), "content", error.message, backups);
    }
  }

  async #rows(name: ObjectName): Promise<void> {
    const piece = await this.#loaded(name);
    if (piece === undefined) return;
    try {
      for (const _ of decodedRows(piece, objectText(name)));
    } catch (error) {
      if (!isManifestError(error)) throw error;
      this.#problem(objectPath(name), "content", error.message, this.#named.get(objectText(name))!.backups);
    }
  }

  /** A piece or a list; undefined when something is wrong with it, which is told with the objects. */
  async #loaded(name: ObjectName): Promise<Uint8Array | undefined> {
    const text = objectText(name);
    if (this.#known.get(text) !== undefined) return undefined;
    try {
      const bytes = await this.#objects.load(name, ACTION);
      this.#known.set(text, undefined);
      return bytes;
    } catch (error) {
      if (!isManifestError(error) || error.code === "ABORTED") throw error;
      const told = error.code === "BACKUP_DAMAGED" || error.code === "BACKUP_INCOMPLETE";
      this.#known.set(text, told ? error.detail.reason as ObjectFault : "read");
      return undefined;
    }
  }

  async #objectsNamed(): Promise<void> {
    const { level, parallel, signal, onProgress } = this.#of;
    const named = [...this.#named.values()];
    const bytes = level === "digest" ? named.reduce((sum, { name }) => sum + name.sizeBytes, 0) : 0;
    const tally = new Tally(ACTION, "objects", named.length, bytes, onProgress);
    await runAll(named, { action: ACTION, parallel, signal }, async ({ name, backups }) => {
      const text = objectText(name);
      const known = this.#known.has(text);
      const fault = known ? this.#known.get(text) : await this.#objects.fault(name, level, ACTION, (count) => tally.add(0, count));
      tally.add(1, known && level === "digest" ? name.sizeBytes : 0);
      if (fault !== undefined) this.#problem(objectPath(name), fault, MESSAGES[fault], backups);
    });
  }

  /** Counts objects that nothing names, and tells what has no business there. */
  async #strangers(all: boolean): Promise<number> {
    const { folder } = this.#of;
    let unused = 0;
    for (const { name: directory, kind } of await folder.list(OBJECTS)) {
      const path = `${OBJECTS}/${directory}`;
      if (directory === "new" && kind === "directory") continue;
      if (kind !== "directory" || !/^[0-9a-f]{2}$/.test(directory)) {
        this.#problem(path, "name", "no backup makes this", []);
        continue;
      }
      for (const { name, kind } of await folder.list(path)) {
        const parsed = parseObject(name);
        if (parsed === undefined || kind !== "file" || objectPath(parsed) !== `${path}/${name}`) {
          if (parsed === undefined || !this.#named.has(name)) {
            this.#problem(`${path}/${name}`, "name", "no backup writes a file of this name", []);
          }
        } else if (all && !this.#named.has(name)) unused++;
      }
    }
    return unused;
  }
}

const MESSAGES: Readonly<Record<ObjectFault, string>> = {
  missing: "the object is missing",
  size: "the object has another length than its name says",
  digest: "the object has another content than its name says",
  kind: "something that is no file lies in the place of the object",
  read: "the platform fails to read the object",
};
