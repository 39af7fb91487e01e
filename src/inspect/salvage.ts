// Salvage: what can be read of a damaged file, in a new one.
//
// Never in place, and the source is only read. Rows keep their tables' names, ids and schemas; what follows from rows is made anew (rebuild.ts). The log of changes is not carried over: the new file's numbers go on behind
// every one that the source may ever have given out, and all before is gone, so that whoever consumes the log is told (CURSOR_TRUNCATED) and nothing is skipped in silence.
import { TABLE_DROPPED, TABLE_ID_TABLES, TABLE_ID_USER } from "../../assembly/format.ts";
import { takeOptions } from "../arguments.ts";
import { fail, failType } from "../errors.ts";
import { ManifestCore } from "../manifest/core.ts";
import { BUILT_IN } from "../manifest/operations/built_in.ts";
import type { Storage } from "../storage/storage.ts";
import type { Meta } from "../store/meta.ts";
import { checkFile } from "./check.ts";
import { Collector, type Gathered } from "./collector.ts";
import type { Finding } from "./finding.ts";
import { Inspection, Replaced } from "./inspection.ts";
import { findJournal } from "./loose_journal.ts";
import { makePlan, type Plan } from "./plan.ts";
import { DERIVED, rebuild } from "./rebuild.ts";
import { RowJudge, unnamedTable } from "./row_judge.ts";
import type { SalvagedTable, SalvageFrom, SalvageOptions, SalvageReport } from "./salvage_types.ts";
import { registryRow } from "./table_names.ts";
import { Target } from "./target.ts";
import { findUnlinked } from "./unlinked.ts";

const FROM: readonly SalvageFrom[] = ["best", "older", "scan"];
const CACHE = 64 << 20;
/** Numbers go on so far behind the highest one seen: further than a journal, or a cache, can hold that is lost without a trace. */
const FAR = 2 ** 32;
/** Frames are never told to anybody but as part of commit ids, which must not be taken for ids of the new file. */
const FRAMES_FAR = 2 ** 24;

const OPTIONS = {
  from: true,
  dryRun: true,
  journal: true,
  onFinding: true,
  onProgress: true,
  cacheBytes: true,
  signal: true,
  environment: true,
  wasm: true,
} as const;

/** A table of the source. */
interface Table {
  readonly id: number;
  /** Undefined: nothing in the file tells. */
  readonly name: string | undefined;
  readonly schema: Uint8Array | undefined;
}

/**
 * Copies what can be read of a file into a new one. The source is only read and stays as it is; the target must be empty and another storage; both stay open. The target becomes a manifest with the last write, after it has
 * passed the deep check: when anything fails or is interrupted before, it is none, and is emptied where possible.
 *
 * The new file has an id and a history of its own. Its change log is empty and goes on behind every sequence that the source may have given out: cursors, which are kept where they stand, get CURSOR_TRUNCATED. Reference
 * counts and indexes are made anew; an object whose snapshots are lost is held, never collectable. Rows of a table that nothing names any more are kept as bytes in a table `lost-<id>`.
 *
 * INVALID_ARGUMENT when source and target are the same; EXISTS when the target is not empty; LOCKED; CORRUPT_HEADER, NOT_A_MANIFEST, EMPTY_FILE, FORMAT_TOO_NEW, UNKNOWN_FEATURE when there is nothing to take rows from;
 * SNAPSHOT_EXPIRED when a writer is at work in the source; ABORTED; IO_WRITE when the new file does not pass its check; whatever writing the target throws.
 *
 * @example
 * ```ts
 * import { createTarget, openSource, salvage } from "@waybill/manifest/inspect";
 *
 * export async function rescue(path: string, into: string): Promise<void> {
 *   const source = openSource(path);
 *   const plan = await salvage(source, undefined, { dryRun: true });
 *   console.log(`${plan.kept} rows can be kept, ${plan.lost} are lost`);
 *   const target = createTarget(into);
 *   const { tables, sequenceAfter } = await salvage(source, target);
 *   for (const { name, kept, lost } of tables) console.log(name, kept, lost);
 *   console.log(`the change log goes on behind ${sequenceAfter}`);
 *   target.close();
 *   source.close();
 * }
 * ```
 */
export async function salvage(source: Storage, target: Storage | undefined, options: SalvageOptions = {}): Promise<SalvageReport> {
  const given = takeOptions(options, OPTIONS, "salvage");
  const { from = "best", dryRun = false, journal = true, cacheBytes = CACHE } = given;
  if (!FROM.includes(from)) failType('Cannot salvage: option from is none of "best", "older" and "scan"', { option: "from" });
  if (!dryRun && target === undefined) failType("Cannot salvage: there is no target", { field: "target" });
  if (!dryRun && target!.identity === source.identity) {
    failType(`Cannot salvage "${source.name}": source and target are the same`, { file: source.name });
  }
  const inspection = new Inspection(source, "salvage", given);
  try {
    return await new Salvage(inspection, from, dryRun ? undefined : target, cacheBytes).run(journal);
  } catch (error) {
    if (!(error instanceof Replaced)) throw error;
    fail("SNAPSHOT_EXPIRED", `Cannot salvage "${source.name}": a writer is at work in it`, { detail: { file: source.name } });
  }
}

class Salvage {
  readonly #inspection: Inspection;
  readonly #from: SalvageFrom;
  readonly #storage: Storage | undefined;
  readonly #cacheBytes: number;
  readonly #judge: RowJudge;
  #target: Target | undefined;
  #plan!: Plan;
  #collector!: Collector;
  #rows = 0;
  /** Damaged pages of the newest state. */
  readonly #damaged = new Set<number>();

  constructor(inspection: Inspection, from: SalvageFrom, storage: Storage | undefined, cacheBytes: number) {
    this.#inspection = inspection;
    this.#from = from;
    this.#storage = storage;
    this.#cacheBytes = cacheBytes;
    this.#judge = new RowJudge(inspection.kernel());
  }

  async run(journal: boolean): Promise<SalvageReport> {
    let watched: Meta | undefined;
    const tell = (findings: Finding[]): void => {
      if (watched !== undefined) this.#inspection.still(watched);
      for (const finding of findings) {
        if (finding.severity === "error" && finding.page !== undefined) this.#damaged.add(finding.page);
        this.#inspection.findings.add(finding);
      }
    };
    const plan = this.#plan = await makePlan(this.#inspection, this.#from, journal, tell, (meta) => void (watched = meta));
    this.#collector = new Collector(
      this.#inspection,
      plan.meta,
      plan.visitor,
      plan.states,
      tell,
      (table, key) => plan.overlay.covers(table, key),
    );
    const registry = await this.#registry();
    if (plan.leaves !== undefined && plan.named !== undefined) {
      const known = registry.tables.flatMap(({ id, name, schema }) =>
        name === undefined || schema === undefined ? [] : [{ id, name, schema }]
      );
      this.#collector.unlinked = await findUnlinked(this.#inspection, plan.named, plan.states[0]!, known, plan.leaves, this.#judge);
    }
    const sequenceAfter = plan.sequence + (this.#certain(registry.gathered) ? 1 : FAR);
    try {
      if (this.#storage !== undefined) await this.#begin(sequenceAfter, registry.tables, registry.next);
      const tables = await this.#tables(registry.tables);
      return await this.#finish(tables, registry.gathered, sequenceAfter);
    } catch (error) {
      await this.#target?.abandon();
      throw error;
    }
  }

  /** Whether the source's numbers are all known: its newest state was readable with the journal behind it. */
  #certain({ lost }: Gathered): boolean {
    return this.#from === "best" && lost.length === 0 && this.#inspection.findings.counts.error === 0;
  }

  /** Names, ids and schemas, and the id that the next table gets. */
  async #registry(): Promise<{ tables: Table[]; next: number; gathered: Gathered }> {
    const { overlay, names } = this.#plan;
    const known = new Map<number, Table>();
    let next = TABLE_ID_USER;
    const take = (key: Uint8Array, value: Uint8Array): void => {
      const row = registryRow(key, value);
      if (row !== undefined) {
        known.set(row.id, row);
        names.set(row.id, row.name);
      } else if (key.length === 1 && key[0] === 0 && value.length >= 4) {
        next = Math.max(next, new DataView(value.buffer, value.byteOffset).getUint32(0, true));
      }
    };
    const gathered = await this.#collector.gather(TABLE_ID_TABLES, ({ key, value }) => {
      if (!overlay.covers(TABLE_ID_TABLES, key)) take(key, value);
    });
    for (const { key, value } of overlay.rows(TABLE_ID_TABLES)) take(key, value);
    for (const id of [...this.#collector.tables, ...overlay.tables]) {
      if (id < TABLE_ID_USER || id >= TABLE_DROPPED) continue;
      next = Math.max(next, id + 1);
      if (!known.has(id) && !overlay.dropped(id)) known.set(id, { id, name: undefined, schema: undefined });
    }
    for (const id of known.keys()) next = Math.max(next, id + 1);
    if ([...known.values()].some(({ name }) => name === undefined)) {
      // The journal may still tell how a table was made, long after it was; ids are never used again.
      if (this.#from === "scan") {
        const { overlay: old } = await findJournal(this.#inspection, this.#plan.meta, -1);
        for (const { key, value } of old.rows(TABLE_ID_TABLES)) {
          const row = registryRow(key, value);
          if (row !== undefined && known.has(row.id) && known.get(row.id)!.name === undefined) take(key, value);
        }
      }
      for (const table of [...known.values()]) if (table.name === undefined) known.set(table.id, await this.#recognized(table.id, known));
    }
    return { tables: [...known.values()].sort((a, b) => a.id - b.id), next, gathered };
  }

  /** The manifest's own tables are made first, in one order: one whose name is lost is known by its id when all its rows can be read with the schema. */
  async #recognized(id: number, known: ReadonlyMap<number, Table>): Promise<Table> {
    const unknown: Table = { id, name: undefined, schema: undefined };
    const table = BUILT_IN[id - TABLE_ID_USER]?.table;
    if (table === undefined || [...known.values()].some(({ name }) => name === table.name)) return unknown;
    const codec = this.#judge.codec(table.name, table.schema)!;
    let fits = true;
    const look = (key: Uint8Array, value: Uint8Array): void => {
      fits &&= this.#judge.reads(codec, key, value);
    };
    const { overlay } = this.#plan;
    await this.#collector.gather(id, ({ key, value }) => overlay.covers(id, key) || look(key, value));
    for (const { key, value } of overlay.rows(id)) look(key, value);
    codec.release();
    if (!fits) return unknown;
    this.#plan.names.set(id, table.name);
    return { id, name: table.name, schema: table.schema };
  }

  async #begin(sequence: number, tables: readonly Table[], next: number): Promise<void> {
    const { environment, wasm } = this.#inspection;
    const { frame, committedAt, meta } = this.#plan;
    this.#target = await Target.begin(this.#storage!, {
      pageSize: 2 ** meta.pageShift,
      cacheBytes: this.#cacheBytes,
      environment,
      wasm,
      continued: { sequence, frame: frame + FRAMES_FAR, committedAt },
      action: "salvage",
    });
    const named = tables.map(({ id, name, schema }) => {
      if (name !== undefined && schema !== undefined && this.#judge.codec(name, schema) !== undefined) return { id, name, schema };
      const unnamed = unnamedTable(id);
      return { id, name: unnamed.name, schema: unnamed.schema };
    });
    await this.#target.register(named, next);
  }

  async #tables(tables: readonly Table[]): Promise<SalvagedTable[]> {
    const out: SalvagedTable[] = [];
    for (const table of tables) out.push(await this.#copy(table));
    await this.#target?.flush();
    return out;
  }

  /** Copies the rows of a table: those of the states, but for what the journal replaces, then those of the journal. */
  async #copy({ id, name, schema }: Table): Promise<SalvagedTable> {
    const { overlay } = this.#plan;
    const codec = name === undefined || schema === undefined ? undefined : this.#judge.codec(name, schema);
    const rebuilt = name !== undefined && DERIVED.has(name);
    let kept = 0;
    let older = 0;
    let unreadable = 0;
    const put = async (key: Uint8Array, value: Uint8Array, fromOlder: boolean): Promise<void> => {
      if (++this.#rows % 4096 === 0) this.#inspection.progress("copy", this.#rows, 0);
      const row = codec === undefined ? this.#judge.asBytes(key, value) : this.#judge.reads(codec, key, value) ? { key, value } : undefined;
      if (row === undefined) {
        unreadable++;
        return;
      }
      kept++;
      if (fromOlder) older++;
      if (!rebuilt) await this.#target?.put(id, row.key, row.value);
    };
    const gathered = overlay.dropped(id) ? undefined : await this.#collector.gather(id, async ({ key, value, older }) => {
      if (!overlay.covers(id, key)) await put(key, value, older);
      await this.#collector.pause();
    });
    for (const { key, value } of overlay.rows(id)) await put(key, value, false);
    codec?.release();
    if (unreadable > 0) this.#unreadable(name ?? `#${id}`, unreadable);
    const missing = gathered === undefined
      ? 0
      : gathered.expected === undefined
      ? undefined
      : Math.max(0, gathered.expected - gathered.rows);
    const lost = missing === undefined ? undefined : missing + unreadable;
    return { id, name: name ?? `#${id}`, kept, lost, older, rebuilt };
  }

  #unreadable(table: string, count: number): void {
    this.#inspection.findings.add({
      severity: "error",
      code: "CORRUPT_RECORD",
      reason: "record",
      message: `${count} records of table ${table} cannot be read with its schema.`,
      advice: "They are left out.",
      table,
      actual: count,
    });
  }

  async #finish(tables: SalvagedTable[], registry: Gathered, sequenceAfter: number): Promise<SalvageReport> {
    const { findings } = this.#inspection;
    const { plan, collector } = { plan: this.#plan, collector: this.#collector };
    const target = this.#target;
    const made = target === undefined ? undefined : await this.#complete(target, tables);
    const lost = tables.reduce((sum, table) => sum + (table.rebuilt ? 0 : table.lost ?? 0), 0);
    const unused = plan.leaves === undefined ? 0 : [...plan.leaves].filter((page) => !collector.visited.has(page)).length;
    const older = tables.some((table) => table.older > 0 && !table.rebuilt);
    return {
      from: this.#from,
      dryRun: target === undefined,
      whole: lost === 0 && !older && registry.lost.length === 0 && findings.counts.error === 0 && this.#from === "best",
      generation: plan.generation,
      groups: plan.groups,
      frames: plan.frames,
      tables: made?.tables ?? tables,
      kept: tables.reduce((sum, table) => sum + (table.rebuilt ? 0 : table.kept), 0),
      lost,
      pagesDamaged: this.#damaged.size,
      pagesUnused: unused,
      sequenceBefore: plan.sequence,
      sequenceAfter,
      findings: { ...findings.counts },
      sourceFileId: plan.sourceFileId,
      fileId: target?.store.fileId,
      historyId: target?.store.historyId,
      verified: target === undefined ? undefined : true,
      databasesMade: made?.databases ?? [],
      objectsHeld: made?.held ?? 0,
    };
  }

  /** Makes what follows from rows, verifies the file, and makes it a manifest. */
  async #complete(
    target: Target,
    tables: SalvagedTable[],
  ): Promise<{ tables: SalvagedTable[]; databases: readonly number[]; held: number }> {
    const inspection = this.#inspection;
    inspection.progress("rebuild", 0, 0);
    const { environment, wasm } = inspection;
    const core = new ManifestCore(target.store, environment, { retention: undefined, cache: undefined, cacheId: undefined });
    await core.openTables(BUILT_IN.map(({ table }) => table));
    const { databases, held } = await rebuild(inspection, core, target);
    const rows = new Map(target.store.listTables().map(({ id }) => [id, target.store.newest.tree(id).rows]));
    const file = await target.close();
    inspection.progress("verify", 0, 0);
    const found: Finding[] = [];
    const { verdict } = await checkFile(file, {
      level: "deep",
      environment,
      cacheBytes: this.#cacheBytes,
      ...wasm === undefined ? {} : { wasm },
      onFinding: (finding) => found.push(finding),
    });
    if (verdict !== "clean") {
      const first = found.find(({ severity }) => severity !== "info");
      fail("IO_WRITE", `Cannot salvage into "${file.name}": what was written does not pass the check: ${first?.message}`, {
        detail: { file: file.name, page: first?.page, offset: first?.offset },
      });
    }
    inspection.check();
    await target.publish();
    return {
      tables: tables.map((table) => table.rebuilt ? { ...table, kept: rows.get(table.id) ?? 0, lost: 0, older: 0 } : table),
      databases,
      held,
    };
  }
}
