// Verifying backups: every record, every link between them, and every object that they name.
import { isManifestError } from "../../errors.ts";
import type { Environment } from "../../store/environment.ts";
import type { Folder } from "../../storage/folder.ts";
import { runAll } from "../files/pool.ts";
import { RowReader } from "../../inspect/row_reader.ts";
import { checkLink, type Link, readRecord, recordNames } from "./chain.ts";
import { decodeFiles, FilesTotal, LIST_START, type ListPlace, walkList } from "./file_list.ts";
import { LIST_MOST, PIECE_MOST } from "./limits.ts";
import { type ObjectName, objectPath, OBJECTS, objectText, parseObject, recordPath, RECORDS } from "./names.ts";
import { Needs } from "./needs.ts";
import { type ObjectFault, Objects } from "./objects.ts";
import { type OnProgress, Tally } from "./progress.ts";
import type { BackupRecord, FilesPart } from "./record.ts";
import { checkHead, checkListed, ManifestCheck, type PieceFacts, pieceFacts } from "./rows_check.ts";

const ACTION = "verify backups";

/** Something that is wrong. */
export interface BackupProblem {
  /** The file, from the backup folder. */
  readonly file: string;
  /** What is wrong with it: `missing`, `size`, `digest`, `kind` (no file), `read` (the platform fails), `limit` (a piece or a list longer than any is); of a record also `chain` and `record`; of a record, a piece or a list `content`, when what is there whole makes no sense; `name` for a file whose name no backup has; `unrecorded` of the directory of records when it is empty and there are objects. */
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

interface Walked {
  readonly from: string;
  readonly end: ListPlace;
  readonly total: FilesTotal;
}

/** Verifies. */
export class Verification {
  /** What backups need. */
  readonly needs: Needs = new Needs();
  readonly #of: Verifying;
  readonly #objects: Objects;
  readonly #reader = new RowReader();
  readonly #problems: BackupProblem[] = [];
  /** Backups that parts which make no sense are told with. */
  readonly #senseless = new Map<string, { readonly message: string; readonly backups: Set<number> }>();
  #recordless = false;
  /** What is wrong with the objects that were read as a whole. */
  readonly #known = new Map<string, ObjectFault | undefined>();
  /** What came of a list, from where it was begun last. */
  readonly #walked = new Map<string, Walked>();
  readonly #pieces = new Map<string, PieceFacts>();

  constructor(of: Verifying) {
    this.#of = of;
    this.#objects = new Objects(of.folder, of.environment, of.signal);
  }

  async run(): Promise<BackupVerifyReport> {
    const { level, number } = this.#of;
    const backups = await this.#records();
    for (const [file, { message, backups }] of this.#senseless) this.#problem(file, "content", message, backups);
    await this.#objectsNamed();
    const unused = await this.#strangers(number === undefined);
    if (unused > 0 && this.#recordless) {
      this.#problem(RECORDS, "unrecorded", "there are objects and no record: the first backup did not end, or its record is gone", []);
    }
    const problems = this.#problems.sort((a, b) => a.file < b.file ? -1 : a.file > b.file ? 1 : 0);
    return { ok: problems.length === 0, level, backups, objects: this.needs.size, bytes: this.#bytes(), problems, unused };
  }

  #bytes(): number {
    let sum = 0;
    for (const { sizeBytes } of this.needs.objects()) sum += sizeBytes;
    return sum;
  }

  #problem(file: string, reason: BackupProblem["reason"], message: string, backups: Iterable<number>): void {
    this.#problems.push({ file, reason, message, backups: [...new Set(backups)].sort((a, b) => a - b) });
  }

  // ---- records --------------------------------------------------------------------------------------------------

  /** Goes through the records, and what each of them names, and counts those that can be read; breaks of the chain are told. A record is held no longer than the next one. */
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
      let link: Link;
      try {
        link = { name, record: await readRecord(folder, name) };
        // Behind a record that cannot be read the chain goes on: that it is broken was told.
        if (!broken) checkLink(before, link);
        before = link;
        broken = false;
      } catch (error) {
        if (!isManifestError(error)) throw error;
        const chain = error.code === "BACKUP_MISMATCH" ||
          (error.code === "BACKUP_INCOMPLETE" && (error.detail as { file?: string }).file === file);
        // A restore goes by the whole chain: nothing from here on can be.
        const behind = asked.filter(({ number }) => number >= name.number).map(({ number }) => number);
        this.#problem(file, chain ? "chain" : "record", error.message, behind);
        broken = true;
        continue;
      }
      if (last !== undefined && name.number !== last) continue;
      count++;
      await this.#backup(link);
    }
    return count;
  }

  /** Whether what a record names comes to what it says. */
  async #backup({ name, record }: Link): Promise<void> {
    const { number } = name;
    for (const piece of record.manifest.pieces) this.needs.piece(piece, number);
    for (const { lists } of record.fileSets) for (const list of lists) this.needs.list(list, number);
    const makesSense = async (check: () => void | Promise<void>): Promise<void> => {
      try {
        await check();
      } catch (error) {
        if (!isManifestError(error) || error.code !== "BACKUP_DAMAGED") throw error;
        this.#problem(recordPath(name), "content", error.message, [number]);
      }
    };
    await makesSense(() => checkHead(record));
    const listed = new Map<string, FilesTotal>();
    for (const part of record.fileSets) {
      const total = await this.#lists(part, number);
      if (total === undefined) continue; // told with the list
      listed.set(part.catalog, total);
      await makesSense(() => checkListed(part, total));
    }
    if (this.#of.level === "digest") await makesSense(() => this.#manifest(record, listed));
  }

  /** Does something with a list or a piece; undefined when it makes no sense, which is told with the backup. */
  async #part<T>(name: ObjectName, backup: number, work: () => Promise<T>): Promise<T | undefined> {
    const file = objectPath(name);
    const known = this.#senseless.get(file);
    if (known !== undefined) {
      known.backups.add(backup);
      return undefined;
    }
    try {
      return await work();
    } catch (error) {
      if (!isManifestError(error) || (error.code !== "BACKUP_DAMAGED" && error.code !== "NAME_INVALID")) throw error;
      this.#senseless.set(file, { message: error.message, backups: new Set([backup]) });
      return undefined;
    }
  }

  /** What came of the lists of a file set; undefined when one of them cannot be read, or makes no sense: the others say what they name all the same. */
  async #lists({ lists }: FilesPart, backup: number): Promise<FilesTotal | undefined> {
    const total = new FilesTotal();
    let place = LIST_START, whole = true;
    for (const name of lists) {
      const walked = await this.#list(name, place, backup);
      place = walked?.end ?? LIST_START;
      if (walked === undefined) whole = false;
      else total.join(walked.total);
    }
    return whole ? total : undefined;
  }

  async #list(name: ObjectName, place: ListPlace, backup: number): Promise<Walked | undefined> {
    const text = objectText(name);
    const from = JSON.stringify(place);
    const known = this.#walked.get(text);
    if (known?.from === from) return known;
    const bytes = await this.#loaded(name, LIST_MOST);
    if (bytes === undefined) return undefined; // told with the list
    const walked = await this.#part(name, backup, async () => {
      const listed = decodeFiles(bytes, text);
      for (const { object } of listed) this.needs.file(object);
      return { from, ...await walkList(listed, place) };
    });
    if (walked !== undefined) this.#walked.set(text, walked);
    return walked;
  }

  async #manifest(record: BackupRecord, listed: ReadonlyMap<string, FilesTotal>): Promise<void> {
    const check = new ManifestCheck();
    for (const name of record.manifest.pieces) {
      const text = objectText(name);
      const known = this.#pieces.get(text);
      if (known !== undefined && check.add(known, true)) continue;
      const bytes = await this.#loaded(name, PIECE_MOST);
      if (bytes === undefined) return; // told with the piece, and so is what makes no sense
      const facts = await this.#part(name, record.number, () => pieceFacts(bytes, text, check.tables, this.#reader));
      if (facts === undefined) return;
      this.#pieces.set(text, facts);
      check.add(facts);
    }
    check.end(record, listed);
  }

  /** A piece or a list; undefined when something is wrong with it, which is told with the objects. */
  async #loaded(name: ObjectName, most: number): Promise<Uint8Array | undefined> {
    const text = objectText(name);
    if (this.#known.get(text) !== undefined) return undefined;
    try {
      const bytes = await this.#objects.load(name, most, ACTION);
      this.#known.set(text, undefined);
      return bytes;
    } catch (error) {
      if (!isManifestError(error) || error.code === "ABORTED") throw error;
      const told = error.code === "BACKUP_DAMAGED" || error.code === "BACKUP_INCOMPLETE";
      this.#known.set(text, told ? error.detail.reason as ObjectFault : "read");
      return undefined;
    }
  }

  // ---- objects --------------------------------------------------------------------------------------------------

  async #objectsNamed(): Promise<void> {
    const { level, parallel, signal, onProgress } = this.#of;
    const tally = new Tally(ACTION, "objects", this.needs.size, level === "digest" ? this.#bytes() : 0, onProgress);
    const faults = new Map<string, { readonly name: ObjectName; readonly fault: ObjectFault; readonly backups: Set<number> }>();
    await runAll(this.needs.objects(), { action: ACTION, parallel, signal }, async (name) => {
      const text = objectText(name);
      const known = this.#known.has(text);
      const fault = known ? this.#known.get(text) : await this.#fault(name, (count) => tally.add(0, count));
      tally.add(1, known && level === "digest" ? name.sizeBytes : 0);
      if (fault !== undefined) faults.set(text, { name, fault, backups: new Set(this.needs.of(text)) });
    });
    if (faults.size > 0) {
      for (const [list, backups] of this.needs.lists()) {
        // One that makes no sense has told what it names all the same, where that can be read.
        const named = await this.#namedBy(list);
        for (const text of named) for (const backup of faults.has(text) ? backups : []) faults.get(text)!.backups.add(backup);
      }
    }
    for (const { name, fault, backups } of faults.values()) this.#problem(objectPath(name), fault, MESSAGES[fault], backups);
  }

  async #fault(name: ObjectName, onBytes: (count: number) => void): Promise<ObjectFault | undefined> {
    const fault = await this.#objects.fault(name, this.#of.level, ACTION, onBytes);
    const piece = fault === undefined && name.sizeBytes > PIECE_MOST && !this.needs.of(objectText(name)).next().done;
    return piece ? "limit" : fault;
  }

  async #namedBy(list: ObjectName): Promise<string[]> {
    const bytes = await this.#loaded(list, LIST_MOST);
    if (bytes === undefined) return [];
    try {
      return decodeFiles(bytes, objectText(list)).map(({ object }) => objectText(object));
    } catch (error) {
      if (!isManifestError(error)) throw error;
      return []; // told
    }
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
          if (parsed === undefined || !this.needs.has(name)) {
            this.#problem(`${path}/${name}`, "name", "no backup writes a file of this name", []);
          }
        } else if (all && !this.needs.has(name)) unused++;
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
  limit: "the object is longer than any piece or list of a backup",
};
