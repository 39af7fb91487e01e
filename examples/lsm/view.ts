// What a reader sees: entries in memory, and a pinned version of the catalog, whose tables stay as long as it is open.
import type { LsmVersion } from "@waybill/manifest/lsm";
import { compareKeys } from "./bytes.ts";
import type { Entry } from "./entry.ts";
import { merge, type Source } from "./merge.ts";
import type { TableCache } from "./table_cache.ts";

/** A key with its value. */
export type Pair = [key: Uint8Array, value: Uint8Array];

/** Which keys a scan tells. */
export interface ScanOptions {
  /** The first key, included. */
  from?: Uint8Array;
  /** The end, not included. */
  to?: Uint8Array;
}

/** One state of the engine, which later writes do not change. Close it: until then its files are kept. */
export class View {
  readonly #memory: readonly (readonly Entry[])[];
  readonly #version: LsmVersion;
  readonly #tables: TableCache;
  readonly #onClose: () => void;

  /** Entries in memory, newest table first, and a version. */
  constructor(memory: readonly (readonly Entry[])[], version: LsmVersion, tables: TableCache, onClose: () => void) {
    this.#memory = memory;
    this.#version = version;
    this.#tables = tables;
    this.#onClose = onClose;
  }

  /** The value of a key. */
  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    for await (const [, value] of this.scan({ from: key, to: new Uint8Array([...key, 0]) })) return value;
    return undefined;
  }

  /** Keys with their values, by key. */
  async *scan({ from, to }: ScanOptions = {}): AsyncGenerator<Pair> {
    const sources: Source[] = this.#memory.map((entries) =>
      from === undefined ? entries : entries.filter(({ key }) => compareKeys(key, from) >= 0)
    );
    for (const sst of this.#version.overlapping({ from, to })) sources.push((await this.#tables.get(sst)).entries(from));
    for await (const { key, value } of merge(sources)) {
      if (to !== undefined && compareKeys(key, to) >= 0) return;
      if (value !== undefined) yield [key, value];
    }
  }

  /** Reads every table whole and holds it against its digest; DAMAGED when one is not what was written. */
  async verify(): Promise<void> {
    for (const sst of this.#version.listSsts()) await (await this.#tables.get(sst)).verify();
  }

  /** Lets the state go; a second call does nothing. */
  close(): void {
    if (this.#version.closed) return;
    this.#version.close();
    this.#onClose();
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
