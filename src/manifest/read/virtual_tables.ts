// The computed tables of a manifest: change log, journal and runtime state, shown as tables.
import { TABLE_ID_CHANGES, TABLE_ID_COMMITS } from "../../../assembly/format.ts";
import type { AnyTable } from "../../schema/schema.ts";
import { bigEndian } from "../../store/raw_ops.ts";
import type { Scan, Store, View } from "../../store/store.ts";
import type { Bindings, Bound } from "../bindings.ts";
import type { Change, ChangeCodec } from "../log/change.ts";
import { freezeChange } from "../log/change_records.ts";
import { NumberedReader, type NumberedRow, type NumberedRows } from "./numbered_table.ts";
import { changeLog } from "../tables/change_log.ts";
import { type PendingBatch, pendingBatches } from "../tables/pending_batches.ts";
import { type RuntimeState, runtimeStates } from "../tables/runtime_state.ts";

/** Their definitions, by name. */
export const VIRTUAL: readonly AnyTable[] = [changeLog, pendingBatches, runtimeStates];

const BY_NAME: ReadonlyMap<string, AnyTable> = new Map(VIRTUAL.map((table) => [table.name, table]));

/** Whether a table of this name is computed. */
export function isVirtual(name: string): boolean {
  return BY_NAME.has(name);
}

/** A batch of rows ends behind so many bytes. */
const BATCH_BYTES = 1 << 20;
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** The computed tables of one store. */
export class VirtualTables {
  readonly #store: Store;
  readonly #bindings: Bindings;
  readonly #codec: ChangeCodec;
  readonly #bound = new Map<string, Bound>();

  constructor(store: Store, bindings: Bindings, codec: ChangeCodec) {
    this.#store = store;
    this.#bindings = bindings;
    this.#codec = codec;
  }

  /** The reader of a computed table in a state; undefined when the table is none. */
  reader(view: View, table: AnyTable): NumberedReader | undefined {
    const own = BY_NAME.get(table.name);
    if (own === undefined) return undefined;
    let bound = this.#bound.get(own.name);
    if (bound === undefined) this.#bound.set(own.name, bound = this.#bindings.provisional(own));
    return new NumberedReader(this.#store.kernel, this.#bindings.arena, bound, view, this.#rows(view, own));
  }

  #rows(view: View, table: AnyTable): NumberedRows {
    if (table === changeLog) return new ChangeRows(view, this.#codec);
    if (table === pendingBatches) return new PendingRows(view, this.#store, this.#codec);
    return new RuntimeRows(this.runtimeState());
  }

  /** Names and numbers of rows. */
  list(view: View): { name: string; rows: number }[] {
    return VIRTUAL.map((table) => ({ name: table.name, rows: this.#rows(view, table).count() }));
  }

  /** The row of runtime_state. */
  runtimeState(): RuntimeState | undefined {
    const { holder, recovery, epoch, fileId } = this.#store;
    const clean = recovery.clean || recovery.created;
    if (holder === undefined && clean) return undefined;
    const instanceId = `${fileId}-${epoch.toString(16).padStart(8, "0")}`;
    if (holder === undefined) return { instanceId, epoch, clean, own: false };
    return { instanceId, epoch, clean, own: true, pid: holder.pid, runtime: holder.runtime, startedAt: Date.parse(holder.since) };
  }
}

/** The number in a row's key. */
function numberOf(scan: Scan, row: number): number {
  const key = scan.key(row);
  const view = new DataView(key.buffer, key.byteOffset);
  return view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4);
}

/** Reads rows of a tree whose keys are numbers, some at a time. */
function readRows(
  view: View,
  table: number,
  low: number,
  high: number,
  reverse: boolean,
  most: number,
  keysOnly: boolean,
  value: (scan: Scan, row: number, number: number) => object,
): NumberedRow[] {
  const scan = view.tree(table).scan({ lower: bigEndian(low), upper: bigEndian(high), upperInclusive: true, reverse, keysOnly });
  try {
    const count = scan.next(most, BATCH_BYTES);
    const rows: NumberedRow[] = [];
    for (let row = 0; row < count; row++) {
      const number = numberOf(scan, row);
      rows.push([number, keysOnly ? undefined : value(scan, row, number)]);
    }
    return rows;
  } finally {
    scan.close();
  }
}

/** Rows of change_log. */
class ChangeRows implements NumberedRows {
  readonly #view: View;
  readonly #codec: ChangeCodec;

  constructor(view: View, codec: ChangeCodec) {
    this.#view = view;
    this.#codec = codec;
  }

  count(): number {
    return this.#view.tree(TABLE_ID_CHANGES).rows;
  }

  get(number: number): Change | undefined {
    return this.read(number, number, false, 1, false)[0]?.[1] as Change | undefined;
  }

  read(low: number, high: number, reverse: boolean, most: number, keysOnly: boolean): NumberedRow[] {
    const view = this.#view;
    view.tables(); // read now: the records below must not be disturbed by it
    const tables = new Map();
    return readRows(view, TABLE_ID_CHANGES, low, high, reverse, most, keysOnly, (scan, row, sequence) => {
      const at = scan.loadValue(row);
      return freezeChange(this.#codec.decode(view, tables, sequence, at, scan.valueLength));
    });
  }
}

/** Rows of pending_batches. */
class PendingRows implements NumberedRows {
  readonly #view: View;
  readonly #store: Store;
  readonly #changes: ChangeRows;

  constructor(view: View, store: Store, codec: ChangeCodec) {
    this.#view = view;
    this.#store = store;
    this.#changes = new ChangeRows(view, codec);
  }

  count(): number {
    let sum = 0;
    for (let low = 0;;) {
      const rows = this.read(low, Number.MAX_SAFE_INTEGER, false, 512, true);
      if (rows.length === 0) return sum;
      sum += rows.length;
      low = rows[rows.length - 1]![0] + 1;
    }
  }

  get(number: number): PendingBatch | undefined {
    return this.read(number, number, false, 1, false)[0]?.[1] as PendingBatch | undefined;
  }

  read(low: number, high: number, reverse: boolean, most: number, keysOnly: boolean): NumberedRow[] {
    const first = Math.max(low, this.#store.checkpointFrame + 1);
    const last = Math.min(high, this.#store.durableFrame);
    if (first > last) return [];
    const rows = readRows(this.#view, TABLE_ID_COMMITS, first, last, reverse, most, keysOnly, (scan, row) => batchOf(scan.value(row)));
    if (keysOnly) return rows;
    return rows.map(([frame, batch]) => [frame, this.#withChange(batch as PendingBatch)]);
  }

  #withChange(batch: PendingBatch): PendingBatch {
    const change = batch.sequence === 0 ? undefined : this.#changes.get(batch.sequence);
    if (change === undefined) return batch;
    return { ...batch, committedAt: change.committedAt, operations: change.operations };
  }
}

/** A row of the table of commits: id, then sequence. */
function batchOf(value: Uint8Array): PendingBatch {
  let commitId = "";
  for (let i = 0; i < 16; i++) commitId += HEX[value[i]!];
  const view = new DataView(value.buffer, value.byteOffset);
  const sequence = view.getUint32(16, true) + view.getUint32(20, true) * 0x1_0000_0000;
  return { commitId, sequence, operations: [] };
}

/** Rows of runtime_state. */
class RuntimeRows implements NumberedRows {
  readonly #state: RuntimeState | undefined;

  constructor(state: RuntimeState | undefined) {
    this.#state = state;
  }

  count(): number {
    return this.#state === undefined ? 0 : 1;
  }

  get(number: number): RuntimeState | undefined {
    return number === 0 ? this.#state : undefined;
  }

  read(low: number, _high: number, _reverse: boolean, most: number, keysOnly: boolean): NumberedRow[] {
    if (low > 0 || most < 1 || this.#state === undefined) return [];
    return [[0, keysOnly ? undefined : this.#state]];
  }
}
