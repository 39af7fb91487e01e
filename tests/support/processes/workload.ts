// A fixed workload whose every durable state has a number: whoever knows the number knows the state.
//
// It goes through creation, commits, groups, cursors, snapshots, checkpoints, growth, reclaiming, compaction, opening again and closing. Time is fixed and every step follows from the steps before, so
// that a run anywhere reaches the same states in the same order. State 0 is the new manifest; each `begin` announces that one more state may become durable, each `done` that it is.
import {
  bytes,
  defineTable,
  Manifest,
  type ManifestOptions,
  type ManifestTxn,
  type Storage,
  systemEnvironment,
  u53,
} from "../../../mod.ts";
import { seeded } from "../random.ts";

/** What a run tells about itself. */
export interface Observer {
  /** Which part of the workload comes now. */
  phase(name: string): void;
  /** The manifest is open. */
  opened(manifest: Manifest): void;
  /** One more state may become durable from now on; by the transaction of this id, if it has one. */
  begin(commitId?: string): void;
  /** One more state is durable. */
  done(): void;
}

/** The user table of the workload. */
export const rows = defineTable({ name: "rows", key: [u53("id")], value: { data: bytes() } });

/** The time of everything that the workload does. */
const NOW = 1_780_000_000_000;

/** Options of every opening; `syncMode` is fixed, because "auto" follows from how long syncs take. */
export function workloadOptions(syncMode: "inline" | "async"): ManifestOptions {
  return { create: true, cacheBytes: 1 << 20, idleCheckpoint: 0, syncMode, environment: { ...systemEnvironment, now: () => NOW } };
}

class Workload {
  readonly #open: () => string | Storage;
  readonly #observer: Observer;
  readonly #together: boolean;
  #manifest!: Manifest;
  #row = 0;

  constructor(open: () => string | Storage, observer: Observer, together: boolean) {
    this.#open = open;
    this.#observer = observer;
    this.#together = together;
  }

  async opening(syncMode: "inline" | "async"): Promise<void> {
    this.#manifest = await Manifest.open(this.#open(), workloadOptions(syncMode));
    this.#observer.opened(this.#manifest);
  }

  async commit(stage: (txn: ManifestTxn) => unknown): Promise<void> {
    const txn = this.#manifest.begin();
    stage(txn);
    this.#observer.begin(txn.commitId);
    await txn.commit();
    this.#observer.done();
  }

  /** Anything but a transaction that makes one state. */
  async step<T>(action: () => Promise<T>): Promise<T> {
    this.#observer.begin();
    const result = await action();
    this.#observer.done();
    return result;
  }

  put(length: number): Promise<void> {
    const id = ++this.#row;
    return this.commit((txn) => txn.put(rows, id, { data: seeded(id).bytes(length) }));
  }

  async group(count: number, length: number): Promise<void> {
    if (this.#together) await Promise.all(Array.from({ length: count }, () => this.put(length)));
    else for (let i = 0; i < count; i++) await this.put(length);
  }

  publish(snapshot: number): Promise<void> {
    const chunks = [snapshot, snapshot + 1, 7];
    return this.commit((txn) => {
      for (const chunk of chunks) txn.upsertChunk([1, chunk], { fileName: `chunk ${chunk}`, generation: chunk, sizeBytes: 4096 });
      txn.publishSnapshot([1, snapshot], { sourceGeneration: snapshot, chunks: chunks.map((chunkId) => ({ chunkId })) });
    });
  }

  async run(): Promise<void> {
    const { phase } = this.#observer;
    phase("create");
    await this.opening("inline");
    await this.step(() => this.#manifest.createTable(rows));
    phase("commit");
    await this.commit((txn) => txn.putDb(1, { name: "events" }));
    for (let i = 0; i < 5; i++) await this.put(100 * i);
    phase("group");
    await this.group(7, 60);
    await this.group(3, 900);
    phase("cursor");
    const cursor = await this.step(() => this.#manifest.registerChangeCursor("replica", { start: "oldest" }));
    await this.step(() => this.#manifest.acknowledgeChanges(cursor.id, 4));
    await this.put(10);
    await this.commit((txn) => txn.put(rows, ++this.#row, { data: new Uint8Array(3) }).acknowledge(cursor.id, 9));
    phase("checkpoint");
    await this.#manifest.checkpoint();
    await this.put(20);
    await this.#manifest.checkpoint();
    phase("snapshot");
    for (const snapshot of [1, 2, 3]) await this.publish(snapshot);
    phase("growth");
    for (let i = 0; i < 4; i++) await this.put(25_000);
    await this.#manifest.checkpoint();
    await this.put(50_000);
    await this.put(30);
    phase("reclaim");
    await this.commit((txn) => txn.dropSnapshot([1, 1]).dropSnapshot([1, 2]));
    this.#observer.begin();
    let condemned = false;
    await this.step(() =>
      this.#manifest.reclaim(100, () => {
        if (!condemned) this.#observer.done();
        condemned = true;
      })
    );
    phase("close");
    await this.#manifest.close();
    phase("reopen");
    await this.opening("async");
    await this.put(50);
    await this.group(4, 200);
    await this.#manifest.checkpoint();
    await this.step(() => this.#manifest.acknowledgeChanges(cursor.id, 20));
    phase("compact");
    await this.commit((txn) => txn.deleteRange(rows, { gte: [3], lt: [this.#row - 2] }));
    await this.#manifest.compact();
    await this.put(40);
    phase("beside");
    const running = this.#manifest.checkpoint();
    for (let i = 0; i < 3; i++) await this.put(70);
    await running;
    await this.#manifest.close();
  }
}

/**
 * Runs the workload on a file or on storages that show the same bytes. `together`: transactions of a group are issued in one turn; else each waits for the one before, so that every state
 * can be seen.
 */
export function runWorkload(open: () => string | Storage, observer: Observer, together = true): Promise<void> {
  return new Workload(open, observer, together).run();
}
