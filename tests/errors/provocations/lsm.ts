// Errors of LSM catalogs.
import { openCatalog } from "../../../src/catalogs/catalog.ts";
import { LsmCatalog } from "../../../src/catalogs/lsm/mod.ts";
import { Manifest } from "../../../mod.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { errorOf } from "../../manifest/open_manifest.ts";
import { on, options, type Provocation, type Provocations } from "./provocation.ts";

const range = { minKey: new Uint8Array([1]), maxKey: new Uint8Array([5]) };

export const LSM: Provocations = {
  CATALOG_MISMATCH: [
    on("a catalog of another kind", async (manifest) => {
      await openCatalog(manifest, { action: "open the catalog", name: "default", kind: "files", create: true, tables: [], make: () => {} });
      await LsmCatalog.open(manifest);
    }),
  ],
  LEVEL_OVERLAP: [
    on("two sorted tables with a key in common", async (manifest) => {
      const lsm = await LsmCatalog.open(manifest);
      await lsm.addSst({ id: 1, level: 1, ...range });
      await lsm.addSst({ id: 2, level: 1, ...range });
    }),
  ],
  ORPHANS_REFUSED: [
    on("files that a catalog without any cannot know", async (manifest) => {
      const lsm = await LsmCatalog.open(manifest);
      await lsm.orphans([1, 2, 3]);
    }),
  ],
};

/** Ways to errors of others. */
export const LSM_CONDEMNED: Provocations["OBJECT_CONDEMNED"] = [
  on("a sorted table that was removed and not forgotten", async (manifest) => {
    const lsm = await LsmCatalog.open(manifest);
    await lsm.addSst({ id: 1, ...range });
    await lsm.removeSst(1);
    await lsm.addSst({ id: 1, ...range });
  }),
  on("a segment that was removed and not forgotten", async (manifest) => {
    const lsm = await LsmCatalog.open(manifest);
    await lsm.addFrozenWal(4);
    await lsm.removeFrozenWal(4);
    await lsm.setActiveWal(4);
  }),
];

export const LSM_EXPIRED: readonly Provocation[] = [
  {
    what: "a state of a catalog whose files may be deleted",
    provoke: async () => {
      const file = new MemoryFile();
      const writer = await Manifest.open(new MemoryStorage(file), options({ create: true }));
      const lsm = await LsmCatalog.open(writer);
      await lsm.addFrozenWal(1);
      const reader = await Manifest.open(new MemoryStorage(file, { readOnly: true }), options());
      const reading = await LsmCatalog.open(reader);
      await lsm.removeFrozenWal(1);
      await lsm.deletable();
      const error = await errorOf(() => reading.pin());
      await reader.close();
      await writer.close();
      return error;
    },
  },
];

export const LSM_READ_ONLY: readonly Provocation[] = [
  {
    what: "files of a catalog that nobody in the process writes",
    provoke: async () => {
      const file = new MemoryFile();
      const writer = await Manifest.open(new MemoryStorage(file), options({ create: true }));
      await LsmCatalog.open(writer);
      await writer.close();
      const reader = await Manifest.open(new MemoryStorage(file, { readOnly: true }), options());
      const reading = await LsmCatalog.open(reader);
      const error = await errorOf(() => reading.pin());
      await reader.close();
      return error;
    },
  },
];

/** Two tables with one file; the code has provocations of its own elsewhere. */
export const LSM_EXISTS: Provocation = on("a sorted table with the file of another one", async (manifest) => {
  const lsm = await LsmCatalog.open(manifest);
  await lsm.addSst({ id: 1, fileName: "a.sst", ...range });
  await lsm.addSst({ id: 2, fileName: "a.sst", ...range });
});
