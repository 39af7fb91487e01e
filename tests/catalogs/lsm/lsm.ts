// What the tests of the LSM catalog share.
import { assertEquals } from "@std/assert";
import { META_BYTES } from "../../../assembly/format.ts";
import type { Manifest, ManifestOptions } from "../../../mod.ts";
import { LsmCatalog, type LsmCatalogOptions, type LsmReader, type SstInput } from "../../../src/catalogs/lsm/mod.ts";
import { MemoryFile } from "../../../src/storage/memory.ts";
import { Medium } from "../../manifest/open_manifest.ts";

/** Bytes of a text. */
export function key(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A sorted table from one text to another. */
export function sst(id: number, level = 0, from = "a", to = from, more: Partial<SstInput> = {}): SstInput {
  return { id, level, minKey: key(from), maxKey: key(to), ...more };
}

/** A manifest with a catalog. */
export interface Opened {
  readonly manifest: Manifest;
  readonly catalog: LsmCatalog;
}

/** Opens a catalog over bytes that can be opened again. */
export async function openLsm(medium = new Medium(), options: LsmCatalogOptions = {}, more: ManifestOptions = {}): Promise<Opened> {
  const manifest = await medium.open(more);
  return { manifest, catalog: await LsmCatalog.open(manifest, options) };
}

/** The bytes as they are, as if the process died now. */
export function crashed(medium: Medium): Medium {
  const copy = new Medium();
  Object.assign(copy, { file: new MemoryFile(medium.file.bytes()) });
  return copy;
}

/** Opens a copy of the bytes for reading, calls, and closes it. */
export async function reading<T>(medium: Medium, call: (catalog: LsmCatalog) => T | Promise<T>): Promise<T> {
  const { manifest, catalog } = await openLsm(crashed(medium), {}, { readOnly: true });
  try {
    return await call(catalog);
  } finally {
    await manifest.close();
  }
}

/** Everything that a state says, to compare. */
export function stateOf(reader: LsmReader): Record<string, unknown> {
  return {
    version: reader.getVersion(),
    lastLsn: reader.getLastLsn(),
    activeWal: reader.getActiveWal(),
    frozenWals: reader.getFrozenWals(),
    retiredWals: reader.getRetiredWals(),
    nextSstId: reader.peekNextSstId(),
    nextWalId: reader.peekNextWalId(),
    ssts: reader.listSsts(),
    levels: reader.listLevels(),
    obsolete: reader.listObsolete(),
  };
}

/** Ids of sorted tables, in the order given. */
export function ids(ssts: readonly { readonly id: number }[]): number[] {
  return ssts.map(({ id }) => id);
}

/** What a group of the journal was, and what the file was before it. */
export interface LastGroup {
  readonly before: Medium;
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Writes of a call as they reach the file: the last one is its group. */
export async function lastGroup(medium: Medium, call: () => Promise<unknown>): Promise<LastGroup> {
  const before = crashed(medium);
  const { file } = medium;
  const { write } = file;
  let group: { at: number; bytes: Uint8Array } | undefined;
  file.write = (at, from) => {
    if (group !== undefined) before.file.write(group.at, group.bytes);
    group = { at, bytes: from.slice() };
    write.call(file, at, from);
  };
  await call();
  file.write = write;
  return { before, ...group! };
}

/** The file with the first bytes of the group only. */
export function tornAt({ before, at, bytes }: LastGroup, length: number): Medium {
  const torn = crashed(before);
  torn.file.write(at, bytes.subarray(0, length));
  return torn;
}

/** Damages one page after the other: each time the state is whole, or there is an error. */
export async function damageEachPage(medium: Medium, expected: Record<string, unknown>): Promise<{ codes: Set<string>; whole: number }> {
  const codes = new Set<string>();
  let whole = 0;
  for (let at = META_BYTES; at < medium.file.size; at += 4096) {
    const damaged = crashed(medium);
    damaged.file.write(at + 1000, new Uint8Array([0xde, 0xad, 0xbe, 0xef]));
    damaged.file.write(at + 30, new Uint8Array([0xde, 0xad, 0xbe, 0xef]));
    try {
      const { catalog, manifest } = await openLsm(damaged);
      assertEquals(stateOf(catalog), expected, `page at ${at}`);
      whole++;
      await manifest.close();
    } catch (error) {
      if (!(error instanceof Error) || !("code" in error)) throw error;
      codes.add(String(error.code));
    }
  }
  return { codes, whole };
}

export { Medium };
