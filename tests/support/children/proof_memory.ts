// A process that writes, reads and scans far more than its cache, and watches its resident memory. Arguments: path, MiB of live rows, "collect" to have garbage collected before each sample (Bun, whose
// engine lets its heap double before it collects by itself).
//
// Prints `{ base, peak, phases }` in bytes: resident memory before opening, its highest value after that (VmHWM, reset before opening where the system lets one), and the highest value sampled in each
// phase. Rows are checked when they are read.
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { bytes, defineTable, Manifest, u53 } from "../../../mod.ts";
import { seeded } from "../random.ts";

const [path = "", mib = "", collect = ""] = process.argv.slice(2);
const VALUE = 984;
const ROWS = Math.floor(Number(mib) * 2 ** 20 / (VALUE + 8));
const BATCH = 1000;
const table = defineTable({ name: "rows", key: [u53("id")], value: { data: bytes() } });

function status(field: "VmRSS" | "VmHWM"): number {
  const text = readFileSync("/proc/self/status", "utf8");
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(text)![1]) * 1024;
}

/** A value, and the same bytes as words. */
interface Buffer {
  readonly data: Uint8Array;
  readonly words: Uint32Array;
}

function buffer(): Buffer {
  const data = new Uint8Array(VALUE);
  return { data, words: new Uint32Array(data.buffer) };
}

/** What one transaction puts, used again for the next: garbage made here would hide what the manifest takes. */
const buffers = Array.from({ length: BATCH }, buffer);
const keys = Array.from({ length: BATCH }, (): [number] => [0]);
const expected = buffer();

function fill(id: number, { words }: Buffer): void {
  let x = (id * 2654435761 + 1) >>> 0;
  for (let i = 0; i < words.length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    words[i] = x;
  }
}

/** Compares a value, or a record that ends with it. */
function check(id: number, record: Uint8Array): void {
  fill(id, expected);
  const from = record.length - VALUE;
  if (from < 0) throw new Error(`row ${id} has ${record.length} bytes`);
  for (let i = 0; i < VALUE; i += 16) if (record[from + i] !== expected.data[i]) throw new Error(`row ${id} differs at byte ${i}`);
}

const phases: Record<string, number> = {};
const bun = (globalThis as { Bun?: { gc(now: boolean): void } }).Bun;
function sample(phase: string): void {
  if (collect !== "") bun?.gc(true);
  phases[phase] = Math.max(phases[phase] ?? 0, status("VmRSS"));
}

// What a process has warmed up by itself is no part of what a manifest takes.
seeded(1);
await new Promise((done) => setTimeout(done, 50));
let reset = true;
try {
  writeFileSync("/proc/self/clear_refs", "5");
} catch {
  reset = false;
}
const base = status("VmRSS");
const manifest = await Manifest.open(path, { create: true, cacheBytes: 16 << 20 });
sample("opened");

// Half in order, half at random places, in transactions of 1,000 rows.
const order = Uint32Array.from({ length: ROWS }, (_, id) => id);
const random = seeded(77);
for (let i = ROWS - 1; i > ROWS / 2; i--) {
  const j = Math.floor(ROWS / 2) + random.int(i - Math.floor(ROWS / 2) + 1);
  const kept = order[i]!;
  order[i] = order[j]!;
  order[j] = kept;
}
for (let from = 0; from < ROWS; from += BATCH) {
  const txn = manifest.begin();
  for (let i = from; i < Math.min(ROWS, from + BATCH); i++) {
    const id = order[i]!, to = buffers[i - from]!, key = keys[i - from]!;
    fill(id, to);
    key[0] = id;
    txn.put(table, key, to);
  }
  await txn.commit();
  sample("write");
}
if (manifest.count(table) !== ROWS) throw new Error(`${manifest.count(table)} rows, expected ${ROWS}`);

const key: [number] = [0];
for (let i = 0; i < 60_000; i++) {
  const id = random.int(ROWS);
  key[0] = id;
  check(id, manifest.getBytes(table, key)!);
  if (i % 1000 === 0) sample("read");
}

let at = 0;
for (const [[id], record] of manifest.rangeBytes(table)) {
  if (id !== at) throw new Error(`the scan gave ${id}, expected ${at}`);
  check(id, record);
  at++;
  if (at % 4000 === 0) sample("scan");
}
if (at !== ROWS) throw new Error(`the scan gave ${at} rows, expected ${ROWS}`);

const stats = manifest.stats();
await manifest.close();
sample("closed");
const peak = reset && collect === "" ? Math.max(status("VmHWM"), ...Object.values(phases)) : Math.max(...Object.values(phases));
console.log(
  JSON.stringify({
    base,
    peak,
    reset,
    phases,
    rows: ROWS,
    fileBytes: stats.fileBytes,
    kernel: stats.memoryBytes,
    live: ROWS * (VALUE + 8),
  }),
);
