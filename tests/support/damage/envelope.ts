// Files that are too short, too long, not ours, or of another version: what opening them must come to, without a byte written.
import {
  BLOCK_SIZE,
  FORMAT_OLDEST,
  FORMAT_VERSION,
  META_COMPATIBLE,
  META_CRC,
  META_FORMAT,
  META_INCOMPATIBLE,
  META_MIN_READER,
  META_PAGE_SHIFT,
  META_READONLY,
  META_RESERVED_PER_PAGE,
  META_TRANSFORM,
} from "../../../assembly/format.ts";
import { seeded } from "../random.ts";
import type { Subject } from "./byte_case.ts";
import { closeQuietly, look, type Mode } from "./case.ts";
import { crc32c } from "./crc.ts";
import { FlatFile } from "./flat_storage.ts";
import { Wrong } from "./interrogate.ts";

/** A file and what opening it must come to: codes, or "equal". */
export interface Envelope {
  readonly kind: "truncated" | "extended" | "foreign" | "version" | "feature";
  readonly name: string;
  readonly bytes: () => Uint8Array;
  readonly read: readonly string[];
  readonly write: readonly string[];
}

const NONE: ReadonlySet<number> = new Set();

function both(kind: Envelope["kind"], name: string, bytes: () => Uint8Array, ...codes: string[]): Envelope {
  return { kind, name, bytes, read: codes, write: codes };
}

/** Changes the same field in all four meta slots and seals them. */
function inSlots(bytes: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const out = bytes.slice();
  for (let slot = 0; slot < 4; slot++) {
    const at = slot * BLOCK_SIZE;
    const view = new DataView(out.buffer, at, BLOCK_SIZE);
    change(view);
    view.setUint32(META_CRC, crc32c(out.subarray(at + META_FORMAT, at + BLOCK_SIZE)), true);
  }
  return out;
}

function text(content: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(new TextEncoder().encode(content.repeat(Math.ceil(length / content.length)).slice(0, length)));
  return bytes;
}

function sqlite(): Uint8Array {
  const bytes = new Uint8Array(20_480);
  bytes.set(new TextEncoder().encode("SQLite format 3\0"));
  bytes.set([0x10, 0, 1, 1, 0, 64, 32, 32], 16);
  return bytes;
}

/** All of them. */
export function* envelopes(image: Uint8Array, needed: number): Generator<Envelope> {
  const cuts = new Set<number>();
  for (let size = 0; size <= Math.min(8192, image.length); size++) cuts.add(size);
  for (let size = 0; size <= image.length; size += 512) cuts.add(size);
  for (const size of cuts) {
    const code = size === 0 ? "EMPTY_FILE" : size < 8 ? "NOT_A_MANIFEST" : size < needed ? "TRUNCATED" : "equal";
    yield both("truncated", `cut/${size}`, () => image.slice(0, size), code);
  }
  for (const more of [1, 17, 511, 512, 4095, 4096, 4097, 40_000, 300_000]) {
    const random = seeded(more);
    const longer = (tail: Uint8Array) => (): Uint8Array => {
      const bytes = new Uint8Array(image.length + tail.length);
      bytes.set(image);
      bytes.set(tail, image.length);
      return bytes;
    };
    yield both("extended", `garbage/${more}`, longer(random.bytes(more)), "equal");
    yield both("extended", `zeros/${more}`, longer(new Uint8Array(more)), "equal");
    yield both("extended", `ones/${more}`, longer(new Uint8Array(more).fill(0xff)), "equal");
    yield both("foreign", `noise/${more}`, () => seeded(more + 1).bytes(more), "NOT_A_MANIFEST");
    yield both("foreign", `text/${more}`, () => text("Dear reader,\nthis is no manifest.\n", more), "NOT_A_MANIFEST");
    yield both("foreign", `blank/${more}`, () => new Uint8Array(more), more <= 131_072 + 16_384 ? "EMPTY_FILE" : "NOT_A_MANIFEST");
  }
  yield both("foreign", "sqlite", sqlite, "NOT_A_MANIFEST");
  yield both(
    "foreign",
    "swapped magic",
    () => inSlots(image, (view) => view.setBigUint64(0, view.getBigUint64(0, true))),
    "NOT_A_MANIFEST",
  );
  for (const version of [FORMAT_VERSION + 1, FORMAT_VERSION + 2, 255, 65_535]) {
    yield both("version", `format/${version}`, () => inSlots(image, (view) => view.setUint16(META_FORMAT, version, true)), "equal");
    yield both(
      "version",
      `reader/${version}`,
      () => inSlots(image, (view) => view.setUint16(META_MIN_READER, version, true)),
      "FORMAT_TOO_NEW",
    );
  }
  for (let version = 0; version < FORMAT_OLDEST; version++) {
    yield both(
      "version",
      `format/${version}`,
      () => inSlots(image, (view) => view.setUint16(META_FORMAT, version, true)),
      "FORMAT_TOO_OLD",
    );
  }
  for (let bit = 0; bit < 32; bit++) {
    const mask = 2 ** bit;
    const set = (field: number) => (): Uint8Array => inSlots(image, (view) => view.setUint32(field, mask, true));
    yield both("feature", `compatible/${bit}`, set(META_COMPATIBLE), "equal");
    yield both("feature", `incompatible/${bit}`, set(META_INCOMPATIBLE), "UNKNOWN_FEATURE");
    yield { kind: "feature", name: `writing/${bit}`, bytes: set(META_READONLY), read: ["equal"], write: ["UNKNOWN_FEATURE"] };
    yield both("feature", `transform/${bit}`, set(META_TRANSFORM), "UNKNOWN_FEATURE");
  }
  for (let bit = 0; bit < 8; bit++) {
    yield both(
      "feature",
      `reserved/${bit}`,
      () => inSlots(image, (view) => view.setUint8(META_RESERVED_PER_PAGE, 1 << bit)),
      "UNKNOWN_FEATURE",
    );
  }
  for (let shift = 0; shift < 256; shift++) {
    if (shift === 12) continue;
    const codes = shift < 12 || shift > 16 ? ["CORRUPT_HEADER"] : ["CORRUPT_HEADER", "TRUNCATED", "CORRUPT_PAGE"];
    yield both("version", `page size/${shift}`, () => inSlots(image, (view) => view.setUint8(META_PAGE_SHIFT, shift)), ...codes);
  }
}

/** Opens one; returns what it came to. Throws `Wrong`. */
export async function envelopeCase(subject: Subject, envelope: Envelope, mode: Mode): Promise<string> {
  const bytes = envelope.bytes();
  const file = new FlatFile(bytes, bytes.length + (2 << 20));
  const { at, named, store } = await look(file, subject.expected, mode, NONE);
  try {
    const outcome = at === "equal" ? "equal" : named!.code;
    const wanted = envelope[mode];
    if (!wanted.includes(outcome)) throw new Wrong(`${outcome}, expected ${wanted.join(" or ")}`);
    if (at === "open" && file.changes > 0) throw new Wrong(`${outcome}, and ${file.changes} writes`);
    if (at === "equal" && mode === "read" && file.changes > 0) throw new Wrong("opened for reading, and written");
    return outcome;
  } finally {
    await closeQuietly(store);
  }
}
