// Errors of the kinds "conflict" and "unavailable".
import { LSM_CONDEMNED, LSM_EXPIRED } from "./lsm.ts";
import { defineTable, Manifest, memoryStorage, text, u53 } from "../../../mod.ts";
import { FlushController } from "../../../src/flush/mod.ts";
import { fail } from "../../../src/errors.ts";
import { openFile } from "../../../src/storage/file.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import type { LockRequest, StorageLock } from "../../../src/storage/storage.ts";
import { errorOf } from "../../manifest/open_manifest.ts";
import { WrappedStorage } from "../../support/counting_storage.ts";
import { testEnvironment } from "../../support/environment.ts";
import { makeFolder, removeFolder } from "../../support/folder.ts";
import { kernelWithin } from "../../support/wasm_patch.ts";
import { failing, fresh, on, options, type Provocation, type Provocations } from "./provocation.ts";

const notes = defineTable({ name: "notes", key: [u53("n")], value: { body: text() } });

/** Storage whose writer claim is only a file's word: the next one who claims it has it. */
class ClaimedStorage extends WrappedStorage {
  static owner: ClaimedStorage | undefined;
  readonly #blind: boolean;

  constructor(file: MemoryFile, blind: boolean) {
    super(new MemoryStorage(file));
    this.#blind = blind;
  }

  override lock(request: LockRequest): StorageLock {
    ClaimedStorage.owner = this;
    const holder = { pid: 1, started: "", host: "", boot: "", runtime: "other", since: "", nonce: request.nonce };
    const verify = (): void => {
      if (!this.#blind && ClaimedStorage.owner !== this) {
        fail("FENCED", `Cannot continue to write "${this.name}": the writer claim is lost`, { detail: { file: this.name } });
      }
    };
    return { strength: "claim", holder, previous: undefined, verify, release: () => {} };
  }
}

function takenOver(what: string, blind: boolean): Provocation {
  return {
    what,
    provoke: async () => {
      const file = new MemoryFile();
      const first = await Manifest.open(new ClaimedStorage(file, blind), options({ create: true, syncMode: "inline" }));
      const next = await Manifest.open(new ClaimedStorage(file, blind), options({ syncMode: "inline" }));
      const error = await errorOf(() => first.begin().putDb(1, { name: "a" }).commit());
      await first.close().catch(() => {});
      await next.close();
      return error;
    },
  };
}

/** Two handles on one file; the second is refused. */
function locked(what: string, locking: "auto" | "claim", otherIdentity: boolean): Provocation {
  return {
    what,
    provoke: async () => {
      const folder = makeFolder();
      const path = `${folder}/file.waybill`;
      const storage = openFile(path, { create: true, locking });
      const manifest = await Manifest.open(storage, options({ create: true }));
      try {
        const other = openFile(path, { locking });
        if (otherIdentity) Object.defineProperty(other, "identity", { value: "as in another process" });
        return await errorOf(() => Manifest.open(other, options({ environment: testEnvironment(2) })));
      } finally {
        await manifest.close();
        removeFolder(folder);
      }
    },
  };
}

const flushed = { db: 1, segment: 2, target: 3 };

export const WAITING: Provocations = {
  CONFLICT: [
    on("a commit that expects another sequence", (manifest) => manifest.begin().putDb(2, { name: "b" }).commit({ expectedSequence: 7 })),
    on("a transaction whose reads are overtaken", async (manifest) => {
      await manifest.createTable(notes);
      await manifest.transact(async (txn) => {
        txn.get(notes, [1]);
        await manifest.begin().put(notes, 1, { body: "other" }).commit();
        txn.put(notes, 1, { body: "mine" });
      }, { retries: 0 });
    }),
  ],
  OBJECT_CONDEMNED: [
    on("a chunk that names an object that is being deleted", async (manifest) => {
      await manifest.begin().upsertChunk([1, 2], { fileName: "c" }).publishSnapshot([1, 1], { chunks: [{ chunkId: 2 }] }).commit();
      await manifest.begin().dropSnapshot([1, 1]).commit();
      await manifest.reclaim(1, () => Promise.reject(new Error("not now"))).catch(() => {});
      await manifest.begin().publishSnapshot([1, 2], { chunks: [{ chunkId: 2 }] }).commit();
    }),
    on("a delta that names an object that is being deleted", async (manifest) => {
      const key = [1, 2, 1, 3] as const;
      await manifest.begin().upsertChunkDelta(key, { fileName: "d" })
        .publishSnapshot([1, 1], { chunks: [{ chunkId: 2, generation: 1, deltaId: 3 }] }).commit();
      await manifest.begin().dropSnapshot([1, 1]).commit();
      await manifest.reclaim(1, () => Promise.reject(new Error("not now"))).catch(() => {});
      await manifest.begin().publishSnapshot([1, 2], { chunks: [{ chunkId: 2, generation: 1, deltaId: 3 }] }).commit();
    }),
    ...LSM_CONDEMNED!,
  ],
  LOCKED: [
    locked("a second writer in the same process", "auto", false),
    locked("a second writer beside a lock of the operating system", "auto", true),
    locked("a second writer beside a claim file", "claim", true),
    {
      what: "a storage object that is in use",
      provoke: async () => {
        const storage = memoryStorage();
        const manifest = await Manifest.open(storage, options({ create: true }));
        const error = await errorOf(() => Manifest.open(storage, options()));
        await manifest.close();
        return error;
      },
    },
  ],
  FENCED: [
    takenOver("a writer whose claim was taken over", false),
    takenOver("a writer whose claim was taken over unseen", true),
  ],
  SNAPSHOT_EXPIRED: [
    ...LSM_EXPIRED,
    {
      what: "a reader whose pages the writer has reused",
      provoke: async () => {
        const file = new MemoryFile();
        const writer = await Manifest.open(new MemoryStorage(file), options({ create: true }));
        const rewrite = async (body: string): Promise<void> => {
          const txn = writer.begin();
          for (let n = 0; n < 2000; n++) txn.put(notes, n, { body: `${n} ${body}`.repeat(20) });
          await txn.commit();
          await writer.checkpoint();
        };
        await rewrite("one");
        const reader = await Manifest.open(new MemoryStorage(file, { readOnly: true }), options({ cacheBytes: 1 << 18 }));
        for (let round = 0; round < 6; round++) await rewrite(`round ${round}`);
        const error = await errorOf(() => {
          for (let n = 0; n < 2000; n++) reader.get(notes, [n]);
        });
        await reader.close();
        await writer.close();
        return error;
      },
    },
  ],
  UNAVAILABLE: [
    on(
      "a commit when too many wait",
      (manifest) => Promise.all([2, 3, 4].map((db) => manifest.begin().putDb(db, { name: "b" }).commit())),
      {},
      { queueCapacity: 2 },
    ),
    {
      what: "a segment when too many wait",
      provoke: async () => {
        const never = new Promise<void>(() => {});
        const controller = new FlushController({ flush: () => never, sink: { apply: () => never }, queueCapacity: 0, concurrency: 1 });
        void controller.enqueue(flushed).catch(() => {});
        const error = await errorOf(() => controller.enqueue({ db: 2, segment: 1, target: 1 }));
        void controller.close({ abort: true });
        return error;
      },
    },
    {
      what: "an opening for which the kernel has no memory",
      handle: "closed",
      provoke: () => errorOf(() => Manifest.open(memoryStorage(), options({ create: true, wasm: kernelWithin(1 << 20) }))),
    },
    on(
      "a value for which the kernel has no memory",
      (manifest) => manifest.begin().put(notes, 1, { body: "x".repeat(16 << 20) }).commit(),
      {},
      {
        cacheBytes: 1 << 18,
        wasm: kernelWithin(12 << 20),
      },
    ),
    on(
      "a value for which the kernel has no memory left to encode it",
      (manifest) => manifest.begin().put(notes, 1, { body: "x".repeat(7 << 20) }).commit(),
      {},
      {
        cacheBytes: 1 << 18,
        wasm: kernelWithin(24 << 20),
      },
    ),
    failing(
      "a storage that is out of handles",
      { at: 0, errno: "EMFILE", kinds: ["write"] },
      (manifest) => manifest.begin().putDb(2, { name: "b" }).commit(),
    ),
  ],
  TIMEOUT: [
    on("a change that does not come", (manifest) => manifest.waitForChange(9, { timeoutMs: 0 })),
  ],
  NO_SPACE: [
    failing(
      "a commit on a full medium",
      { at: 0, errno: "ENOSPC", kinds: ["write"] },
      (manifest) => manifest.begin().putDb(2, { name: "b" }).commit(),
    ),
  ],
  QUOTA: [
    failing(
      "a commit beyond a quota",
      { at: 0, errno: "EDQUOT", kinds: ["write"] },
      (manifest) => manifest.begin().putDb(2, { name: "b" }).commit(),
    ),
  ],
  FLUSH_FAILED: [
    {
      what: "a flush that fails with an error of this package",
      retryable: false,
      provoke: async () => {
        const manifest = await fresh();
        const flush = async () => void await manifest.begin().removeJob(9).commit();
        const controller = new FlushController({ flush, sink: { apply: () => Promise.resolve() }, retries: 0 });
        const error = await errorOf(() => controller.enqueue(flushed));
        await controller.close();
        await manifest.close();
        return error;
      },
    },
    {
      what: "a flush behind one that has failed",
      provoke: async () => {
        const controller = new FlushController({
          flush: ({ segment }) => segment === 2 ? Promise.reject(new Error("mine")) : new Promise(() => {}),
          sink: { apply: () => Promise.resolve() },
          retries: 0,
          concurrency: 1,
        });
        const first = controller.enqueue(flushed).catch(() => {});
        const error = errorOf(() => controller.enqueue({ db: 1, segment: 3, target: 4 }));
        await first;
        return await error;
      },
    },
  ],
};
