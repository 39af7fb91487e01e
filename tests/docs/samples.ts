// The structures that docs/FORMAT.md shows as bytes, made by the real store and kernel from fixed inputs.
import {
  EFFECT_HIDDEN,
  EFFECT_PUT,
  FRAME_HEADER,
  GROUP_HEADER,
  JOURNAL_HEADER,
  PAGE_BITMAP_INDEX,
  PAGE_TYPE,
  TABLE_ID_USER,
} from "../../assembly/format.ts";
import { Arena } from "../../src/schema/arena.ts";
import { TableCodec } from "../../src/schema/codec.ts";
import { defineTable, optional, text, u32, u53 } from "../../src/schema/schema.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import type { Environment } from "../../src/store/environment.ts";
import { type RawOp, stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { testEnvironment } from "../support/environment.ts";
import { KernelDisk, rawBody } from "../support/kernel_disk.ts";

const PAGE = 4096;

/** The table of the example file. */
export const owners = defineTable({
  name: "owners",
  key: [u53("db"), text("path")],
  value: { team: text(), seen: u32(), note: optional(text()) },
});

/** The rows of the example file in key order. */
export const ROWS: readonly [key: [number, string], row: { team: string; seen: number; note?: string }][] = [
  [[1, "a/b"], { team: "core", seen: 7 }],
  [[1, "a/c"], { team: "core", seen: 300, note: "new" }],
  [[2, "z"], { team: "ops", seen: 0 }],
];

/** A long value of the example file, kept in an overflow run. */
export const LONG_VALUE: Uint8Array = new Uint8Array(5000).fill(0x61);
/** Rows of the table with a branch page: key and value. */
export const MANY_ROWS: readonly [key: Uint8Array, value: Uint8Array][] = Array.from(
  { length: 10 },
  (_, i) => [new TextEncoder().encode(`chunk/${"abcdefghij"[i]}-0001`), new Uint8Array(800).fill(0x30 + i)],
);

/** Time and entropy of the example: the same on every run. */
function environment(): Environment {
  let next = 0xa0;
  return { ...testEnvironment(1), random: (into) => into.forEach((_, i) => into[i] = next++ & 0xff) };
}

/** The example file: while it is open, and after an orderly close. */
export interface Example {
  /** The file's bytes while its newest commit is in the journal alone. */
  readonly open: Uint8Array;
  /** The file's bytes after the close. */
  readonly closed: Uint8Array;
  /** Ids of its three tables: rows, many rows, one long value. */
  readonly tables: readonly number[];
}

/** Makes the example file. */
export async function exampleFile(): Promise<Example> {
  const file = new MemoryFile();
  const store = await Store.open(new MemoryStorage(file), {
    create: true,
    environment: environment(),
    syncMode: "inline",
    idleCheckpoint: 0,
  });
  const arena = new Arena(store.kernel);
  arena.reset(8192);
  const codec = new TableCodec(store.kernel, arena, owners);
  const plain = defineTable({ name: "plain", key: [text("name")], value: { text: text() } }).schema;
  const tables = await store.createTables([
    { name: "owners", schema: owners.schema },
    { name: "chunks", schema: plain },
    { name: "notes", schema: plain },
  ]);
  const commit = (ops: RawOp[], change: boolean): Promise<unknown> => store.commit({ change, stage: () => stageRaw(store.kernel, ops) });
  await commit(MANY_ROWS.map(([key, value]): RawOp => ({ kind: "put", table: tables[1]!, key, value })), false);
  await commit([{ kind: "put", table: tables[2]!, key: new TextEncoder().encode("long"), value: LONG_VALUE }], false);
  await store.checkpoint();
  const ops = ROWS.map(([key, row]): RawOp => {
    arena.reset(8192);
    return { kind: "put", table: tables[0]!, key: codec.encodeKey(key), value: codec.encodeValue(row) };
  });
  await commit(ops, true);
  const open = file.bytes();
  await store.close();
  return { open, closed: file.bytes(), tables };
}

/** One index page of a bitmap: a file of 40,000 pages needs two bitmaps. */
function indexPage(): Uint8Array {
  const disk = new KernelDisk(12, 64);
  disk.must(() => disk.kernel.exports.stateNew(40_000), "stateNew");
  const at = disk.kernel.exports.arena(1 << 16) >>> 0;
  const body = rawBody([{ kind: EFFECT_PUT | EFFECT_HIDDEN, table: TABLE_ID_USER, key: Uint8Array.of(1), value: Uint8Array.of(2) }]);
  disk.kernel.u8.set(body, at);
  disk.must(() => disk.kernel.exports.txnLoad(at, body.length), "txnLoad");
  disk.must(() => disk.kernel.exports.txnApply(), "txnApply");
  disk.seal();
  disk.freeze();
  disk.finish();
  return [...disk.pages.values()].find((page) => page[PAGE_TYPE] === PAGE_BITMAP_INDEX)!;
}

/** The bytes behind each block of the document, by the block's name. */
export async function samples(): Promise<Map<string, Uint8Array>> {
  const { open, closed } = await exampleFile();
  const page = (number: number): Uint8Array => closed.subarray(number * PAGE, (number + 1) * PAGE);
  const block = open.subarray(13 * PAGE, 14 * PAGE);
  const body = JOURNAL_HEADER + GROUP_HEADER + FRAME_HEADER;
  const length = new DataView(block.buffer, block.byteOffset).getUint32(body - FRAME_HEADER, true);
  return new Map([
    ["meta-slot", page(1)],
    ["page-leaf", page(49)],
    ["page-leaf-prefix", page(42)],
    ["page-branch", page(43)],
    ["page-leaf-overflow", page(44)],
    ["page-run-first", page(36)],
    ["page-run-last", page(37)],
    ["page-bitmap", page(51)],
    ["page-bitmap-index", indexPage()],
    ["page-roots", page(50)],
    ["page-tables", page(38)],
    ["page-commits", page(48)],
    ["journal-block", block],
    ["journal-parity", open.subarray(14 * PAGE, 15 * PAGE)],
    ["frame-body", block.slice(body, body + length)],
  ]);
}

/** Bytes as `hexdump -C` prints them: a line that repeats the one before becomes a star. */
export function hexdump(bytes: Uint8Array): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");
  const lines: string[] = [];
  let before = "";
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const digits = row.map((byte, i) => (i === 8 ? " " : "") + hex(byte, 2)).join(" ");
    if (digits !== before) {
      const text = row.map((byte) => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".").join("");
      lines.push(`${hex(at, 8)}  ${digits.padEnd(48)}  |${text}|`);
    } else if (lines.at(-1) !== "*") lines.push("*");
    before = digits;
  }
  lines.push(hex(bytes.length, 8));
  return lines.join("\n");
}

/** The bytes that such a dump stands for. */
export function parseDump(text: string): Uint8Array {
  const lines = text.split("\n");
  const bytes = new Uint8Array(parseInt(lines.at(-1)!, 16));
  let next = 0;
  let row: number[] = [];
  for (const line of lines) {
    if (line === "*") continue;
    for (const at = parseInt(line.slice(0, 8), 16); next < at; next++) bytes[next] = row[next % 16]!;
    row = (line.slice(8, 59).match(/[0-9a-f]{2}/g) ?? []).map((digits) => parseInt(digits, 16));
    for (const byte of row) bytes[next++] = byte;
  }
  return bytes;
}
