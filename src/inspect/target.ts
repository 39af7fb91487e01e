// The new file of a salvage or a restore: a store that rows are put into by table id, key and value as bytes.
import { TABLE_ID_TABLES } from "../../assembly/format.ts";
import { fail, isManifestError } from "../errors.ts";
import type { KernelModule } from "../kernel/loader.ts";
import type { Environment } from "../store/environment.ts";
import type { Continued } from "../store/options.ts";
import { type RawOp, stageRaw } from "../store/raw_ops.ts";
import { Store } from "../store/store.ts";
import type { LockHolder, Storage, StorageLock } from "../storage/storage.ts";
import { toHex } from "../store/meta.ts";
import { UnpublishedStorage } from "./unpublished.ts";

/** Rows are put together until they have so many bytes, or are so many. */
const BATCH_BYTES = 1 << 18;
const BATCH_ROWS = 2000;
const VALUE_MOST = 512 << 20;
const encoder = new TextEncoder();

/** What a target is made with. */
export interface TargetOptions {
  readonly pageSize: number;
  readonly cacheBytes: number;
  readonly environment: Environment;
  readonly wasm: KernelModule | undefined;
  readonly continued: Continued;
  /** Completes "Cannot … into". */
  readonly action: string;
}

/** A file being made. */
export class Target {
  readonly store: Store;
  readonly #storage: Storage;
  readonly #unpublished: UnpublishedStorage;
  readonly #lock: StorageLock;
  #ops: RawOp[] = [];
  #bytes = 0;
  #closed = false;

  private constructor(store: Store, storage: Storage, unpublished: UnpublishedStorage, lock: StorageLock) {
    this.store = store;
    this.#storage = storage;
    this.#unpublished = unpublished;
    this.#lock = lock;
  }

  /** Begins a file in an empty storage. EXISTS when there is something in it, LOCKED. */
  static async begin(storage: Storage, options: TargetOptions): Promise<Target> {
    const { pageSize, cacheBytes, environment, wasm, continued, action } = options;
    const nonce = new Uint8Array(16);
    environment.random(nonce);
    const lock = storage.lock({ now: environment.now(), nonce: toHex(nonce) });
    try {
      if (storage.size() > 0) {
        fail("EXISTS", `Cannot ${action} into "${storage.name}": it is not empty`, { detail: { file: storage.name } });
      }
      const holder: LockHolder = lock.holder;
      const unpublished = new UnpublishedStorage(storage, holder);
      const store = await Store.open(unpublished, {
        create: true,
        pageSize,
        cacheBytes,
        environment,
        durability: "none",
        idleCheckpoint: 0,
        maxTransactionBytes: VALUE_MOST,
        ...wasm === undefined ? {} : { wasm },
      }, continued);
      return new Target(store, storage, unpublished, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Puts a row. */
  async put(table: number, key: Uint8Array, value: Uint8Array): Promise<void> {
    this.#ops.push({ kind: "put", table, key, value, hidden: true });
    this.#bytes += key.length + value.length;
    if (this.#bytes >= BATCH_BYTES || this.#ops.length >= BATCH_ROWS) await this.flush();
  }

  /** Puts what has been gathered. */
  async flush(): Promise<void> {
    const ops = this.#ops;
    if (ops.length === 0) return;
    this.#ops = [];
    this.#bytes = 0;
    const registry = ops.some(({ table }) => table === TABLE_ID_TABLES);
    await this.store.commit({ change: false, registry, stage: () => stageRaw(this.store.kernel, ops) });
  }

  /** Registers tables under the ids that they have; `next` is the id that the next one gets. */
  async register(tables: readonly { id: number; name: string; schema: Uint8Array }[], next: number): Promise<void> {
    for (const { id, name, schema } of tables) {
      const row = new Uint8Array(8 + schema.length);
      new DataView(row.buffer).setUint32(0, id, true);
      row.set(schema, 8);
      await this.put(TABLE_ID_TABLES, encoder.encode(name), row);
    }
    const counter = new Uint8Array(4);
    new DataView(counter.buffer).setUint32(0, next, true);
    await this.put(TABLE_ID_TABLES, new Uint8Array([0]), counter);
    await this.flush();
  }

  /** Closes the store: everything is in place but for the slots. The file as it will be. */
  async close(): Promise<Storage> {
    this.#closed = true;
    await this.store.close();
    return this.#unpublished;
  }

  /** Makes it a manifest. */
  async publish(): Promise<void> {
    await this.#unpublished.publish();
    this.#lock.release();
  }

  /** Gives it up: the storage is empty again. */
  async abandon(): Promise<void> {
    try {
      if (!this.#closed) await this.store.close();
      this.#storage.truncate(0);
    } catch (error) {
      // Without its slots it is no manifest in any case.
      if (!isManifestError(error)) throw error;
    } finally {
      this.#lock.release();
    }
  }
}
