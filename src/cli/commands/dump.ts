// `dump`: the tables and their rows, decoded with the schemas that the file itself keeps.
//
// Beside a writer the state that is read can be replaced before it is read to its end. So much output is held back that most dumps can begin again without anybody noticing; a longer one ends with
// SNAPSHOT_EXPIRED.
import { type DumpItem, dumpTables, openSource } from "../../inspect/mod.ts";
import { systemEnvironment } from "../../store/environment.ts";
import type { CliCommand, Invocation } from "../command.ts";
import { ExitCode, worse } from "../exit_code.ts";
import { hasCode } from "../printer.ts";
import { alignRows, bytesText, countText, printable } from "../text.ts";
import { valueText } from "../values.ts";

const HELD_MAX = 4 << 20;
const AGAIN_MAX = 20;

/** The command. */
export const dump: CliCommand = {
  name: "dump",
  summary: "print the tables and, with --values, their rows",
  declare(command) {
    command
      .option("--table <NAME>", "only this table")
      .option("--values", "show keys and values");
  },
  async run(invocation) {
    for (let again = 0;; again++) {
      const output = new HeldOutput(invocation);
      try {
        return await dumpOnce(invocation, output);
      } catch (error) {
        if (!hasCode(error, "SNAPSHOT_EXPIRED") || output.flushed || again === AGAIN_MAX) throw error;
        await systemEnvironment.yield();
      }
    }
  },
};

async function dumpOnce({ file, io, options, printer }: Invocation, output: HeldOutput): Promise<ExitCode> {
  const storage = openSource(file, { followSymlink: options.followSymlink === true });
  try {
    const totals: Total[] = [];
    let code: ExitCode = ExitCode.clean;
    const items = dumpTables(storage, {
      signal: io.signal,
      values: options.values === true,
      ...(typeof options.table === "string" ? { table: options.table } : {}),
      ...(typeof options.cache === "number" ? { cacheBytes: options.cache * 2 ** 20 } : {}),
    });
    for await (const item of items) {
      if (item.type === "damage") code = worse(code, ExitCode.damage);
      if (printer.json) await output.record(item);
      else if (options.values === true) await output.text(itemText(item));
      else if (item.type === "damage") await output.text(itemText(item));
      else add(totals, item);
      if (io.closed.aborted) return code;
    }
    await output.text(...totalLines(totals));
    await output.flush();
    return code;
  } finally {
    storage.close();
  }
}

/** Output that can be taken back until it is too much. */
class HeldOutput {
  /** Whether something has been printed. */
  flushed = false;
  readonly #invocation: Invocation;
  #parts: (() => Promise<void>)[] = [];
  #held = 0;

  constructor(invocation: Invocation) {
    this.#invocation = invocation;
  }

  async text(...lines: string[]): Promise<void> {
    if (lines.length > 0) await this.#add(lines.reduce((sum, line) => sum + line.length, 0), () => this.#invocation.printer.text(...lines));
  }

  async record({ type, ...fields }: DumpItem): Promise<void> {
    await this.#add(valueText(fields).length, () => this.#invocation.printer.record(type, fields));
  }

  async #add(length: number, print: () => Promise<void>): Promise<void> {
    if (this.flushed) return await print();
    this.#parts.push(print);
    this.#held += length;
    if (this.#held > HELD_MAX) await this.flush();
  }

  async flush(): Promise<void> {
    this.flushed = true;
    for (const print of this.#parts.splice(0)) await print();
  }
}

interface Total {
  readonly name: string;
  readonly builtIn: boolean;
  readonly rows: number;
  /** Its rows are computed: they take no bytes. */
  readonly computed: boolean;
  keyBytes: number;
  valueBytes: number;
}

function add(totals: Total[], item: Exclude<DumpItem, { type: "damage" }>): void {
  if (item.type === "table") {
    const { table: name, builtIn, rows, schema } = item;
    totals.push({ name, builtIn, rows, computed: schema === undefined, keyBytes: 0, valueBytes: 0 });
    return;
  }
  const total = totals.at(-1)!;
  total.keyBytes += item.keyBytes ?? 0;
  total.valueBytes += item.valueBytes ?? 0;
}

function totalLines(totals: readonly Total[]): string[] {
  if (totals.length === 0) return [];
  const rows = totals.map(({ name, builtIn, rows, computed, keyBytes, valueBytes }) => [
    printable(name),
    `${rows}`,
    computed ? "computed" : bytesText(keyBytes),
    computed ? "" : bytesText(valueBytes),
    builtIn ? "built in" : "user",
  ]);
  return alignRows([["table", "rows", "keys", "values", "kind"], ...rows], ["left", "right", "right", "right"]);
}

function itemText(item: DumpItem): string {
  switch (item.type) {
    case "table":
      return `${printable(item.table)}  ${countText(item.rows, "row")}`;
    case "row":
      return `  ${printable(valueText(item.key))}  ${printable(valueText(item.value))}`;
    case "damage":
      return `${printable(item.table)}  ${item.code}${item.page === undefined ? "" : ` page ${item.page}`}: ${printable(item.message)}`;
  }
}
