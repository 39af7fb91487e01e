// A small page file built by hand from the layout in assembly/format.ts, with hooks to plant damage at every stage, and a driver for the check.
//
// Pages (4 KiB): 0–3 meta, 4–7 journal, then in this order: bitmap (page 8), three leaves and a branch of table 16, a run of two pages and the leaf of
// table 17, the roots leaf. A few pages behind them are free or the hooks' own.
import { assert, assertEquals } from "@std/assert";
import {
  CELL_OVERFLOW,
  CHECK_WORDS,
  CTRL_CHECK_FINDINGS,
  CTRL_CHECK_KEPT,
  CTRL_CHECK_SUMMARY,
  CTRL_NEED_AT,
  CTRL_NEED_PAGE,
  DONE,
  FINDING_ACTUAL,
  FINDING_EXPECTED,
  FINDING_PAGE,
  FINDING_REASON,
  FINDING_SEVERITY,
  FINDING_TABLE,
  FINDING_WORDS,
  META_BIRTH,
  META_BITMAP,
  META_EXTENT_COUNT,
  META_EXTENTS,
  META_FILE_ID,
  META_PAGE_COUNT,
  META_PAGE_SHIFT,
  META_ROOTS,
  MORE,
  NEED_PAGE,
  OK,
  PAGE_BIRTH,
  PAGE_BITMAP,
  PAGE_BRANCH,
  PAGE_CELLS,
  PAGE_COUNT,
  PAGE_CRC,
  PAGE_FILE_ID,
  PAGE_HEADER,
  PAGE_LEAF,
  PAGE_LEVEL,
  PAGE_NUMBER,
  PAGE_PREFIX,
  PAGE_RUN,
  PAGE_TYPE,
  POINTER_BIRTH,
  POINTER_CRC,
  POINTER_SIZE,
  ROOT_LEVEL,
  ROOT_ROWS,
  ROOT_RUN_PAGES,
  ROOT_SIZE,
  RUN_HEADER,
  RUN_LENGTH,
  SLOT_KEY,
  SLOT_OFFSET,
  SLOT_SIZE,
} from "../../assembly/format.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { crc32c, ID_HI, ID_LO, spaceModule } from "./space_model.ts";

export const SIZE = 4096;
const BIRTH = 3;
const encoder = new TextEncoder();

export interface Pointer {
  page: number;
  crc: number;
  birth: number;
}

/** Called with a stage's bytes before they are sealed (or, named "after …", afterwards). */
export type Hooks = Record<string, (view: DataView, bytes: Uint8Array) => void>;

export interface Row {
  key: Uint8Array;
  value?: Uint8Array;
  run?: { pointer: Pointer; length: number };
}

export interface Built {
  disk: Map<number, Uint8Array>;
  meta: Uint8Array;
  /** Page numbers by stage name. */
  at: Record<string, number>;
}

export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text);
}

function putPointer(view: DataView, at: number, pointer: Pointer): void {
  view.setUint32(at, pointer.page, true);
  view.setUint32(at + POINTER_CRC, pointer.crc, true);
  view.setUint32(at + POINTER_BIRTH, pointer.birth, true);
  view.setUint16(at + POINTER_BIRTH + 4, 0, true);
}

/** Composes a slotted page from full keys and their cells' fixed part and payload. */
function slotted(
  type: number,
  level: number,
  cells: { key: Uint8Array; fixed: Uint8Array; payload: Uint8Array }[],
  prefix: number,
): Uint8Array {
  const bytes = new Uint8Array(SIZE), view = new DataView(bytes.buffer);
  bytes[PAGE_TYPE] = type;
  bytes[PAGE_LEVEL] = level;
  view.setUint16(PAGE_COUNT, cells.length, true);
  view.setUint16(PAGE_PREFIX, prefix, true);
  const keyed = cells[level ? 1 : 0];
  if (keyed !== undefined) bytes.set(keyed.key.subarray(0, prefix), PAGE_HEADER);
  const slots = PAGE_HEADER + ((prefix + 3) & ~3);
  let end = SIZE;
  cells.forEach(({ key, fixed, payload }, i) => {
    const rest = key.subarray(Math.min(prefix, key.length)), slot = slots + i * SLOT_SIZE;
    const head = [0, 1, 2, 3].reduce((sum, k) => sum * 256 + (rest[k] ?? 0), 0);
    const tail = rest.subarray(Math.min(4, rest.length));
    end -= fixed.length + tail.length + payload.length;
    view.setUint32(slot, head, true);
    view.setUint16(slot + SLOT_OFFSET, end, true);
    view.setUint16(slot + SLOT_KEY, rest.length, true);
    bytes.set(fixed, end);
    bytes.set(tail, end + fixed.length);
    bytes.set(payload, end + fixed.length + tail.length);
  });
  view.setUint16(PAGE_CELLS, SIZE - end, true);
  return bytes;
}

export function leafPage(rows: Row[], prefix = 0): Uint8Array {
  return slotted(
    PAGE_LEAF,
    0,
    rows.map(({ key, value, run }) => {
      const fixed = new Uint8Array(2), view = new DataView(fixed.buffer);
      if (run === undefined) {
        view.setUint16(0, value!.length, true);
        return { key, fixed, payload: value! };
      }
      view.setUint16(0, CELL_OVERFLOW, true);
      const payload = new Uint8Array(POINTER_SIZE + 4), payloadView = new DataView(payload.buffer);
      putPointer(payloadView, 0, run.pointer);
      payloadView.setUint32(POINTER_SIZE, run.length, true);
      return { key, fixed, payload };
    }),
    prefix,
  );
}

export function branchPage(level: number, children: { key: Uint8Array; pointer: Pointer }[]): Uint8Array {
  return slotted(
    PAGE_BRANCH,
    level,
    children.map(({ key, pointer }) => {
      const fixed = new Uint8Array(POINTER_SIZE);
      putPointer(new DataView(fixed.buffer), 0, pointer);
      return { key, fixed, payload: new Uint8Array(0) };
    }),
    0,
  );
}

/** Builds the file. Hooks: leaf0–2, branch, run, leaf17, roots, bitmap, meta, each also as "after …"; "pages" sees the bits before the bitmap is made. */
export function build(hooks: Hooks = {}): Built {
  const disk = new Map<number, Uint8Array>();
  const at: Record<string, number> = { bitmap: 8 };
  let next = 9;
  const seal = (name: string, bytes: Uint8Array, number = next, sealed = bytes.length): Pointer => {
    const view = new DataView(bytes.buffer);
    if (number === next) next += bytes.length / SIZE;
    at[name] = number;
    view.setUint32(PAGE_NUMBER, number, true);
    view.setUint32(PAGE_FILE_ID, ID_LO, true);
    view.setUint32(PAGE_FILE_ID + 4, ID_HI, true);
    view.setUint32(PAGE_BIRTH, BIRTH, true);
    hooks[name]?.(view, bytes);
    const crc = crc32c(bytes, 4, sealed);
    view.setUint32(PAGE_CRC, crc, true);
    hooks[`after ${name}`]?.(view, bytes);
    for (let i = 0; i < bytes.length; i += SIZE) disk.set(number + i / SIZE, bytes.subarray(i, i + SIZE));
    const pointer = { page: number, crc, birth: BIRTH };
    const changed = new DataView(new ArrayBuffer(POINTER_SIZE));
    putPointer(changed, 0, pointer);
    hooks[`to ${name}`]?.(changed, new Uint8Array(changed.buffer));
    return { page: changed.getUint32(0, true), crc: changed.getUint32(POINTER_CRC, true), birth: changed.getUint32(POINTER_BIRTH, true) };
  };
  const rows = (from: number, to: number): Row[] => {
    const out: Row[] = [];
    for (let i = from; i < to; i++) out.push({ key: bytesOf(`row-${String(i).padStart(3, "0")}`), value: bytesOf(`value ${i}`) });
    return out;
  };
  const leaves = [seal("leaf0", leafPage(rows(0, 10), 4)), seal("leaf1", leafPage(rows(10, 30))), seal("leaf2", leafPage(rows(30, 35), 5))];
  const branch = seal(
    "branch",
    branchPage(1, [
      { key: new Uint8Array(0), pointer: leaves[0]! },
      { key: bytesOf("row-01"), pointer: leaves[1]! },
      { key: bytesOf("row-03"), pointer: leaves[2]! },
    ]),
  );
  const long = new Uint8Array(2 * SIZE), length = 6000;
  long[PAGE_TYPE] = PAGE_RUN;
  new DataView(long.buffer).setUint32(RUN_LENGTH, length, true);
  long.fill(7, RUN_HEADER, RUN_HEADER + length);
  const run = seal("run", long);
  const leaf17 = seal(
    "leaf17",
    leafPage([{ key: bytesOf("a"), value: new Uint8Array(0) }, { key: bytesOf("a\0"), run: { pointer: run, length } }]),
  );
  const record = (id: number, pointer: Pointer, level: number, count: number, runPages: number): Row => {
    const key = new Uint8Array(4), value = new Uint8Array(ROOT_SIZE), view = new DataView(value.buffer);
    new DataView(key.buffer).setUint32(0, id);
    putPointer(view, 0, pointer);
    value[ROOT_LEVEL] = level;
    view.setUint32(ROOT_ROWS, count, true);
    view.setUint32(ROOT_RUN_PAGES, runPages, true);
    return { key, value };
  };
  const none = { page: 0, crc: 0, birth: 0 };
  const roots = seal("roots", leafPage([record(16, branch, 1, 35, 0), record(17, leaf17, 0, 2, 2), record(18, none, 0, 0, 0)]));
  const bits = new Uint8Array(SIZE);
  for (let page = 0; page < next; page++) bits[PAGE_HEADER + (page >> 3)]! |= 1 << (page & 7);
  bits[PAGE_TYPE] = PAGE_BITMAP;
  const bitmap = seal("bitmap", bits, at.bitmap);
  const meta = new Uint8Array(SIZE), view = new DataView(meta.buffer);
  view.setUint8(META_PAGE_SHIFT, 12);
  view.setUint32(META_FILE_ID, ID_LO, true);
  view.setUint32(META_FILE_ID + 4, ID_HI, true);
  view.setUint32(META_PAGE_COUNT, next, true);
  view.setUint32(META_BIRTH, BIRTH, true);
  putPointer(view, META_ROOTS, roots);
  putPointer(view, META_BITMAP, bitmap);
  view.setUint16(META_EXTENT_COUNT, 1, true);
  view.setUint32(META_EXTENTS, 4, true);
  view.setUint32(META_EXTENTS + 4, 4, true);
  hooks.meta?.(view, meta);
  return { disk, meta, at };
}

/** A finding, by name. */
export interface Finding {
  severity: number;
  reason: number;
  page: number;
  table: number;
  expected: number;
  actual: number;
}

interface CheckExports {
  allocate(bytes: number): number;
  checkBegin(meta: number, level: number): number;
  checkStep(pages: number): number;
  checkEnd(): void;
  checkFindings(): number;
  checkWants(): number;
  checkInstall(): number;
  checkAbandon(): void;
}

export interface Report {
  began: number;
  findings: Finding[];
  summary: number[];
  reads: number;
}

/** Runs the whole check over a disk; a page that is not there cannot be read. */
export function check(file: { disk: Map<number, Uint8Array>; meta: Uint8Array }, level = 2, pageSize = SIZE, step = 3): Report {
  const kernel = new Kernel(spaceModule()), x = kernel.exports as unknown as CheckExports;
  const meta = x.allocate(SIZE) >>> 0;
  kernel.u8.set(file.meta, meta);
  const began = x.checkBegin(meta, level);
  const report: Report = { began, findings: [], summary: [], reads: 0 };
  if (began !== OK) return report;
  for (let turn = 0;; turn++) {
    assert(turn < 200_000, "the check does not end");
    const status = x.checkStep(step);
    if (status === MORE) continue;
    if (status === DONE) break;
    assertEquals(status, NEED_PAGE);
    assert(x.checkWants() !== 0);
    const bytes = file.disk.get(kernel.word(CTRL_NEED_PAGE)), at = kernel.word(CTRL_NEED_AT);
    assert(at > 0 && at + pageSize <= kernel.memoryBytes);
    report.reads++;
    if (bytes === undefined) {
      x.checkAbandon();
    } else {
      kernel.u8.set(bytes, at);
      assertEquals(x.checkInstall(), OK);
    }
  }
  x.checkEnd();
  x.checkFindings();
  const words = kernel.u32, from = kernel.word(CTRL_CHECK_FINDINGS) >>> 2;
  for (let i = 0; i < kernel.word(CTRL_CHECK_KEPT); i++) {
    const word = (k: number): number => words[from + i * FINDING_WORDS + k]!;
    report.findings.push({
      severity: word(FINDING_SEVERITY),
      reason: word(FINDING_REASON),
      page: word(FINDING_PAGE),
      table: word(FINDING_TABLE),
      expected: word(FINDING_EXPECTED),
      actual: word(FINDING_ACTUAL),
    });
  }
  const summary = kernel.word(CTRL_CHECK_SUMMARY) >>> 3;
  report.summary = [...kernel.f64.subarray(summary, summary + CHECK_WORDS)];
  return report;
}
