// Rows of tables from states, newest first: what the newest tells is taken as it is; only where it is damaged do older ones fill in.
//
// Invariants: every row that is handed out was in that table in one of the states, under pages that vouch for each other from the roots down; none is handed out twice; rows that a newer state has deleted or changed
// are not taken from an older one outside the stretches that the newer one has lost.
import { isManifestError } from "../errors.ts";
import type { Finding } from "./finding.ts";
import type { Inspection } from "./inspection.ts";
import type { Meta } from "../store/meta.ts";
import { EVERYTHING, intersect, isIn, merged, onlyKey, without } from "./lost_ranges.ts";
import { rootKey, type State } from "./states.ts";
import { readLeaf, type UnlinkedLeaf } from "./unlinked.ts";
import { isEmptyRoot, type LostRange, type VisitedRow, type Visitor } from "./visitor.ts";

/** Distinct roots of one table that are looked at. */
const ROOTS_MOST = 64;

/** What was gathered of a table. */
export interface Gathered {
  /** Rows that the newest state which tells of the table should have; undefined: none tells. */
  readonly expected: number | undefined;
  /** Rows handed out, and of them those from an older state than the newest. */
  readonly rows: number;
  readonly older: number;
  /** Stretches that stay lost. */
  readonly lost: readonly LostRange[];
}

/** A row of a state. */
export interface CollectedRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** From an older state than the newest. */
  readonly older: boolean;
}

/** Gathers rows. */
export class Collector {
  /** Leaf pages that rows were taken from, or could have been. */
  readonly visited: Set<number> = new Set();
  readonly #inspection: Inspection;
  readonly #meta: Meta;
  readonly #visitor: Visitor;
  readonly #states: readonly State[];
  readonly #found: (findings: Finding[]) => void;
  readonly #quiet: (table: number, key: Uint8Array) => boolean;
  /** Pages of the newest state that nothing leads to, by table. */
  unlinked: ReadonlyMap<number, readonly UnlinkedLeaf[]> = new Map();

  /** `found` hears what is damaged in the newest state; rows for which `superseded` says so are handed out without their value being looked at. */
  constructor(
    inspection: Inspection,
    meta: Meta,
    visitor: Visitor,
    states: readonly State[],
    found: (findings: Finding[]) => void,
    superseded: (table: number, key: Uint8Array) => boolean,
  ) {
    this.#inspection = inspection;
    this.#meta = meta;
    this.#visitor = visitor;
    this.#states = states;
    this.#found = found;
    this.#quiet = superseded;
  }

  /** Ids of all tables that any state names. */
  get tables(): number[] {
    return [...new Set(this.#states.flatMap(({ roots }) => [...roots.keys()]))];
  }

  /** Hands out the rows of a table; of one state in key order. */
  async gather(table: number, hand: (row: CollectedRow) => unknown): Promise<Gathered> {
    let open: readonly LostRange[] = EVERYTHING;
    let expected: number | undefined;
    let rows = 0;
    let older = 0;
    const seen = new Set<string>();
    for (let i = 0; i < this.#states.length && open.length > 0 && seen.size < ROOTS_MOST; i++) {
      const { roots, untold } = this.#states[i]!;
      const root = roots.get(table);
      if (root === undefined && isIn(untold, rootKey(table))) continue;
      expected ??= root?.rows ?? 0;
      // The table has no rows in this state: in what was still open there is nothing to be had, and nothing was lost.
      if (root === undefined || isEmptyRoot(root)) {
        open = [];
        break;
      }
      const name = root.pointer.join();
      if (seen.has(name)) continue;
      seen.add(name);
      const lost: LostRange[] = [];
      const quiet = i > 0;
      for await (const visit of this.#visitor.visit(root, quiet ? () => {} : this.#found)) {
        if (visit.type === "lost") {
          lost.push(visit.range);
          continue;
        }
        this.visited.add(visit.page);
        for (const row of visit.rows()) {
          if (!isIn(open, row.key)) continue;
          const value = this.#value(table, row, quiet);
          if (value === undefined) {
            lost.push(onlyKey(row.key));
            continue;
          }
          rows++;
          if (i > 0) older++;
          await hand({ key: row.key, value, older: i > 0 });
        }
      }
      open = intersect(open, merged(lost));
      if (i > 0) continue;
      for (const { page, first, last } of this.unlinked.get(table) ?? []) {
        this.visited.add(page);
        for (const row of readLeaf(this.#inspection, this.#visitor, this.#meta, page)) {
          const value = isIn(open, row.key) ? this.#value(table, row, false) : undefined;
          if (value === undefined) continue;
          rows++;
          await hand({ key: row.key, value, older: false });
        }
        open = without(open, first, last);
      }
    }
    return { expected, rows, older, lost: expected === undefined ? [] : open };
  }

  /** A row's value; undefined when it is damaged. One that the journal replaces need not be read. */
  #value(table: number, row: VisitedRow, quiet: boolean): Uint8Array | undefined {
    if (row.value instanceof Uint8Array) return row.value;
    if (this.#quiet(table, row.key)) return new Uint8Array(0);
    try {
      return this.#visitor.value(row);
    } catch (error) {
      if (!isManifestError(error) || (error.kind !== "data" && error.kind !== "io")) throw error;
      const { page } = row.value;
      if (!quiet) {
        this.#found([{
          severity: "error",
          code: error.code === "IO_READ" ? "IO_READ" : "CORRUPT_PAGE",
          reason: typeof error.detail.reason === "string" ? error.detail.reason : "unreadable",
          message: `${error.message}.`,
          advice: "The value is lost unless an older state has it.",
          page,
        }]);
      }
      return undefined;
    }
  }

  /** Lets others have a turn. */
  pause(): Promise<void> {
    return this.#inspection.step();
  }
}
