// Asks a store for everything it holds, in every way, and holds each answer against what it must be.
//
// The rule: an answer is right, or it is an error that names a damaged page. A row that is wrong, missing or too many, an error of no type, an error about a page that is whole, and an iteration that goes on behind
// an error are all `Wrong`. What must fail follows from the damaged pages and from the undamaged file's structure, so neither too few nor too many errors pass.
import { Buffer } from "node:buffer";
import { isManifestError, type ManifestErrorFields } from "../../../src/errors.ts";
import { ARENA_START, type ReadTransaction, type Scan, type Store, type Tree } from "../../../src/store/store.ts";
import type { Expected, ExpectedRow, ExpectedTable } from "./expected.ts";
import { Hang } from "./flat_storage.ts";

/** A wrong answer, or none. */
export class Wrong extends Error {}

/** An error as the judges see it. */
export interface Named {
  readonly code: string;
  readonly reason: string | undefined;
  readonly page: number | undefined;
}

/** What was found. */
export interface Answers {
  /** Rows whose look-up was refused by name. */
  refused: number;
  /** The first error. */
  first: Named | undefined;
  /** Why each page was refused. */
  readonly pages: Map<number, string>;
}

/** An error of this package as a name; anything else is wrong. */
export function named(error: unknown, where: string): Named {
  if (error instanceof Wrong || error instanceof Hang) throw error;
  if (!isManifestError(error)) throw new Wrong(`${where}: an error of no type: ${error instanceof Error ? error.stack : String(error)}`);
  if (error.code === "CORE_TRAP" || error.code === "INVARIANT") {
    throw new Wrong(`${where}: ${error.code}: ${error.message} ${JSON.stringify(error.detail)} ${cause(error)}`);
  }
  const { page, reason } = error.detail as { page?: number; reason?: string };
  return { code: error.code, reason, page };
}

function cause(error: ManifestErrorFields): string {
  return error.cause instanceof Error ? `(${error.cause.stack})` : "";
}

const NONE: ReadonlySet<number> = new Set();

/** Reads every row of every table: by look-up, in order and in reverse, and counts them. */
export class Interrogation {
  readonly answers: Answers = { refused: 0, first: undefined, pages: new Map() };
  readonly #store: Store;
  readonly #expected: Expected;
  readonly #damaged: ReadonlySet<number>;

  constructor(store: Store, expected: Expected, damaged: ReadonlySet<number> = NONE) {
    this.#store = store;
    this.#expected = expected;
    this.#damaged = damaged;
  }

  /** Asks everything. */
  run(): Answers {
    const { durableSequence } = this.#store;
    if (durableSequence !== this.#expected.sequence) {
      throw new Wrong(`the newest change is ${durableSequence}, expected ${this.#expected.sequence}`);
    }
    using transaction = this.#store.read();
    for (const table of this.#expected.tables) this.#table(transaction, table);
    return this.answers;
  }

  #hit(pages: readonly number[]): boolean {
    if (this.#damaged.size === 0) return false;
    for (const page of pages) if (this.#damaged.has(page)) return true;
    return false;
  }

  #note(error: unknown, where: string): Named {
    const name = named(error, where);
    if (name.code !== "CORRUPT_PAGE" || name.page === undefined || name.reason === undefined) {
      throw new Wrong(`${where}: ${name.code}, page ${name.page}, reason ${name.reason}`);
    }
    if (!this.#damaged.has(name.page) && !this.#damaged.has(this.#expected.image.nodes.get(name.page)?.page ?? -1)) {
      const run = this.#expected.image.nodes.get(name.page);
      const inRun = run !== undefined && Array.from({ length: run.pages }, (_, i) => run.page + i).some((page) => this.#damaged.has(page));
      if (!inRun) throw new Wrong(`${where}: page ${name.page} is named (${name.reason}), and is whole`);
    }
    const before = this.answers.pages.get(name.page);
    if (before !== undefined && before !== name.reason) {
      throw new Wrong(`${where}: page ${name.page} is ${name.reason}, and before ${before}`);
    }
    this.answers.pages.set(name.page, name.reason);
    return this.answers.first ??= name;
  }

  #table(transaction: ReadTransaction, table: ExpectedTable): void {
    let tree: Tree;
    try {
      tree = transaction.tree(table.id);
    } catch (error) {
      if (!this.#hit(table.roots)) {
        throw new Wrong(`table ${table.id} cannot be opened though its roots are whole: ${named(error, "open").code}`);
      }
      this.#note(error, `table ${table.id}`);
      this.answers.refused += table.rows.length;
      return;
    }
    if (this.#hit(table.roots)) throw new Wrong(`table ${table.id} is opened from a damaged page`);
    if (tree.rows !== table.rows.length) throw new Wrong(`table ${table.id} has ${tree.rows} rows, expected ${table.rows.length}`);
    this.#scan(tree, table, false);
    this.#scan(tree, table, true);
    this.#count(tree, table);
    for (let i = 0; i < table.rows.length; i++) this.#lookUp(tree, table, i);
    this.#absent(tree, table);
  }

  #same(at: number, length: number, wanted: Uint8Array): boolean {
    if (length !== wanted.length) return false;
    const memory = this.#store.kernel.u8;
    if (length > 64) return Buffer.compare(memory.subarray(at, at + length), wanted) === 0;
    for (let i = 0; i < length; i++) if (memory[at + i] !== wanted[i]) return false;
    return true;
  }

  #lookUp(tree: Tree, table: ExpectedTable, index: number): void {
    const row = table.rows[index]!;
    const hit = this.#hit(row.tree) || this.#hit(row.run);
    const { kernel } = this.#store;
    try {
      const at = (kernel.exports.arena(ARENA_START + 2048) >>> 0) + ARENA_START;
      kernel.u8.set(row.key, at);
      if (!tree.find(at, row.key.length)) throw new Wrong(`table ${table.id}: row ${index} is gone`);
      if (!this.#same(tree.valueAt, tree.valueLength, row.value)) throw new Wrong(`table ${table.id}: row ${index} is another`);
      if (hit) throw new Wrong(`table ${table.id}: row ${index} is answered from a damaged page`);
    } catch (error) {
      const name = named(error, `table ${table.id}, row ${index}`);
      if (!hit) {
        throw new Wrong(
          `table ${table.id}: row ${index} is refused (${name.code}, page ${name.page}, ${name.reason}), and its pages are whole`,
        );
      }
      this.#note(error, `table ${table.id}, row ${index}`);
      this.answers.refused++;
    }
  }

  /** A key that is not there: behind the last row. */
  #absent(tree: Tree, table: ExpectedTable): void {
    const last = table.rows.at(-1);
    if (last === undefined || this.#hit(last.tree)) return;
    const key = new Uint8Array(last.key.length + 1);
    key.set(last.key);
    if (tree.get(key) !== undefined) throw new Wrong(`table ${table.id}: a row that nobody has written`);
  }

  #count(tree: Tree, table: ExpectedTable): void {
    const hit = table.rows.some((row) => this.#hit(row.tree));
    using scan = tree.scan();
    try {
      const count = scan.count();
      if (hit || count !== table.rows.length) {
        throw new Wrong(`table ${table.id}: ${count} rows are counted, expected ${hit ? "an error" : table.rows.length}`);
      }
    } catch (error) {
      if (!hit) throw error instanceof Wrong ? error : new Wrong(`table ${table.id}: counting fails: ${named(error, "count").code}`);
      this.#note(error, `table ${table.id}, count`);
      this.#stillFails(scan, () => scan.count(), table);
    }
  }

  /** An iteration that has failed keeps failing, with the same error. */
  #stillFails(_scan: Scan, again: () => unknown, table: ExpectedTable): void {
    for (let i = 0; i < 2; i++) {
      try {
        again();
      } catch (error) {
        this.#note(error, `table ${table.id}, after an error`);
        continue;
      }
      throw new Wrong(`table ${table.id}: an iteration goes on behind an error`);
    }
  }

  #scan(tree: Tree, table: ExpectedTable, reverse: boolean): void {
    const { rows } = table;
    const at = (i: number): ExpectedRow => rows[reverse ? rows.length - 1 - i : i]!;
    using scan = tree.scan({ reverse });
    let seen = 0;
    for (;;) {
      let got: number;
      try {
        got = scan.next(64, 1 << 14);
      } catch (error) {
        const due = seen < rows.length && rows.some((row) => this.#hit(row.tree));
        if (!due) throw new Wrong(`table ${table.id}: a scan fails at row ${seen}: ${JSON.stringify(named(error, "scan"))}`);
        this.#note(error, `table ${table.id}, scan`);
        this.#stillFails(scan, () => scan.next(64, 1 << 14), table);
        return;
      }
      if (got === 0) break;
      for (let i = 0; i < got; i++, seen++) {
        if (seen >= rows.length) throw new Wrong(`table ${table.id}: a scan has another row`);
        this.#scanned(scan, i, at(seen), table, seen, !reverse);
      }
    }
    if (seen !== rows.length) {
      throw new Wrong(`table ${table.id}: a scan${reverse ? " in reverse" : ""} ends behind ${seen} of ${rows.length} rows`);
    }
  }

  #scanned(scan: Scan, i: number, row: ExpectedRow, table: ExpectedTable, index: number, runs: boolean): void {
    const words = this.#store.kernel.u32;
    const entry = (scan.rowsAt >>> 2) + i * 4;
    if (!this.#same(scan.dataAt + words[entry]!, words[entry + 1]!, row.key)) {
      throw new Wrong(`table ${table.id}: row ${index} of a scan is another`);
    }
    if (this.#hit(row.tree)) throw new Wrong(`table ${table.id}: row ${index} of a scan comes from a damaged page`);
    // The bytes of a run are the same whichever way one comes to it.
    if (!runs && scan.isRun(i)) return;
    const hit = this.#hit(row.run);
    try {
      const at = scan.loadValue(i);
      if (hit || !this.#same(at, scan.valueLength, row.value)) {
        throw new Wrong(`table ${table.id}: the value of row ${index} of a scan is another`);
      }
    } catch (error) {
      if (!hit) {
        throw error instanceof Wrong
          ? error
          : new Wrong(`table ${table.id}: the value of row ${index} is refused: ${named(error, "value").code}`);
      }
      this.#note(error, `table ${table.id}, value ${index}`);
    }
  }
}
