// Reclaiming stored objects that nobody needs, in three steps that may each be the last before a crash.
//
//   1. condemn   one commit marks objects, and is durable: from then on nobody can list them, so nothing that is live can be deleted
//   2. delete    the caller's function, once or more often for each object
//   3. remove    one commit takes the rows of those that are gone, with the catalog rows that still name them
//
// What is condemned and not removed is found by the next call and done first: nothing that is dead is forgotten. Calls that run at once take different objects, so that none waits for
// another: `deleteObject` may call `reclaim` itself.
import { checkSignal, type OptionNames, takeOptions } from "../../arguments.ts";
import { fail, failRange, failType, isManifestError, ManifestError } from "../../errors.ts";
import type { CommitRequest, Staged } from "../../store/store.ts";
import type { ManifestCore } from "../core.ts";
import { tagOf } from "../write/operation.ts";
import { Range, type RangeOptions } from "../read/range.ts";
import type { Staging } from "../write/staging.ts";
import { type ChunkDelta, chunkDeltas } from "../tables/chunk_deltas.ts";
import { type Chunk, chunks } from "../tables/chunks.ts";
import { type Database, databases } from "../tables/databases.ts";
import { collectable, objectKey, objectOf, type StoredObject } from "../tables/refcounts.ts";

/** Deletes a stored object. May be called again for one that is gone already, which is no error. */
export type DeleteObject = (object: StoredObject) => void | Promise<void>;

/** How to reclaim. */
export interface ReclaimOptions {
  /** Only objects that may be collected since before this time, milliseconds since 1970: whoever still reads a dropped snapshot has until then. Default: all. */
  before?: number;
  /** Also objects that no snapshot ever listed, put before this time, when no chunk or delta names them any more. Default: none. */
  unnamedBefore?: number;
  /** How many objects are deleted at once. Default 8. */
  parallel?: number;
  /** Begins no further deletion once it is aborted: ABORTED. */
  signal?: AbortSignal;
}

/** What a reclaim has done. */
export interface ReclaimReport {
  /** Objects deleted. */
  readonly deleted: number;
  /** Objects that may still be collected. */
  readonly remaining: number;
}

const PARALLEL = 8;
/** Objects that are condemned by one commit, and whose rows go in another. */
const STEP = 1024;
/** Catalog rows looked up in one turn. */
const LOOKUPS = 50_000;
const FAILED_SHOWN = 32;

type State = "unnamed" | "collectable" | "condemned";

/** Marks objects. */
class Condemn implements CommitRequest {
  readonly change = false;
  readonly objects: StoredObject[] = [];
  readonly #core: ManifestCore;
  readonly #limit: number;
  readonly #options: ReclaimOptions;
  readonly #taken: Set<string>;

  /** `taken`: objects that calls under way have in hand; those that this one takes are added. */
  constructor(core: ManifestCore, limit: number, options: ReclaimOptions, taken: Set<string>) {
    this.#core = core;
    this.#limit = limit;
    this.#options = options;
    this.#taken = taken;
  }

  stage(): Staged {
    const { staging } = this.#core;
    const { before, unnamedBefore } = this.#options;
    staging.begin(true);
    for (const object of listed(staging, "condemned", undefined)) if (!this.#take(object)) break;
    for (const object of listed(staging, "collectable", before)) if (!this.#take(object)) break;
    if (unnamedBefore !== undefined) {
      const sharing = sharingDatabases(staging);
      for (const object of listed(staging, "unnamed", unnamedBefore)) {
        if (namedBy(staging, object, sharing).next().done && !this.#take(object)) break;
      }
    }
    for (const object of this.objects) staging.refcounts.condemn(object);
    staging.settle();
    return staging.finish(undefined);
  }

  /** Takes an object unless another call has it; false when the limit is reached. */
  #take(object: StoredObject): boolean {
    if (this.objects.length === this.#limit) return false;
    const name = nameOf(object);
    if (this.#taken.has(name)) return true;
    this.#taken.add(name);
    this.objects.push(object);
    return true;
  }
}

/** Takes the rows of objects that are gone. */
class Remove implements CommitRequest {
  /** Whether a catalog row goes too: that is a change. Known when it is staged. */
  change = false;
  readonly #core: ManifestCore;
  readonly #objects: readonly StoredObject[];

  constructor(core: ManifestCore, objects: readonly StoredObject[]) {
    this.#core = core;
    this.#objects = objects;
  }

  stage(): Staged {
    const { staging } = this.#core;
    staging.begin(true);
    const sharing = sharingDatabases(staging);
    for (const object of this.#objects) {
      if (staging.refcounts.state(object) !== "condemned") continue; // removed already
      staging.refcounts.remove(object);
      for (const [table, key] of namedBy(staging, object, sharing)) {
        this.change = true;
        staging.delete(staging.bind(table), key, tagOf(table === chunks ? "deleteChunk" : "deleteChunkDelta"), false);
      }
    }
    staging.settle();
    if (this.change) this.#core.log.maintain(staging);
    return staging.finish(undefined);
  }
}

function nameOf(object: StoredObject): string {
  return objectKey(object).join("/");
}

/** Objects in a state, by the time they got there. */
function* listed(staging: Staging, state: State, before: number | undefined): Iterable<StoredObject> {
  const source = { reader: staging.reader(collectable), release: () => {} };
  const bounds: RangeOptions<readonly unknown[]> = { prefix: [state] as never };
  if (before !== undefined) bounds.lt = [state, before] as never;
  type Key = [State, number, number, number, number, number];
  for (const [, , originDb, chunk, generation, delta] of new Range<Key>(() => source, bounds, "keys")) {
    yield objectOf(originDb, chunk, generation, delta);
  }
}

/** Databases with rows that name objects of others. */
function sharingDatabases(staging: Staging): number[] {
  const source = { reader: staging.reader(databases), release: () => {} };
  const out: number[] = [];
  for (const [[db], { foreign }] of new Range<[[number], Database]>(() => source, {}, "entries")) if (foreign) out.push(db);
  return out;
}

/** Catalog rows that name an object now. */
function* namedBy(
  staging: Staging,
  object: StoredObject,
  sharing: readonly number[],
): Generator<[table: typeof chunks | typeof chunkDeltas, key: readonly number[]], void> {
  const { originDb, chunkId, generation, deltaId } = object;
  for (const db of new Set([originDb, ...sharing])) {
    if (deltaId === undefined) {
      const row = staging.reader(chunks).get([db, chunkId]) as Chunk | undefined;
      if (row?.generation === generation && (row.originDb ?? db) === originDb) yield [chunks, [db, chunkId]];
    } else {
      const key = [db, chunkId, generation, deltaId];
      const row = staging.reader(chunkDeltas).get(key) as ChunkDelta | undefined;
      if (row !== undefined && (row.originDb ?? db) === originDb) yield [chunkDeltas, key];
    }
  }
}

function checkTime(field: "before" | "unnamedBefore", value: number | undefined): void {
  if (value === undefined) return;
  if (typeof value !== "number") failType(`Cannot reclaim: ${field} is not a number`, { field });
  if (!Number.isSafeInteger(value) || value < 0) failRange(`Cannot reclaim: ${field} is not a whole number from 0 on`, { field, value });
}

const NAMES: OptionNames<ReclaimOptions> = { before: true, unnamedBefore: true, parallel: true, signal: true };

/** How many stored objects may be collected, in the newest durable state. */
export function collectableCount(core: ManifestCore): number {
  const scan = core.publishedReader(collectable).scan({ prefix: ["collectable"] as never }, true)!;
  try {
    return scan.count();
  } finally {
    scan.close();
  }
}

interface Failure {
  readonly object: StoredObject;
  readonly error: unknown;
}

/** Reclaims the stored objects of one manifest. */
export class Reclaimer {
  readonly #core: ManifestCore;
  /** Objects that calls under way have condemned and not finished. */
  readonly #taken = new Set<string>();

  constructor(core: ManifestCore) {
    this.#core = core;
  }

  /** Condemns up to `limit` objects, deletes them, and takes their rows. */
  reclaim(limit: number, deleteObject: DeleteObject, options: ReclaimOptions = {}): Promise<ReclaimReport> {
    if (typeof limit !== "number") failType("Cannot reclaim: limit is not a number", { field: "limit" });
    if (!Number.isSafeInteger(limit) || limit < 0) {
      failRange("Cannot reclaim: limit is not a whole number from 0 on", { field: "limit", value: limit });
    }
    if (typeof deleteObject !== "function") failType("Cannot reclaim: deleteObject is not a function", { field: "deleteObject" });
    const { before, unnamedBefore, parallel = PARALLEL, signal } = takeOptions(options, NAMES, "reclaim");
    checkTime("before", before);
    checkTime("unnamedBefore", unnamedBefore);
    if (typeof parallel !== "number") failType("Cannot reclaim: parallel is not a number", { field: "parallel" });
    if (!Number.isInteger(parallel) || parallel < 1) {
      failRange("Cannot reclaim: parallel is not a whole number from 1 on", { field: "parallel", value: parallel });
    }
    checkSignal(signal, "reclaim");
    return this.#reclaim(limit, deleteObject, { before, unnamedBefore, parallel, signal });
  }

  async #reclaim(limit: number, deleteObject: DeleteObject, options: ReclaimOptions): Promise<ReclaimReport> {
    const { store } = this.#core;
    const { signal } = options;
    if (signal?.aborted) fail("ABORTED", "Cannot reclaim: the signal is aborted", { cause: signal.reason });
    const failed: Failure[] = [];
    let tried = 0, deleted = 0;
    let interrupted = false;
    // Those that have failed stay taken to the end: each is tried once.
    const taken: StoredObject[] = [];
    try {
      for (let more = true; more;) {
        const most = Math.min(STEP, limit - tried);
        const objects = await this.#condemn(most, options, taken);
        tried += objects.length;
        const done = await this.#deleteAll(objects, deleteObject, options, failed);
        const together = this.#removable();
        for (let from = 0; from < done.length; from += together) {
          const part = done.slice(from, from + together);
          await store.commit(new Remove(this.#core, part));
          deleted += part.length;
        }
        // Where nothing can be deleted at all, no more is condemned.
        more = objects.length === most && tried < limit && done.length > 0;
        if (signal?.aborted) {
          interrupted = more || deleted + failed.length < tried;
          more = false;
        }
      }
    } catch (error) {
      if (deleted === 0 || !(error instanceof ManifestError) || error.outcome !== "not_applied") throw error;
      // The steps before this one are done.
      const { code, message, cause, handle, retryable } = error;
      throw new ManifestError(code, message, { cause, handle, retryable, detail: { ...error.detail, deleted }, outcome: "applied" });
    } finally {
      for (const object of taken) this.#taken.delete(nameOf(object));
    }
    const outcome = deleted > 0 ? "applied" : "not_applied";
    const detail = { deleted, failed: failed.length, objects: failed.slice(0, FAILED_SHOWN).map(({ object }) => object) };
    if (failed.length > 0) {
      const { error } = failed[0]!;
      throw new ManifestError(
        "CALLBACK_FAILED",
        `Cannot reclaim ${failed.length} of ${tried} objects: deleteObject failed; they stay condemned, and the next reclaim tries again`,
        { cause: error, outcome, retryable: true, detail: isManifestError(error) ? { ...detail, code: error.code } : detail },
      );
    }
    if (interrupted) {
      fail("ABORTED", "Cannot reclaim: it was aborted; what is condemned waits for the next reclaim", {
        cause: signal!.reason,
        outcome,
        detail,
      });
    }
    // Closed, or no longer the writer, before anything could be deleted: the reason.
    if (!this.#writable) await store.sync();
    return { deleted, remaining: collectableCount(this.#core) };
  }

  /** Condemns objects that no other call has; they are added to `taken`. Resolves when that is durable, whatever the durability mode. */
  async #condemn(most: number, options: ReclaimOptions, taken: StoredObject[]): Promise<readonly StoredObject[]> {
    const { store } = this.#core;
    store.assertWritable("reclaim");
    if (this.#idle(options)) return [];
    const condemn = new Condemn(this.#core, most, options, this.#taken);
    try {
      const { frame } = await store.commit(condemn);
      if (condemn.objects.length > 0 && frame > store.durableFrame) await store.sync();
    } finally {
      for (const object of condemn.objects) taken.push(object);
    }
    return condemn.objects;
  }

  /** Whether there is nothing to condemn and nothing condemned: such a call commits nothing. */
  #idle({ unnamedBefore }: ReclaimOptions): boolean {
    const { staging } = this.#core;
    for (const _ of listed(staging, "condemned", undefined)) return false;
    for (const _ of listed(staging, "collectable", undefined)) return false;
    if (unnamedBefore !== undefined) { for (const _ of listed(staging, "unnamed", unnamedBefore)) return false; }
    return true;
  }

  /** Whether the manifest is open and takes writes. What has ended it may have made another one its writer: no deletion begins then. */
  get #writable(): boolean {
    const { store } = this.#core;
    try {
      store.assertOpen("reclaim");
    } catch {
      return false;
    }
    return !store.readOnly;
  }

  /** Objects whose rows may go in one commit: each is looked for in every database that names objects of others. */
  #removable(): number {
    return Math.max(1, Math.floor(LOOKUPS / (1 + sharingDatabases(this.#core.staging).length)));
  }

  /** Calls `deleteObject` for each, several at a time; the outcome of one does not keep the others from their turn. Resolves with those that are gone. */
  async #deleteAll(
    objects: readonly StoredObject[],
    deleteObject: DeleteObject,
    { parallel = PARALLEL, signal }: ReclaimOptions,
    failed: Failure[],
  ): Promise<StoredObject[]> {
    const done: StoredObject[] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < objects.length && !signal?.aborted && this.#writable) {
        const object = objects[next++]!;
        try {
          await deleteObject({ ...object });
          done.push(object);
        } catch (error) {
          failed.push({ object, error });
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(parallel, objects.length) }, worker));
    return done;
  }
}
