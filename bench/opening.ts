// S9: how long opening takes after a clean close, by size of the file. Rows of 1,000 bytes; every open is of a file that was closed in order, and one row is read
// behind it, so that a lazy open has to do its work. The files are in the system's cache for all.
import { mkdirSync } from "node:fs";
import { bytes, defineTable, Manifest, u53 } from "../mod.ts";
import { collectGarbage, median } from "./rounds.ts";
import type { LmdbModule } from "./stores/lmdb.ts";

const ROW_BYTES = 1000;
const BATCH_ROWS = 2000;

/** Sizes of the live rows, in bytes. */
export const OPEN_SIZES: readonly number[] = [1e6, 1e8, 1e9];

/** A store that is opened and closed. */
export interface Opener {
  readonly name: string;
  /** Makes a store of so many rows and closes it. */
  build(folder: string, rows: number): Promise<void>;
  /** Opens it, reads a row, and returns what closes it again. The row's length is checked. */
  open(folder: string, row: number): Promise<() => Promise<void>>;
}

/** Opening times of one store at one size. */
export interface OpenScore {
  contender: string;
  liveBytes: number;
  /** Milliseconds, by round. */
  rounds: number[];
  median: number;
}

const table = defineTable({ name: "rows", key: [u53("row")], value: { content: bytes() } });

function content(row: number): Uint8Array {
  return new Uint8Array(ROW_BYTES).fill(row & 255);
}

function check(name: string, length: number | undefined): void {
  if (length === undefined || length < ROW_BYTES) {
    throw new Error(`Cannot compare ${name}: a row of the opened file is ${length} bytes long`);
  }
}

/** This project's store. */
export const WAYBILL_OPENER: Opener = {
  name: "waybill",
  async build(folder, rows) {
    await using manifest = await Manifest.open(`${folder}/rows.waybill`, { create: true, cacheBytes: 64 << 20 });
    for (let from = 0; from < rows; from += BATCH_ROWS) {
      const txn = manifest.begin({ capacity: BATCH_ROWS });
      for (let row = from; row < Math.min(from + BATCH_ROWS, rows); row++) txn.put(table, [row], { content: content(row) });
      await txn.commit();
    }
  },
  async open(folder, row) {
    const manifest = await Manifest.open(`${folder}/rows.waybill`, { cacheBytes: 64 << 20 });
    check("waybill", manifest.getBytes(table, [row])?.length);
    return () => manifest.close();
  },
};

/** lmdb-js. */
export function lmdbOpener(module: LmdbModule): Opener {
  const options = { encoding: "binary", noMemInit: true };
  return {
    name: "lmdb-js",
    async build(folder, rows) {
      const db = module.open({ path: `${folder}/lmdb`, ...options });
      for (let from = 0; from < rows; from += BATCH_ROWS) {
        await db.transaction(() => {
          for (let row = from; row < Math.min(from + BATCH_ROWS, rows); row++) db.put(row, content(row));
        });
      }
      await db.flushed;
      await db.close();
    },
    open(folder, row) {
      const db = module.open({ path: `${folder}/lmdb`, ...options });
      check("lmdb-js", db.getBinaryFast(row)?.length);
      return Promise.resolve(() => db.close());
    },
  };
}

/** Measures every opener at every size, rounds interleaved. */
export async function measureOpening(
  { openers, sizes, rounds, folder, now, report }: {
    openers: readonly Opener[];
    sizes: readonly number[];
    rounds: number;
    folder: string;
    now(): number;
    report(line: string): void;
  },
): Promise<OpenScore[]> {
  const scores: OpenScore[] = [];
  for (const size of sizes) {
    const rows = Math.ceil(size / ROW_BYTES);
    const times = openers.map((): number[] => []);
    const place = (opener: number): string => `${folder}/open-${size}-${opener}`;
    for (const [i, opener] of openers.entries()) {
      mkdirSync(place(i));
      await opener.build(place(i), rows);
      report(`S9 ${opener.name}: ${rows} rows of ${ROW_BYTES} bytes made`);
    }
    for (let round = 0; round <= rounds; round++) {
      for (let turn = 0; turn < openers.length; turn++) {
        const i = (turn + round) % openers.length;
        collectGarbage();
        const start = now();
        const close = await openers[i]!.open(place(i), (round * 7919) % rows);
        if (round > 0) times[i]!.push(now() - start);
        await close();
      }
    }
    openers.forEach(({ name }, i) => scores.push({ contender: name, liveBytes: size, rounds: times[i]!, median: median(times[i]!) }));
  }
  return scores;
}

/** The opening times as a Markdown table. */
export function openingMarkdown(scores: readonly OpenScore[]): string {
  const names = [...new Set(scores.map(({ contender }) => contender))];
  const lines = [
    "## S9 open after a clean close, milliseconds (must: flat, below 10; aim: below 3)",
    "",
    `| live rows | ${names.join(" | ")} |`,
    `| --- |${" --- |".repeat(names.length)}`,
  ];
  for (const size of new Set(scores.map(({ liveBytes }) => liveBytes))) {
    const cells = names.map((name) => scores.find(({ contender, liveBytes }) => contender === name && liveBytes === size)!)
      .map(({ median, rounds }) => `${median.toFixed(2)} (${Math.min(...rounds).toFixed(2)}–${Math.max(...rounds).toFixed(2)})`);
    lines.push(`| ${size / 1e6} MB | ${cells.join(" | ")} |`);
  }
  return lines.join("\n") + "\n";
}
