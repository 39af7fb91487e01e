// What a run of a stage covered: counts, a matrix of outcomes, failures, what was skipped. Reports of parts add up.
//
// A count that falls under its target is a failure of the stage. One that something skipped took part in is void: it is named with the reason, and no target is held against it, because a machine that cannot do a thing proves
// nothing about it either way.

/** A case that failed. */
export interface StageFailure {
  /** What went wrong, the case included. */
  readonly text: string;
  /** The command that makes the case again. */
  readonly replay: string;
}

/** Something that this machine could not do, and the count that is void for it. */
export interface SkippedCount {
  readonly count: string;
  readonly why: string;
}

/** A report as JSON. */
export interface StageReportJson {
  readonly counts: Record<string, number>;
  readonly matrices: Record<string, Record<string, Record<string, number>>>;
  readonly notes: string[];
  readonly skipped: SkippedCount[];
  readonly failures: StageFailure[];
  readonly failed: number;
}

/** Failures kept with their text; the others are counted. */
const FAILURES_KEPT = 8;

/** Collects what a run of a stage covers. */
export class StageReport {
  /** The stage's name, for commands. */
  readonly stage: string;
  readonly #counts = new Map<string, number>();
  readonly #matrices = new Map<string, Map<string, Map<string, number>>>();
  readonly #notes: string[] = [];
  readonly #skipped: SkippedCount[] = [];
  readonly #failures: StageFailure[] = [];
  #failed = 0;
  /** Told of each case before it is made, by the command that makes it again. */
  onCase: ((replay: string) => void) | undefined;

  constructor(stage: string) {
    this.stage = stage;
  }

  /** Cases that failed. */
  get failed(): number {
    return this.#failed;
  }

  /** Adds to a count; adding 0 names it. */
  count(what: string, by = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + by);
  }

  /** A count so far. */
  counted(what: string): number {
    return this.#counts.get(what) ?? 0;
  }

  /** Adds to a cell of a matrix, for example workload × outcome. */
  cell(matrix: string, row: string, column: string, by = 1): void {
    const rows = this.#matrices.get(matrix) ?? this.#matrices.set(matrix, new Map()).get(matrix)!;
    const cells = rows.get(row) ?? rows.set(row, new Map()).get(row)!;
    cells.set(column, (cells.get(column) ?? 0) + by);
  }

  /** A line for people, below the counts. */
  note(text: string): void {
    this.#notes.push(text);
  }

  /** Says that this machine cannot make a count; its target is void then, and the summary says so. */
  skip(count: string, why: string): void {
    if (!this.#skipped.some((item) => item.count === count && item.why === why)) this.#skipped.push({ count, why });
  }

  /** A case is about to be made: should it never end, it can be named by these flags. */
  begin(flags: Readonly<Record<string, string | number>>): void {
    this.onCase?.(replayCommand(this.stage, flags));
  }

  /** A case that failed, and the flags that make it again. */
  fail(text: string, flags: Readonly<Record<string, string | number>>): void {
    this.#failed++;
    if (this.#failures.length < FAILURES_KEPT) this.#failures.push({ text, replay: replayCommand(this.stage, flags) });
  }

  /** Adds the report of another part. */
  add(json: StageReportJson): void {
    for (const [what, by] of Object.entries(json.counts)) this.count(what, by);
    for (const [matrix, rows] of Object.entries(json.matrices)) {
      for (const [row, cells] of Object.entries(rows)) for (const [column, by] of Object.entries(cells)) this.cell(matrix, row, column, by);
    }
    for (const note of json.notes) if (!this.#notes.includes(note)) this.note(note);
    for (const { count, why } of json.skipped) this.skip(count, why);
    this.#failures.push(...json.failures.slice(0, Math.max(0, FAILURES_KEPT - this.#failures.length)));
    this.#failed += json.failed;
  }

  /** The report as JSON. */
  toJSON(): StageReportJson {
    const matrices: StageReportJson["matrices"] = {};
    for (const [matrix, rows] of this.#matrices) {
      matrices[matrix] = Object.fromEntries([...rows].map(([row, cells]) => [row, Object.fromEntries(cells)]));
    }
    return {
      counts: Object.fromEntries(this.#counts),
      matrices,
      notes: this.#notes,
      skipped: this.#skipped,
      failures: this.#failures,
      failed: this.#failed,
    };
  }

  /** The counts that fall under their targets, in words; those that something skipped took part in are left out. */
  shortfalls(targets: Readonly<Record<string, number>>): string[] {
    return Object.entries(targets).filter(([what, target]) =>
      this.counted(what) < target && !this.#skipped.some(({ count }) => count === what)
    )
      .map(([what, target]) => `${what}: ${number(this.counted(what))}, at least ${number(target)} are asked for`);
  }

  /** Everything but the failures, for people. */
  lines(targets: Readonly<Record<string, number>> = {}): string[] {
    const lines: string[] = [];
    for (const [what, count] of this.#counts) {
      const skipped = this.#skipped.find((item) => item.count === what);
      const target = targets[what] === undefined ? "" : ` (target ${number(targets[what])})`;
      lines.push(`${what}: ${number(count)}${target}${skipped === undefined ? "" : ` VOID: ${skipped.why}`}`);
    }
    for (const { count, why } of this.#skipped) if (!this.#counts.has(count)) lines.push(`${count}: SKIPPED: ${why}`);
    for (const [matrix, rows] of this.#matrices) lines.push(...matrixLines(matrix, rows));
    return [...lines, ...this.#notes];
  }

  /** Failures, each with its command. */
  failureLines(): string[] {
    const lines = this.#failures.flatMap(({ text, replay }) => [text, `  replay: ${replay}`]);
    if (this.#failed > this.#failures.length) lines.push(`and ${this.#failed - this.#failures.length} more`);
    return lines;
  }
}

/** The command that makes a case again. */
export function replayCommand(stage: string, flags: Readonly<Record<string, string | number>>): string {
  const words = Object.entries(flags).map(([name, value]) =>
    ` --${name} ${/^[\w./:,-]+$/.test(String(value)) ? value : JSON.stringify(value)}`
  );
  return `deno run -A tests/stages/run.ts --stage ${stage} --replay${words.join("")}`;
}

function matrixLines(name: string, rows: Map<string, Map<string, number>>): string[] {
  const columns = [...new Set([...rows.values()].flatMap((cells) => [...cells.keys()]))];
  const table = [[name, ...columns], ...[...rows].map(([row, cells]) => [row, ...columns.map((column) => number(cells.get(column) ?? 0))])];
  const total = columns.map((column) => number([...rows.values()].reduce((sum, cells) => sum + (cells.get(column) ?? 0), 0)));
  if (rows.size > 1) table.push(["all", ...total]);
  const widths = table[0]!.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  return table.map((line) =>
    line.map((text, column) => column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!)).join("  ")
  );
}

function number(value: number): string {
  return Number.isInteger(value) ? String(value).replace(/\B(?=(\d{3})+$)/g, ",") : value.toFixed(2);
}
