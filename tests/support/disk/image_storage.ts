// A handle on an image where it was built, so that nothing is copied. Records what is done to it.
import { fail } from "../../../src/errors.ts";
import { failClosed, failReadOnly } from "../../../src/storage/guard.ts";
import type { Durability, LockRequest, Storage, StorageLock } from "../../../src/storage/storage.ts";
import { CallLog } from "./call_log.ts";
import type { ImageBuilder } from "./image_builder.ts";

let handles = 0;

/** A storage over the scratch copy of a builder. */
export class ImageStorage implements Storage {
  readonly name = "image";
  readonly identity = `image:${++handles}`;
  readonly durability: Durability = "memory";
  readonly readOnly: boolean;
  readonly created = false;
  /** Changes and syncs, when recording. */
  readonly log = new CallLog();
  /** Whether changes are copied into the log; else they are only counted. */
  recording = false;
  /** Changes and syncs made. */
  calls = 0;
  readonly #builder: ImageBuilder;
  #closed = false;

  constructor(builder: ImageBuilder, { readOnly = false }: { readOnly?: boolean } = {}) {
    this.#builder = builder;
    this.readOnly = readOnly;
  }

  #check(action: string): void {
    if (this.#closed) failClosed(action, this.name);
  }

  #change(action: string): void {
    this.#check(action);
    if (this.readOnly) failReadOnly(action, this.name);
    this.calls++;
  }

  size(): number {
    this.#check("measure");
    return this.#builder.size;
  }

  read(at: number, into: Uint8Array): number {
    this.#check("read");
    return this.#builder.read(at, into);
  }

  write(at: number, from: Uint8Array): void {
    this.#change("write");
    this.#builder.write(at, from);
    if (this.recording) this.log.change({ kind: "write", at, data: from.slice() });
  }

  truncate(size: number): void {
    this.#change("truncate");
    this.#builder.truncate(size);
    if (this.recording) this.log.change({ kind: "truncate", size });
  }

  sync(): void {
    this.#change("sync");
    if (this.recording) this.log.sync(this.log.calls.length);
  }

  async syncAsync(): Promise<void> {
    const covers = this.log.calls.length;
    this.#change("sync");
    await undefined;
    if (this.recording) this.log.sync(covers);
  }

  lock({ now, nonce }: LockRequest): StorageLock {
    this.#change("lock");
    this.calls--;
    const since = new Date(now).toISOString();
    const verify = (): void => {
      if (this.#closed) fail("FENCED", "Cannot continue to write: the writer claim was given back");
    };
    const holder = { pid: 0, started: "", host: "", boot: "", runtime: "other", since, nonce };
    return { strength: "process", holder, previous: undefined, verify, release: () => {} };
  }

  close(): void {
    this.#closed = true;
  }
}
