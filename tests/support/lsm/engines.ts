// Opening the example engine on simulated machines, and looking into it.
import { Manifest, type ManifestOptions } from "@waybill/manifest";
import type { LsmCatalog, LsmReader } from "@waybill/manifest/lsm";
import { crc32c } from "../../../examples/lsm/bytes.ts";
import { Engine } from "../../../examples/lsm/engine.ts";
import { nameOf } from "../../../examples/lsm/file_names.ts";
import type { EngineOptions } from "../../../examples/lsm/options.ts";
import type { View } from "../../../examples/lsm/view.ts";
import type { Folder } from "../../../src/storage/folder.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { testEnvironment } from "../environment.ts";
import { textOf } from "./history.ts";

/** Small, so that little is much: a table has several blocks, a few writes fill a memtable, a few tables a level. */
export const SMALL = { memtableBytes: 1200, blockBytes: 160, tableBytes: 500, levelZeroTables: 3, levelBytes: 1500 };

/** An engine with what it lies on. */
export interface Opened {
  readonly manifest: Manifest;
  readonly engine: Engine;
}

const MANIFEST: ManifestOptions = { create: true, idleCheckpoint: 0, syncMode: "inline", changeCache: false, requeueJobs: false };

/** Opens the manifest of a machine. */
export function openManifest(storage: Storage, options: ManifestOptions = {}): Promise<Manifest> {
  return Manifest.open(storage, { ...MANIFEST, cacheBytes: 1 << 20, environment: testEnvironment(1), ...options });
}

/** Opens the engine of a machine. */
export async function openEngine(
  storage: Storage,
  folder: Folder,
  options: Partial<EngineOptions> = {},
  manifestOptions: ManifestOptions = {},
): Promise<Opened> {
  const manifest = await openManifest(storage, manifestOptions);
  return { manifest, engine: await Engine.open({ ...SMALL, automatic: false, ...options, manifest, folder }) };
}

const encoder = new TextEncoder(), decoder = new TextDecoder();

/** A text as the engine takes it. */
export const bytesOf = (text: string): Uint8Array => encoder.encode(text);
/** What the engine tells, as a text. */
export const stringOf = (bytes: Uint8Array): string => decoder.decode(bytes);

/** Everything that an engine, or a view of it, holds, as one text. */
export async function contentOf(from: Engine | View): Promise<string> {
  const pairs: [string, string][] = [];
  for await (const [key, value] of from.scan()) pairs.push([stringOf(key), stringOf(value)]);
  return textOf(pairs);
}

/** The segments that a state of the catalog names. */
function segmentsOf(reader: LsmReader): number[] {
  const active = reader.getActiveWal();
  return [...reader.getFrozenWals(), ...reader.getRetiredWals(), ...active === 0 ? [] : [active]];
}

const digests = new WeakMap<Uint8Array, string>();

function digestOf(bytes: Uint8Array): string {
  let digest = digests.get(bytes);
  if (digest === undefined) digests.set(bytes, digest = crc32c(bytes).toString(16).padStart(8, "0"));
  return digest;
}

/** Throws when a file that a state of the catalog names is missing, or a table is not what was written; returns the names. */
export function checkNamed(reader: LsmReader, files: ReadonlyMap<string, Uint8Array>): Set<string> {
  const named = new Set<string>();
  for (const id of segmentsOf(reader)) {
    const name = nameOf({ kind: "wal", id });
    if (!files.has(name)) throw new Error(`the catalog names ${name}, which is missing`);
    named.add(name);
  }
  for (const { id, sizeBytes, digest } of reader.listSsts()) {
    const name = nameOf({ kind: "sst", id });
    const bytes = files.get(name);
    if (bytes === undefined) throw new Error(`the catalog names ${name}, which is missing`);
    if (bytes.length !== sizeBytes || digestOf(bytes) !== digest) throw new Error(`the catalog names table ${id}, which is damaged`);
    named.add(name);
  }
  return named;
}

/** Throws when a folder holds anything but what the newest state of the catalog names. */
export function checkExact(catalog: LsmCatalog, files: ReadonlyMap<string, Uint8Array>): void {
  const named = checkNamed(catalog, files);
  const orphans = [...files.keys()].filter((name) => !named.has(name));
  if (orphans.length > 0) throw new Error(`these files are left and nothing names them: ${orphans.join(", ")}`);
  const { obsolete } = catalog.stats();
  if (obsolete > 0) throw new Error(`${obsolete} files are deleted and not forgotten`);
}
