// Errors of the kinds "unknown_outcome", "io", "data", "config" and "internal".
import { BLOCK_SIZE, DONE, META_CRC, META_FORMAT, META_INCOMPATIBLE, META_MIN_READER, TABLE_ID_CHANGES } from "../../../assembly/format.ts";
import { defineTable, Manifest, text, u53 } from "../../../mod.ts";
import { openFile } from "../../../src/storage/file.ts";
import { FileFolder, fileFolder } from "../../../src/storage/file_folder.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import type { NodeFolderFs, NodeFs } from "../../../src/storage/platform.ts";
import { bigEndian, stageRaw } from "../../../src/store/raw_ops.ts";
import { Store } from "../../../src/store/store.ts";
import * as nodeFs from "node:fs";
import { errorOf } from "../../manifest/open_manifest.ts";
import { SimDisk } from "../../support/crash_storage.ts";
import { makeFolder, removeFolder } from "../../support/folder.ts";
import { crc32c } from "../../kernel/space_model.ts";
import { kernelThatAnswers, kernelThatTraps } from "../../support/wasm_patch.ts";
import { closedImage, failing, fresh, opening, options, type Provocation, type Provocations } from "./provocation.ts";

const notes = defineTable({ name: "notes", key: [u53("n")], value: { body: text() } });
const put = (manifest: Manifest, n: number, body = "x") => manifest.begin().put(notes, n, { body }).commit();

/** An opening of a file whose calls of the platform are altered. */
function platform(what: string, changes: Partial<Record<keyof NodeFs, unknown>>): Provocation {
  return {
    what,
    handle: "closed",
    provoke: async () => {
      const folder = makeFolder();
      try {
        return await errorOf(async () => {
          const storage = openFile(`${folder}/file.waybill`, { create: true }, { ...nodeFs, ...changes } as unknown as NodeFs);
          await (await Manifest.open(storage, options({ create: true }))).close();
        });
      } finally {
        removeFolder(folder);
      }
    },
  };
}

function refusing(code: string, syscall: string): () => never {
  return () => {
    throw Object.assign(new Error(`${code}: at /a/secret/folder`), { code, syscall });
  };
}

/** A change of every meta slot, with its checksum right again. */
function meta(change: (view: DataView) => void): (image: Uint8Array) => void {
  return (image) => {
    for (let slot = 0; slot < 4; slot++) {
      const bytes = image.subarray(slot * BLOCK_SIZE, (slot + 1) * BLOCK_SIZE);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      change(view);
      view.setUint32(META_CRC, crc32c(bytes, META_FORMAT, BLOCK_SIZE), true);
    }
  };
}

const image = (change: (image: Uint8Array) => void) => async () => new MemoryStorage(await closedImage(change));

/** The bytes of a manifest that died behind some commits. */
async function crashed(change: (image: Uint8Array) => void): Promise<MemoryStorage> {
  const disk = new SimDisk();
  const manifest = await fresh({}, disk);
  for (let n = 0; n < 4; n++) await put(manifest, n, "journal".repeat(500));
  const bytes = disk.live();
  await manifest.close();
  change(bytes);
  return new MemoryStorage(bytes);
}

/** Blocks of the journal: those behind the meta slots that hold one of its magic numbers. */
function journalBlocks(bytes: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 4 * BLOCK_SIZE; at < bytes.length; at += BLOCK_SIZE) {
    if (bytes.subarray(at, at + 64).some((byte) => byte !== 0)) found.push(at);
  }
  return found;
}

/** A manifest in whose tree one page of a table is damaged: reading the table meets it. */
function damagedRow(what: string, body: string, damage: (image: Uint8Array, at: number) => void): Provocation {
  return {
    what,
    provoke: async () => {
      const bytes = await closedImage(() => {}, (manifest) => put(manifest, 1, body));
      const needle = new TextEncoder().encode(body.slice(0, 40));
      // The row, the change that put it, and what the journal still holds of that.
      for (let at = bytes.indexOf(needle[0]!); at >= 0; at = bytes.indexOf(needle[0]!, at + 1)) {
        if (needle.every((byte, i) => bytes[at + i] === byte)) damage(bytes, at);
      }
      const manifest = await Manifest.open(new MemoryStorage(bytes, { readOnly: true }), options({ readOnly: true }));
      try {
        return await errorOf(() => manifest.get(notes, [1]));
      } finally {
        await manifest.close();
      }
    },
  };
}

/** A provocation on a manifest that was made with a sound kernel and is opened with another one. */
function reopened(
  what: string,
  call: (manifest: Manifest) => unknown,
  wasm: WebAssembly.Module,
  outcome?: Provocation["outcome"],
): Provocation {
  return {
    what,
    ...outcome === undefined ? {} : { outcome },
    provoke: async () => {
      const manifest = await Manifest.open(new MemoryStorage(await closedImage()), options({ wasm }));
      try {
        return await errorOf(() => call(manifest));
      } finally {
        await manifest.close().catch(() => {});
      }
    },
  };
}

export const DAMAGE: Provocations = {
  COMMIT_UNKNOWN: [
    failing(
      "a group that can neither be written nor erased",
      { at: 0, errno: "EIO", kinds: ["write"], times: Infinity },
      (manifest) => put(manifest, 1),
    ),
  ],
  SYNC_FAILED: [
    failing("a commit whose sync fails", { at: 0, errno: "EIO", kinds: ["sync"] }, (manifest) => put(manifest, 1)),
  ],
  IO_READ: [
    {
      what: "a read that the device refuses",
      provoke: async () => {
        const bytes = await closedImage(() => {}, async (manifest) => {
          for (let n = 0; n < 40; n++) await put(manifest, n, `${n}`.repeat(30_000));
        });
        const disk = new SimDisk(bytes);
        const { FaultyStorage } = await import("../../support/faulty_storage.ts");
        const storage = new FaultyStorage(disk.open({ readOnly: true }));
        const manifest = await Manifest.open(storage, options({ readOnly: true, cacheBytes: 1 << 18 }));
        storage.plan({ at: 0, errno: "EIO", kinds: ["read"], times: Infinity });
        const error = await errorOf(() => manifest.get(notes, [7]));
        await manifest.close();
        return error;
      },
    },
  ],
  IO_WRITE: [
    failing("a write that the device refuses", { at: 0, errno: "EIO", kinds: ["write"] }, (manifest) => put(manifest, 1)),
  ],
  PERMISSION: [
    platform("a file that may not be opened", { openSync: refusing("EACCES", "open") }),
    platform("a folder that may not be synced", { fsyncSync: refusing("EPERM", "fsync") }),
    {
      ...failing("a write that is no longer allowed", { at: 0, errno: "EACCES", kinds: ["write"] }, (manifest) => put(manifest, 1)),
      handle: "read_only",
    },
    {
      what: "a lock file that may not be made",
      handle: "closed",
      provoke: async () => {
        const folder = makeFolder();
        try {
          const openSync = (path: string, flags: number, mode?: number) =>
            path.endsWith(".lock") ? refusing("EACCES", "open")() : nodeFs.openSync(path, flags, mode);
          const fs = { ...nodeFs, openSync } as unknown as NodeFs;
          return await errorOf(() => Manifest.open(openFile(`${folder}/file.waybill`, { create: true }, fs), options({ create: true })));
        } finally {
          removeFolder(folder);
        }
      },
    },
  ],
  READ_ONLY_MEDIUM: [
    platform("a file on a medium that cannot be written", { openSync: refusing("EROFS", "open") }),
    {
      ...failing("a medium that has become read-only", { at: 0, errno: "EROFS", kinds: ["write"] }, (manifest) => put(manifest, 1)),
      handle: "read_only",
    },
  ],
  FILE_MOVED: [
    {
      what: "a file that another one has replaced before it was locked",
      provoke: async () => {
        const folder = makeFolder();
        try {
          const path = `${folder}/file.waybill`;
          const storage = openFile(path, { create: true });
          nodeFs.renameSync(path, `${folder}/elsewhere`);
          nodeFs.writeFileSync(path, "another");
          return await errorOf(() => Manifest.open(storage, options({ create: true })));
        } finally {
          removeFolder(folder);
        }
      },
    },
  ],
  NOT_A_REGULAR_FILE: [
    opening("a folder", () => "tests"),
    platform("a link in the file's place", { openSync: refusing("EISDIR", "open") }),
  ],
  NOT_A_DIRECTORY: [
    { what: "a file in the place of a directory", provoke: () => errorOf(() => fileFolder("tests/support").list("folder.ts")) },
    {
      what: "a file that takes the place of a directory while that is listed",
      provoke: () => {
        const readdir = (_path: string, _options: unknown, done: (error: Error) => void): void =>
          done(Object.assign(new Error("ENOTDIR: at /a/secret/folder"), { code: "ENOTDIR", syscall: "scandir" }));
        return errorOf(() => new FileFolder("tests", { ...nodeFs, readdir } as unknown as NodeFolderFs).list("support"));
      },
    },
  ],
  CORRUPT_HEADER: [
    opening("no meta slot that can be read", image((bytes) => bytes.fill(1, 100, 4 * BLOCK_SIZE))),
    opening(
      "both copies of a meta generation gone",
      image((bytes) => {
        bytes.fill(0, 0, BLOCK_SIZE);
        bytes.fill(0, 2 * BLOCK_SIZE, 3 * BLOCK_SIZE);
      }),
    ),
  ],
  CORRUPT_PAGE: [
    damagedRow("a damaged leaf", "a note", (bytes, at) => void (bytes[at]! ^= 1)),
    damagedRow(
      "a damaged run",
      `the only note of this kind, and it is long: ${"a long note ".repeat(2000)}`,
      (bytes, at) => void (bytes[at + 9000]! ^= 1),
    ),
  ],
  CORRUPT_RECORD: [
    {
      what: "a record that does not fit its schema",
      provoke: async () => {
        const disk = new SimDisk();
        const manifest = await fresh({}, disk);
        await put(manifest, 1);
        await manifest.close();
        const store = await Store.open(disk.open(), options());
        const table = store.table("notes")!.id;
        const value = new Uint8Array([255, 255, 255]);
        await store.commit({ stage: () => stageRaw(store.kernel, [{ kind: "put", table, key: bigEndian(1), value }]), change: false });
        await store.close();
        const again = await Manifest.open(disk.open(), options());
        const error = await errorOf(() => again.get(notes, [1]));
        await again.close();
        return error;
      },
    },
  ],
  CORRUPT_JOURNAL: [
    opening("a journal group damaged beyond its parity, with later ones behind it", () =>
      crashed((bytes) => {
        for (const at of journalBlocks(bytes).slice(0, 4)) bytes.fill(0, at, at + BLOCK_SIZE);
      })),
  ],
  CORRUPT_LOG: [
    {
      what: "a change record that does not decode",
      provoke: async () => {
        const disk = new SimDisk();
        const manifest = await fresh({}, disk);
        const { id } = await manifest.registerChangeCursor("a");
        await manifest.close();
        const store = await Store.open(disk.open(), options());
        const ops = [{ kind: "put" as const, table: TABLE_ID_CHANGES, key: bigEndian(1), value: new Uint8Array([9, 9]), hidden: true }];
        await store.commit({ stage: () => stageRaw(store.kernel, ops), change: false });
        await store.close();
        const again = await Manifest.open(disk.open(), options());
        const error = await errorOf(() => again.fetchChangePage(id));
        await again.close();
        return error;
      },
    },
  ],
  TRUNCATED: [
    opening("a file cut behind its meta slots", async () => new MemoryStorage((await closedImage()).subarray(0, 5 * BLOCK_SIZE))),
    opening("a file cut inside its meta slots", async () => new MemoryStorage((await closedImage()).subarray(0, 2 * BLOCK_SIZE))),
  ],
  ROLLED_BACK: [
    opening("a copy older than what the caller knows of", async () => new MemoryStorage(await closedImage()), { expectSequence: 9 }),
    opening("an empty file in place of one that held data", () => new MemoryStorage(new MemoryFile()), { create: true, expectSequence: 1 }),
  ],
  EMPTY_FILE: [opening("an empty file", () => new MemoryStorage(new MemoryFile()))],
  NOT_A_MANIFEST: [opening("another program's file", () => new MemoryStorage(new Uint8Array(50_000).fill(7)))],
  FORMAT_TOO_NEW: [opening("a file of a later version", image(meta((view) => view.setUint16(META_MIN_READER, 99, true))))],
  FORMAT_TOO_OLD: [opening("a file of an older version", image(meta((view) => view.setUint16(META_FORMAT, 0, true))))],
  UNKNOWN_FEATURE: [opening("a file that uses what is not known here", image(meta((view) => view.setUint32(META_INCOMPATIBLE, 4, true))))],
  RUNTIME_UNSUPPORTED: [
    {
      what: "a file where the runtime has none",
      provoke: async () => {
        const process = (globalThis as unknown as { process: object }).process;
        const before = Object.getOwnPropertyDescriptor(process, "getBuiltinModule");
        Object.defineProperty(process, "getBuiltinModule", { value: undefined, configurable: true, writable: true });
        try {
          return await errorOf(() => Manifest.open("/tmp/never-made.waybill", options({ create: true })));
        } finally {
          if (before === undefined) delete (process as Record<string, unknown>).getBuiltinModule;
          else Object.defineProperty(process, "getBuiltinModule", before);
        }
      },
    },
  ],
  CORE_TRAP: [
    reopened("a trap before anything is written", (manifest) => put(manifest, 1), kernelThatTraps("txnEncode")),
    reopened("a trap behind the write of the group", (manifest) => put(manifest, 1), kernelThatTraps("groupSeal"), "unknown"),
  ],
  INVARIANT: [
    reopened("a kernel that answers what it cannot answer", (manifest) => put(manifest, 1), kernelThatAnswers("journalEncode", DONE)),
  ],
};
