// This project's own store, through its exported API only: typed keys built for each call, `sync` durability, change log on, one cursor registered,
// 64 MiB of cache. What the cursor has seen is acknowledged between rounds, as a consumer that keeps up would do.
import { bool, defineTable, fixedBytes, Manifest, text, timestamp, u16, u32, u53 } from "../../mod.ts";
import { type Contender, foldBytes, foldRecord, foldRow, type WorkloadId } from "../contender.ts";
import { chunkRecord, type DataSet, VALUE_BYTES, type Writes } from "../data.ts";

/** Rows of 100 bytes. */
const rowsTable = defineTable({ name: "chunks", key: [u32("db"), u53("chunk")], value: { bytes: fixedBytes(VALUE_BYTES) } });

/** Records of S2. */
const recordsTable = defineTable({
  name: "records",
  key: [u32("db"), u53("chunk")],
  value: {
    fileName: text(),
    generation: u53(),
    sizeBytes: u53(),
    pageCount: u16(),
    remote: bool(),
    uploadedAt: timestamp(),
    contentHash: fixedBytes(32),
  },
});

const CACHE_BYTES = 64 << 20;
const OPTIONS = { durability: "sync", cacheBytes: CACHE_BYTES } as const;
const CURSOR = "bench";

/** Waybill. */
export class WaybillStore implements Contender {
  readonly name = "waybill";
  readonly version: string;
  readonly options = `durability sync, syncMode auto, cache ${CACHE_BYTES >> 20} MiB, change log on, one cursor`;
  readonly takes: readonly WorkloadId[] = ["S1", "S2", "S3", "S4", "S5", "S6"];
  #manifest!: Manifest;
  #data!: DataSet;
  #cursor = 0;
  #sequence = 0;

  constructor(version: string) {
    this.version = version;
  }

  async open(folder: string, data: DataSet): Promise<void> {
    this.#data = data;
    this.#manifest = await Manifest.open(`${folder}/chunks.waybill`, { create: true, ...OPTIONS });
    this.#cursor = (await this.#manifest.registerChangeCursor(CURSOR, { start: "latest" })).id;
  }

  gets(rows: Uint32Array): number {
    const { dbs, chunks } = this.#data;
    using view = this.#manifest.read();
    let hash = 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      const bytes = view.getBytes(rowsTable, [dbs[row]!, chunks[row]!])!;
      hash = foldBytes(hash, bytes, bytes.length - VALUE_BYTES);
    }
    return hash;
  }

  async loadRecords(): Promise<void> {
    const data = this.#data;
    for (let from = 0; from < data.count; from += 1000) {
      const txn = this.#manifest.begin({ capacity: 1000 });
      for (let row = from; row < Math.min(from + 1000, data.count); row++) {
        txn.put(recordsTable, [data.dbs[row]!, data.chunks[row]!], chunkRecord(data, row));
      }
      await txn.commit();
    }
  }

  records(rows: Uint32Array): number {
    const { dbs, chunks } = this.#data;
    using view = this.#manifest.read();
    let hash = 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      const record = view.get(recordsTable, [dbs[row]!, chunks[row]!])!;
      hash = foldRecord(hash, record.generation, record.sizeBytes, record.fileName, record.contentHash);
    }
    return hash;
  }

  scan(): number {
    using view = this.#manifest.read();
    let hash = 0;
    for (const [key, bytes] of view.rangeBytes(rowsTable)) {
      hash = foldRow(hash, key[0], key[1], bytes, bytes.length - VALUE_BYTES);
    }
    return hash;
  }

  async commitEach({ rows, values }: Writes): Promise<void> {
    const data = this.#data, manifest = this.#manifest;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      const key = [data.dbs[row]!, data.chunks[row]!] as const;
      this.#sequence = (await manifest.begin().put(rowsTable, key, { bytes: data.values[values[i]!]! }).commit()).sequence;
    }
  }

  async commitTogether({ rows, values }: Writes): Promise<void> {
    const data = this.#data, manifest = this.#manifest;
    const commits = [];
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      const key = [data.dbs[row]!, data.chunks[row]!] as const;
      commits.push(manifest.begin().put(rowsTable, key, { bytes: data.values[values[i]!]! }).commit());
    }
    for (const receipt of await Promise.all(commits)) this.#sequence = receipt.sequence;
  }

  async commitBatches({ rows, values }: Writes, size: number): Promise<void> {
    const data = this.#data, manifest = this.#manifest;
    for (let from = 0; from < rows.length; from += size) {
      const txn = manifest.begin({ capacity: size });
      for (let i = from, end = Math.min(from + size, rows.length); i < end; i++) {
        const row = rows[i]!;
        txn.put(rowsTable, [data.dbs[row]!, data.chunks[row]!], { bytes: data.values[values[i]!]! });
      }
      this.#sequence = (await txn.commit()).sequence;
    }
  }

  async settle(): Promise<void> {
    if (this.#sequence > 0) await this.#manifest.acknowledgeChanges(this.#cursor, this.#sequence + 1);
  }

  close(): Promise<void> {
    return this.#manifest.close();
  }
}
