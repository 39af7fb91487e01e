// Errors of file sets.
import { Manifest } from "../../../mod.ts";
import { FileSetCatalog, type FileSetOptions, type Folder, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { condemnedFiles, fileSets, storedFiles } from "../../../src/catalogs/files/tables.ts";
import { fail } from "../../../src/errors.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { altered } from "../../catalogs/files/parts.ts";
import { errorOf } from "../../manifest/open_manifest.ts";
import { on, options, type Provocation, type Provocations } from "./provocation.ts";

interface Given {
  readonly manifest: Manifest;
  readonly folder: Folder;
  readonly catalog: FileSetCatalog;
}

const set = (path: string, name = "main"): { set: { kind: string; name: string; path: string }[] } => ({
  set: [{ kind: "data", name, path }],
});

async function put(folder: Folder, path: string, text = "x"): Promise<void> {
  const file = await folder.create(path);
  await file.write(0, new TextEncoder().encode(text));
  await file.close();
}

/** On a manifest with a file set whose version 1 holds the file "a". */
function within(
  what: string,
  call: (given: Given) => unknown,
  expected: Omit<Provocation, "what" | "provoke"> = {},
  options: FileSetOptions = {},
): Provocation {
  return on(what, async (manifest) => {
    let time = 0;
    const folder = memoryFolder({ now: () => ++time });
    const catalog = await FileSetCatalog.open(manifest, folder, options);
    await put(folder, "a");
    await catalog.commit(set("a"));
    await call({ manifest, folder, catalog });
  }, expected);
}

/** A folder of which a file changes, in whatever way, at the last look that a commit takes. */
async function changing({ manifest, folder }: Given, change: () => Promise<unknown>): Promise<void> {
  await put(folder, "b");
  let looks = 0;
  const facts = async (path: string): ReturnType<Folder["facts"]> => {
    if (path === "b" && ++looks === 2) await change();
    return await folder.facts(path);
  };
  await (await FileSetCatalog.open(manifest, altered(folder, { facts }))).commit(set("b"));
}

const thrower = (): never => {
  throw new Error("no");
};

/** Ways to errors by code. */
export const FILES: Provocations = {
  INVALID_ARGUMENT: [
    within("a name twice in a commit", ({ catalog }) => catalog.commit({ set: [...set("a").set, ...set("a").set] })),
    within("a prune of less than nothing", ({ catalog }) => catalog.prune(-1)),
  ],
  LIMIT: [within("a path that is no key", ({ catalog }) => catalog.commit(set(`${"d".repeat(200)}/`.repeat(4) + "a")))],
  TXN_CLOSED: [
    within("a version that was closed", ({ catalog }) => {
      const version = catalog.read();
      version.close();
      version.get("data", "main");
    }),
  ],
  NOT_FOUND: [
    within("a file that is not there", ({ catalog }) => catalog.commit(set("b"))),
    within("a name to remove that is not there", ({ catalog }) => catalog.commit({ remove: [{ kind: "data", name: "other" }] })),
    within("a version that is not there", ({ catalog }) => catalog.read(2)),
    within("a pin that is gone", async ({ catalog }) => {
      const pin = await catalog.pin({ owner: "me", ttlMs: 1000 });
      await pin.release();
      await pin.renew();
    }),
  ],
  NAME_INVALID: [
    within("a path out of the folder", ({ catalog }) => catalog.commit(set("../a"))),
    within("a path that differs in case", async ({ catalog, folder }) => {
      await put(folder, "A");
      await catalog.commit(set("A"));
    }),
    within("a kind without letters", ({ catalog }) => catalog.commit({ set: [{ kind: "", name: "n", path: "a" }] })),
  ],
  ABORTED: [
    within("a commit that is aborted", ({ catalog }) => catalog.commit(set("a"), { signal: AbortSignal.abort() })),
    within("a prune that is aborted behind a drop", async ({ catalog, folder }) => {
      const abort = new AbortController();
      for (const path of ["b", "c"]) {
        await put(folder, path);
        await catalog.commit(set(path));
      }
      await catalog.prune(1, { parallel: 1, signal: abort.signal, onProgress: () => abort.abort() });
    }, { outcome: "applied" }),
  ],
  CALLBACK_FAILED: [within("a listener that throws", ({ catalog }) => catalog.verify({ onProgress: thrower }))],
  CONFLICT: [
    within("a commit on another version", ({ catalog }) => catalog.commit({}, { expectedVersion: 0 }), {}),
    within("a number that was there", ({ catalog }) => catalog.commit({}, { version: 1 }), { retryable: false }),
    within("a file that another commit has stored with another digest", async ({ manifest, catalog, folder }) => {
      const other = await FileSetCatalog.open(manifest, folder, { digest: "sha256" });
      await put(folder, "b");
      using prepared = await other.prepare(set("b"));
      await catalog.commit(set("b"));
      await manifest.transact((txn) => void prepared.stage(txn));
    }),
  ],
  SNAPSHOT_EXPIRED: [
    {
      what: "a version that was pruned since the handle that reads was refreshed",
      provoke: async () => {
        const file = new MemoryFile();
        const writer = await Manifest.open(new MemoryStorage(file), options({ create: true }));
        const folder = memoryFolder();
        const catalog = await FileSetCatalog.open(writer, folder);
        await catalog.commit({});
        const reader = await Manifest.open(new MemoryStorage(file, { readOnly: true }), options({ readOnly: true }));
        const reading = await FileSetCatalog.open(reader, folder);
        await catalog.commit({});
        await catalog.prune(1);
        const error = await errorOf(() => reading.read(1));
        await reader.close();
        await writer.close();
        return error;
      },
    },
  ],
  OBJECT_CONDEMNED: [
    within("a file that a prune is to delete", async ({ manifest, catalog, folder }) => {
      const remove = (path: string): never => fail("PERMISSION", "Cannot remove: it is a test", { detail: { file: path } });
      const stubborn = await FileSetCatalog.open(manifest, altered(folder, { remove }));
      await catalog.commit({ remove: [{ kind: "data", name: "main" }] });
      await stubborn.prune(1);
      await catalog.commit(set("a"));
    }),
  ],
  FILE_CHANGED: [
    within("a file that vanishes behind its digest", (given) => changing(given, () => given.folder.remove("b"))),
    within("a file that is replaced behind its digest", (given) =>
      changing(given, async () => {
        await given.folder.remove("b");
        await put(given.folder, "b");
      })),
  ],
  NOT_A_REGULAR_FILE: [
    within("a directory where a file should be", async ({ catalog, folder }) => {
      await folder.makeDirectory("d");
      await catalog.commit(set("d"));
    }, { handle: "ok" }),
  ],
  FILE_DAMAGED: [
    within("a stored file of another length", async ({ catalog, folder }) => {
      await folder.remove("a");
      await put(folder, "a", "longer");
      await catalog.commit(set("a", "second"));
    }),
    within("a stored file of other contents", async ({ catalog, folder }) => {
      await folder.remove("a");
      await put(folder, "a", "y");
      await catalog.commit(set("a", "second"));
    }),
  ],
  CORRUPT_RECORD: [
    within("a file set without its own row", async ({ manifest, catalog }) => {
      await manifest.begin().delete(fileSets, "default").commit();
      catalog.current();
    }),
    within("an entry without its file", async ({ manifest, catalog }) => {
      await manifest.begin().delete(storedFiles, ["default", "a"]).commit();
      catalog.get("data", "main");
    }),
  ],
  ORPHANS_REFUSED: [
    on("files that an empty file set cannot know", async (manifest) => {
      const folder = memoryFolder();
      await put(folder, "a");
      const catalog = await FileSetCatalog.open(manifest, folder);
      await catalog.deleteOrphans(await catalog.orphans());
    }),
    within("orphans of a file set that has lost rows", async ({ manifest, catalog, folder }) => {
      await put(folder, "b");
      await manifest.begin().put(condemnedFiles, ["default", "z"], { sizeBytes: 1, since: 1 }).commit();
      await catalog.deleteOrphans(await catalog.orphans());
    }),
    within("an orphan that is written to", async ({ catalog, folder }) => {
      await put(folder, "b");
      const report = await catalog.orphans();
      await folder.remove("b");
      await put(folder, "b");
      throw (await catalog.deleteOrphans(report)).refused[0]!.error;
    }),
  ],
};
