// Errors of kind "usage".
import { ChangeCache, custom, defineTable, Manifest, memoryStorage, optional, text, u53 } from "../../../mod.ts";
import { FlushController } from "../../../src/flush/mod.ts";
import { LSM_EXISTS, LSM_READ_ONLY } from "./lsm.ts";
import { LsmCatalog } from "../../../src/catalogs/lsm/mod.ts";
import { openFile } from "../../../src/storage/file.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { errorOf } from "../../manifest/open_manifest.ts";
import { makeFolder, removeFolder } from "../../support/folder.ts";
import { failing, on, opening, options, type Provocations } from "./provocation.ts";

const notes = defineTable({ name: "notes", key: [text("path")], value: { body: text() } });
const numbers = defineTable({ name: "numbers", key: [u53("n")], value: { n: u53() } });
const object = { originDb: 1, chunkId: 1, generation: 1 };

/** A manifest whose change log has lost what a cursor has not done. */
async function lagging(manifest: Manifest): Promise<number> {
  const { id } = await manifest.registerChangeCursor("slow", { maxLag: 1 });
  for (let i = 0; i < 200; i++) await manifest.begin().put(numbers, i, { n: i }).commit();
  return id;
}

export const USAGE: Provocations = {
  INVALID_ARGUMENT: [
    on("an option that there is not", (manifest) => manifest.begin({ orign: "x" } as never)),
    on("a field of the wrong type", (manifest) => manifest.begin().put(notes, "a", { body: 5 as never }).commit()),
    on("a key of the wrong type", async (manifest) => {
      await manifest.createTable(numbers);
      manifest.get(numbers, ["1"] as never);
    }),
    on("a number out of range", (manifest) => manifest.fetchChangePage(1, 0)),
    on("an acknowledgement beyond the log", async (manifest) => {
      const { id } = await manifest.registerChangeCursor("a");
      await manifest.acknowledgeChanges(id, 99);
    }),
    on("changes from beyond the log", async (manifest) => {
      for await (const _ of manifest.changes({ from: 99 }));
    }),
    on("a chunk listed twice", async (manifest) => {
      await manifest.begin().upsertChunk([1, 2], { fileName: "c" }).commit();
      await manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 2 }, { chunkId: 2 }] }).commit();
    }),
    on("a fork onto itself", (manifest) => manifest.begin().forkDb(1, 1).commit()),
    opening("an option out of range", () => memoryStorage(), { cacheBytes: -1 }),
    opening("a URL that is no file", () => new URL("https://example.com/x") as never),
    { what: "a read of a storage at no offset", provoke: () => errorOf(() => memoryStorage().read(-1, new Uint8Array(1))) },
    { what: "a read of a storage beyond every file", provoke: () => errorOf(() => memoryStorage().read(2 ** 53 - 1, new Uint8Array(9))) },
    { what: "a cache of no size", provoke: () => errorOf(() => new ChangeCache({ capacityBytes: NaN })) },
  ],
  LIMIT: [
    on("a number above 2^53 - 1", (manifest) => manifest.begin().put(numbers, 2 ** 53, { n: 1 }).commit()),
    on("a key that is too long", async (manifest) => {
      await manifest.createTable(notes);
      manifest.get(notes, ["x".repeat(2000)]);
    }),
    on("a kind of job that is too long, committed", (manifest) => manifest.begin().putJob(1, { kind: "k".repeat(100) }).commit()),
    on("a transaction that is too long", (manifest) => manifest.begin().put(notes, "a", { body: "x".repeat(9000) }).commit(), {}, {
      maxTransactionBytes: 4096,
    }),
    on("a count of uses beyond 2^53 - 1", async (manifest) => {
      await manifest.begin().adjustRefcount(object, Number.MAX_SAFE_INTEGER).commit();
      await manifest.begin().adjustRefcount(object, 1).commit();
    }),
    on("a count of a delta's uses beyond 2^53 - 1", async (manifest) => {
      await manifest.begin().adjustRefcount({ ...object, deltaId: 3 }, Number.MAX_SAFE_INTEGER).commit();
      await manifest.begin().adjustRefcount({ ...object, deltaId: 3 }, 1).commit();
    }),
  ],
  TXN_CLOSED: [
    on("a second commit", async (manifest) => {
      const txn = manifest.begin().putDb(2, { name: "b" });
      await txn.commit();
      await txn.commit();
    }),
    on("a read transaction that was closed", (manifest) => {
      const view = manifest.read();
      view.close();
      view.getDb(1);
    }),
  ],
  HANDLE_CLOSED: [
    on("a manifest that was closed", async (manifest) => {
      await manifest.close();
      manifest.getDb(1);
    }),
    {
      what: "a storage that was closed",
      provoke: () =>
        errorOf(() => {
          const storage = memoryStorage();
          storage.close();
          storage.size();
        }),
    },
  ],
  READ_ONLY: [
    ...LSM_READ_ONLY,
    {
      what: "a commit to a manifest opened for reading",
      provoke: async () => {
        const file = new MemoryFile();
        await (await Manifest.open(new MemoryStorage(file), options({ create: true }))).close();
        const manifest = await Manifest.open(new MemoryStorage(file, { readOnly: true }), options());
        try {
          return await errorOf(() => manifest.begin().putDb(1, { name: "a" }).commit());
        } finally {
          await manifest.close();
        }
      },
    },
    failing("a commit behind one whose sync failed", { at: 0, errno: "EIO", kinds: ["sync"] }, async (manifest) => {
      await manifest.begin().putDb(2, { name: "b" }).commit().catch(() => {});
      await manifest.begin().putDb(3, { name: "c" }).commit();
    }, { handle: "read_only" }),
    {
      what: "a write to a storage opened for reading",
      provoke: () => errorOf(() => new MemoryStorage(undefined, { readOnly: true }).write(0, new Uint8Array(1))),
    },
  ],
  NOT_FOUND: [
    opening("a file that is not there", () => "/tmp/waybill/there/is/none.waybill"),
    {
      what: "a folder that is not there",
      handle: "closed",
      provoke: async () => {
        const folder = makeFolder();
        try {
          return await errorOf(() => Manifest.open(`${folder}/none/file.waybill`, options({ create: true })));
        } finally {
          removeFolder(folder);
        }
      },
    },
    on("a chunk of no database", (manifest) => manifest.begin().upsertChunk([9, 1], { fileName: "c" }).commit()),
    on("a snapshot of no chunk", (manifest) => manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 7 }] }).commit()),
    on(
      "a snapshot of no delta",
      (manifest) => manifest.begin().publishSnapshot([1, 1], { chunks: [{ chunkId: 7, generation: 1, deltaId: 2 }] }).commit(),
    ),
    on("the end of no snapshot", (manifest) => manifest.begin().dropSnapshot([1, 5]).commit()),
    on("the end of no job", (manifest) => manifest.begin().removeJob(7).commit()),
    on("a catalog that is not to be made", (manifest) => LsmCatalog.open(manifest, { create: false })),
  ],
  EXISTS: [
    on("a database that is there", (manifest) => manifest.begin().createDb(1, { name: "again" }).commit()),
    on("a job that is there", async (manifest) => {
      await manifest.begin().putJob(1, { kind: "gc" }).commit();
      await manifest.begin().putJob(1, { kind: "gc" }).commit();
    }),
    LSM_EXISTS,
    {
      what: "a segment that is on its way",
      provoke: async () => {
        const never = new Promise<void>(() => {});
        const controller = new FlushController({ flush: () => never, sink: { apply: () => never } });
        void controller.enqueue({ db: 1, segment: 2, target: 3 }).catch(() => {});
        const error = await errorOf(() => controller.enqueue({ db: 1, segment: 2, target: 3 }));
        void controller.close({ abort: true });
        return error;
      },
    },
  ],
  NAME_INVALID: [
    { what: "a table without a name", provoke: () => errorOf(() => defineTable({ name: "", key: [text("a")], value: {} })) },
    on("a catalog without a name", (manifest) => LsmCatalog.open(manifest, { name: "" })),
    on("the end of a table without a name", (manifest) => manifest.dropTable("")),
    {
      what: "a file name that the platform refuses",
      handle: "closed",
      provoke: () => errorOf(() => openFile(`/tmp/${"x".repeat(300)}`, { create: true })),
    },
  ],
  TABLE_UNKNOWN: [
    on("a read of a table that was never made", (manifest) => manifest.get(notes, ["a"])),
    on("the end of a table that is not there", (manifest) => manifest.dropTable("notes")),
  ],
  SCHEMA_MISMATCH: [
    on("a table defined otherwise", async (manifest) => {
      await manifest.createTable(notes);
      manifest.get(defineTable({ name: "notes", key: [u53("path")], value: {} }), [1]);
    }),
  ],
  SCHEMA_TOO_NEW: [
    on("a table of which the file knows more fields", async (manifest) => {
      await manifest.createTable(defineTable({ name: "notes", key: [text("path")], value: { body: text(), more: optional(text()) } }));
      manifest.get(notes, ["a"]);
    }),
  ],
  ILLEGAL_TRANSITION: [
    on("a job that ends before it was taken", async (manifest) => {
      await manifest.begin().putJob(1, { kind: "gc" }).commit();
      await manifest.begin().updateJobState(1, "completed").commit();
    }),
  ],
  REFCOUNT_UNDERFLOW: [
    on("a use given back that was never counted", (manifest) => manifest.begin().adjustRefcount(object, -1).commit()),
    on(
      "a use of a delta given back that was never counted",
      (manifest) => manifest.begin().adjustRefcount({ ...object, deltaId: 1 }, -1).commit(),
    ),
  ],
  CALLBACK_FAILED: [
    on("a function of transact that throws", (manifest) =>
      manifest.transact(() => {
        throw new Error("mine");
      })),
    on("a function that decodes and throws", async (manifest) => {
      const table = defineTable({
        name: "odd",
        key: [u53("n")],
        value: {
          at: custom(text(), {
            encode: (value: string) => value,
            decode: (): string => {
              throw new Error("mine");
            },
          }),
        },
      });
      await manifest.begin().put(table, 1, { at: "x" }).commit();
      manifest.get(table, [1]);
    }),
    on("a deletion that fails", async (manifest) => {
      await manifest.begin().upsertChunk([1, 2], { fileName: "c" }).publishSnapshot([1, 1], { chunks: [{ chunkId: 2 }] }).commit();
      await manifest.begin().dropSnapshot([1, 1]).commit();
      await manifest.reclaim(1, () => manifest.begin().removeJob(99).commit() as never);
    }, { retryable: true }),
  ],
  CURSOR_UNKNOWN: [
    on("changes for no cursor", (manifest) => manifest.fetchChangePage(42)),
    on("changes from where no cursor stands", async (manifest) => {
      for await (const _ of manifest.changes({ cursor: "nobody" }));
    }),
  ],
  CURSOR_TRUNCATED: [
    on("changes that are gone", async (manifest) => manifest.fetchChangePage(await lagging(manifest)), {}, {
      logRetention: { changes: 1 },
    }),
  ],
  ABORTED: [
    on("a signal that is aborted already", (manifest) => manifest.begin().putDb(2, { name: "b" }).commit({ signal: AbortSignal.abort() })),
    on("reclaiming that is called off", async (manifest) => {
      for (let chunk = 1; chunk <= 3; chunk++) await manifest.begin().upsertChunk([1, chunk], { fileName: `c${chunk}` }).commit();
      await manifest.begin().publishSnapshot([1, 1], { chunks: [1, 2, 3].map((chunkId) => ({ chunkId })) }).commit();
      await manifest.begin().dropSnapshot([1, 1]).commit();
      const abort = new AbortController();
      await manifest.reclaim(3, () => abort.abort(), { parallel: 1, signal: abort.signal });
    }, { outcome: "applied" }),
    {
      what: "a flush that is called off",
      provoke: async () => {
        const controller = new FlushController({ flush: () => new Promise<void>(() => {}), sink: { apply: () => Promise.resolve() } });
        const abort = new AbortController();
        const error = errorOf(() => controller.enqueue({ db: 1, segment: 2, target: 3 }, { signal: abort.signal }));
        abort.abort();
        return await error;
      },
    },
  ],
};
