// The rows of tables, decoded with the schemas that the file itself keeps.
import { takeOptions } from "../arguments.ts";
import { fail, failType, isManifestError, ManifestError } from "../errors.ts";
import { ManifestCore } from "../manifest/core.ts";
import { builtInNamed } from "../manifest/operations/built_in.ts";
import { NumberedRange } from "../manifest/read/numbered_range.ts";
import { NumberedReader } from "../manifest/read/numbered_table.ts";
import { Range, type RangeSource } from "../manifest/read/range.ts";
import type { RowReader } from "../manifest/read/table_reader.ts";
import { VIRTUAL } from "../manifest/read/virtual_tables.ts";
import { tableFromSchema } from "../schema/schema.ts";
import type { Scan, View } from "../store/store.ts";
import type { Storage } from "../storage/storage.ts";
import { openState } from "./deep.ts";
import type { DumpItem, DumpOptions } from "./dump_types.ts";
import { Inspection } from "./inspection.ts";

const CACHE = 64 << 20;
const OPTIONS = { table: true, values: true, cacheBytes: true, signal: true, environment: true, wasm: true } as const;
const ROWS = 256;
const BYTES = 1 << 18;
const RUN = 0xffffffff;
const decoder = new TextDecoder();

/**
 * Reads tables out of a file, table by table in the order of their names, rows in the order of their keys: the newest state that is readable, journal included. Schemas come from the file. Without `values`
 * only lengths are told. Where a table is damaged an item of type `damage` says so, and the rest of that table is left out.
 *
 * Throws what opening for reading throws (CORRUPT_HEADER, CORRUPT_JOURNAL, ...), TABLE_UNKNOWN, and SNAPSHOT_EXPIRED when a writer has replaced the state meanwhile: then begin again.
 *
 * @example
 * ```ts
 * import { dumpTables, openSource } from "@waybill/manifest/inspect";
 *
 * export async function printTable(path: string, table: string): Promise<void> {
 *   const source = openSource(path);
 *   try {
 *     for await (const item of dumpTables(source, { table, values: true })) {
 *       if (item.type === "row") console.log(item.key, item.value);
 *       if (item.type === "damage") console.error(item.message);
 *     }
 *   } finally {
 *     source.close();
 *   }
 * }
 * ```
 */
export async function* dumpTables(storage: Storage, options: DumpOptions = {}): AsyncGenerator<DumpItem, void, undefined> {
  const given = takeOptions(options, OPTIONS, "dump");
  const { table, values = false, cacheBytes = CACHE } = given;
  if (table !== undefined && typeof table !== "string") failType("Cannot dump: option table is not a string", { option: "table" });
  const inspection = new Inspection(storage, "dump", given);
  const header = await inspection.header();
  if (header.newest === undefined) {
    const [finding] = header.findings;
    const { code: found } = finding!;
    const code = found === "EMPTY_FILE" || found === "NOT_A_MANIFEST" || found === "FORMAT_TOO_NEW" || found === "FORMAT_TOO_OLD"
      ? found
      : "CORRUPT_HEADER";
    fail(code, `Cannot dump "${storage.name}": no state of it is readable`, { detail: { file: storage.name } });
  }
  const meta = header.newest;
  const store = await openState(inspection, storage, meta, cacheBytes).catch(async (error) => {
    throw await expiredOr(inspection, meta.generation + 1, error);
  });
  try {
    const core = new ManifestCore(store, inspection.environment, { retention: undefined, cache: undefined, cacheId: undefined });
    const view = store.read();
    const names = [...view.tables().map(({ name }) => name), ...VIRTUAL.map(({ name }) => name)].sort();
    if (table !== undefined && !names.includes(table)) {
      fail("TABLE_UNKNOWN", `Cannot dump: there is no table "${table}"`, { detail: { table } });
    }
    for (const name of names) {
      if (table !== undefined && name !== table) continue;
      try {
        for await (const item of dumpTable(inspection, core, view, name, values)) yield item;
      } catch (error) {
        if (!isManifestError(error) || (error.kind !== "data" && error.kind !== "io")) throw error;
        const told = await expiredOr(inspection, meta.generation + 2, error);
        if (told !== error) throw told;
        const { page } = error.detail;
        yield { type: "damage", table: name, code: error.code, message: error.message, ...typeof page === "number" ? { page } : {} };
      }
    }
  } catch (error) {
    throw await expiredOr(inspection, meta.generation + 2, error);
  } finally {
    await store.close();
  }
}

/** What damage really was: SNAPSHOT_EXPIRED when a writer has got to a meta generation since that lets it replace what was read. */
async function expiredOr(inspection: Inspection, generation: number, error: unknown): Promise<unknown> {
  if (!isManifestError(error) || (error.kind !== "data" && error.kind !== "io")) return error;
  const { newest } = await inspection.header();
  if (newest === undefined || newest.generation < generation) return error;
  return new ManifestError("SNAPSHOT_EXPIRED", "Cannot dump: a writer has replaced the state that was read", { cause: error });
}

async function* dumpTable(inspection: Inspection, core: ManifestCore, view: View, name: string, values: boolean): AsyncGenerator<DumpItem> {
  const info = view.table(name);
  const builtIn = builtInNamed(name) !== undefined;
  const computed = VIRTUAL.find((one) => one.name === name);
  const table = computed ?? tableFromSchema(name, info!.schema);
  const reader = core.reader(view, table);
  const schema = info === undefined ? {} : { schema: decoder.decode(info.schema) };
  yield { type: "table", table: name, builtIn, rows: reader.rows, ...schema };
  if (values || computed !== undefined) {
    for (const [key, value] of entries(reader)) {
      yield values ? { type: "row", table: name, key, value } : { type: "row", table: name };
      await inspection.step();
    }
    return;
  }
  const scan = view.tree(info!.id).scan();
  try {
    while (scan.next(ROWS, BYTES) > 0) {
      for (const [keyBytes, valueBytes] of lengths(core, scan)) yield { type: "row", table: name, keyBytes, valueBytes };
      await inspection.pause();
    }
  } finally {
    scan.close();
  }
}

function entries(reader: RowReader): Range<[readonly unknown[], unknown]> {
  const open = (): RangeSource => ({ reader, release: () => {} });
  return reader instanceof NumberedReader ? new NumberedRange(open, {}, "entries") : new Range(open, {}, "entries");
}

/** Lengths of the rows of a batch; those of overflow values stand in what names them. */
function lengths({ store: { kernel } }: ManifestCore, scan: Scan): [key: number, value: number][] {
  const { u8, u32 } = kernel;
  return Array.from({ length: scan.rows }, (_, row) => {
    const word = (scan.rowsAt >>> 2) + row * 4;
    const length = u32[word + 3]!;
    if (length !== RUN) return [u32[word + 1]!, length];
    return [u32[word + 1]!, new DataView(u8.buffer).getUint32(scan.valueAddress(row) + 14, true)];
  });
}
