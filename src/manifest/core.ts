// What the parts of an open manifest share.
import type { Environment } from "../store/environment.ts";
import type { Staged, Store, View } from "../store/store.ts";
import type { AnyTable } from "../schema/schema.ts";
import { Bindings } from "./bindings.ts";
import { ChangeCodec } from "./log/change.ts";
import type { ChangeCache, ChangeCacheId } from "./log/change_cache.ts";
import { ChangeCursors } from "./log/change_cursor.ts";
import { ChangeLog, type LogRetention } from "./log/change_log.ts";
import { ChangeRecords } from "./log/change_records.ts";
import { JobIds } from "./write/job_ids.ts";
import { checkTable } from "./write/operation_builder.ts";
import { Published } from "./read/published.ts";
import { Staging } from "./write/staging.ts";
import { TableReader } from "./read/table_reader.ts";
import { unvalidated } from "./transact/validation.ts";
import { VirtualTables } from "./read/virtual_tables.ts";

/** What a manifest that was opened for reading keeps when it moves to another store. */
export interface Shared {
  /** What the log keeps without cursors. */
  readonly retention: LogRetention | undefined;
  /** Recent change records. */
  readonly cache: ChangeCache | undefined;
  /** Names the file in it; undefined: the file id. */
  readonly cacheId: ChangeCacheId | undefined;
}

/** What the parts of an open manifest share. */
export class ManifestCore {
  readonly store: Store;
  readonly environment: Environment;
  readonly bindings: Bindings;
  readonly staging: Staging;
  readonly changes: ChangeCodec;
  readonly log: ChangeLog;
  readonly jobIds: JobIds;
  /** Read-write transactions that are running. */
  readonly running: Set<{ close(): void }> = new Set();
  /** Whether read-write transactions are validated. */
  readonly validates: boolean;
  readonly records: ChangeRecords;
  readonly virtual: VirtualTables;
  readonly cursors: ChangeCursors;
  readonly #published: Published;

  constructor(store: Store, environment: Environment, shared: Shared) {
    this.store = store;
    this.environment = environment;
    this.bindings = new Bindings(store.kernel);
    this.staging = new Staging(store, this.bindings, (staging) => new ChangeLog(store, staging, shared.retention));
    this.changes = new ChangeCodec(store.kernel, this.bindings);
    this.log = this.staging.log;
    this.jobIds = new JobIds(store, this.bindings);
    this.validates = !unvalidated.has(environment);
    this.records = new ChangeRecords(this.log, this.changes, shared.cache, shared.cacheId ?? store.fileId);
    this.virtual = new VirtualTables(store, this.bindings, this.changes);
    this.cursors = new ChangeCursors(this);
    this.#published = new Published(store, (view, table) => this.reader(view, table));
  }

  /** The newest published state, for use within this turn. */
  published(): View {
    return this.#published.view();
  }

  /** The reader of a table in the newest published state, for use within this turn. */
  publishedReader(table: AnyTable): TableReader {
    return this.#published.reader(table);
  }

  /** Makes or checks the built-in tables. */
  async openTables(tables: readonly AnyTable[]): Promise<void> {
    const { store, bindings } = this;
    if (!store.readOnly) {
      const missing = tables.filter((table) => store.table(table.name) === undefined);
      if (missing.length > 0) await store.createTables(missing);
    }
    for (const table of tables) {
      const bound = bindings.need(store.newest, table, "open");
      if (bound.older && !store.readOnly) await store.setSchema(table.name, table.schema);
    }
  }

  /** Makes a table, or gives it the definition's schema, as a transaction does that writes to it. Durable when it resolves, also when nothing was to do. */
  async makeTable(table: AnyTable): Promise<void> {
    const { store, bindings, staging } = this;
    const found = bindings.find(store.newest, table);
    if (found !== undefined && !found.older) return await store.sync();
    const stage = (): Staged => {
      staging.begin(false);
      staging.bind(table);
      return staging.finish(undefined);
    };
    await store.commit({ change: false, registry: true, stage });
  }

  /** The reader of a table in a view. */
  reader(view: View, table: AnyTable): TableReader {
    checkTable(table);
    const computed = this.virtual.reader(view, table);
    if (computed !== undefined) return computed;
    const bound = this.bindings.need(view, table, "read");
    return new TableReader(this.store.kernel, this.bindings.arena, bound, view.tree(bound.info.id));
  }
}
