// The kernel's pure functions against other implementations: checksums against a library, keys and records against the reference, and the order of encoded keys against the order of their values.
import { createCRC32 } from "hash-wasm";
import { OK } from "../../../assembly/format.ts";
import {
  bind,
  compareBytes,
  compareKeys,
  type KeyArray,
  randomComponents,
  randomMembers,
  randomRecord,
  randomValue,
  tableOf,
  type Values,
} from "../../schema/values.ts";
import { same } from "../manifest_model/same.ts";
import { seeded } from "../random.ts";
import { encodeKey, encodeRecord } from "./reference_codec.ts";

const CASTAGNOLI = 0x82f63b78;
const ROUNDS = 40;

/** Calls compared in one round, by function. */
export type Compared = Record<string, number>;

function show(value: unknown): string {
  return JSON.stringify(value, (_name, inner) => typeof inner === "bigint" || inner instanceof Uint8Array ? String(inner) : inner);
}

function expectBytes(found: Uint8Array, wanted: readonly number[], what: string): void {
  if (found.length !== wanted.length || found.some((byte, i) => byte !== wanted[i])) {
    throw new Error(`${what} is ${found}, expected ${wanted}`);
  }
}

async function checksums(seed: number): Promise<number> {
  const random = seeded(seed);
  const oracle = await createCRC32(CASTAGNOLI);
  const { kernel } = bind(tableOf([{ name: "k", optional: false, type: { is: "u8" } }], []));
  const base = kernel.exports.arena(1 << 16) >>> 0;
  const data = random.bytes(1 << 13);
  kernel.u8.set(data, base);
  for (let i = 0; i < 300; i++) {
    const from = random.int(data.length), length = random.int(random.pick([4, 70, data.length - from]) + 1);
    const part = data.subarray(from, from + length);
    const wanted = parseInt(oracle.init().update(part).digest(), 16);
    const found = kernel.exports.crc32c(base + from, part.length, 0) >>> 0;
    if (found !== wanted) throw new Error(`the checksum of ${part.length} bytes at ${from} is ${found}, expected ${wanted}`);
  }
  return 300;
}

/** One table, many keys and records. */
function codecs(seed: number, compared: Compared): void {
  const random = seeded(seed);
  const key = randomComponents(random), value = randomMembers(random);
  const { kernel, codec } = bind(tableOf(key, value));
  const count = (what: string): void => void (compared[what] = (compared[what] ?? 0) + 1);
  let before: { key: KeyArray; bytes: Uint8Array } | undefined;
  for (let i = 0; i < ROUNDS; i++) {
    const parts = key.map(({ type }) => randomValue(random, type, true));
    const wanted = encodeKey(key, parts);
    if (wanted.length <= 1024) {
      const bytes = codec.encodeKey(parts);
      expectBytes(bytes, wanted, `the key ${show(parts)}`);
      count("codecKeyEncode");
      const back = codec.keyFromBytes(bytes);
      if (compareKeys(key, back, parts) !== 0) throw new Error(`the key ${show(parts)} comes back as ${show(back)}`);
      count("codecKeyDecode");
      if (before !== undefined) {
        const order = Math.sign(compareBytes(before.bytes, bytes));
        if (order !== Math.sign(compareKeys(key, before.key, parts))) {
          throw new Error(`${show(before.key)} and ${show(parts)} sort otherwise`);
        }
        count("order of keys");
      }
      // The first key behind all that begin with this one.
      const at = kernel.exports.arena(1 << 16) >>> 0;
      kernel.u8.set(bytes, at);
      const length = kernel.exports.codecKeySuccessor(at, bytes.length);
      const next = kernel.u8.slice(at, at + length);
      if (length > 0 && (compareBytes(next, bytes) <= 0 || next.length > bytes.length)) {
        throw new Error(`the successor of ${bytes} is ${next}`);
      }
      if (length === 0 && bytes.some((byte) => byte !== 255)) throw new Error(`${bytes} has no successor`);
      count("codecKeySuccessor");
      before = { key: parts, bytes };
    }
    const record = randomRecord(random, value);
    const bytes = codec.encodeValue(record);
    expectBytes(bytes, encodeRecord(value, record), `the record ${show(record)}`);
    count("codecRecordEncode");
    const again: Values = codec.valueFromBytes(bytes);
    expectBytes(codec.encodeValue(again), [...bytes], `the record ${show(record)} decoded and encoded again`);
    count("codecRecordDecode");
    decodeDamaged(kernel, codec, random.pick([bytes, codec.encodeValue(again)]), random, count);
  }
}

/** Bytes that nobody has encoded: refused, or the encoding of what they decode to. */
function decodeDamaged(
  kernel: ReturnType<typeof bind>["kernel"],
  codec: ReturnType<typeof bind>["codec"],
  bytes: Uint8Array,
  random: ReturnType<typeof seeded>,
  count: (what: string) => void,
): void {
  const damaged = bytes.slice(0, random.chance(0.3) ? random.int(bytes.length + 1) : bytes.length);
  for (let i = random.int(3); i >= 0 && damaged.length > 0; i--) {
    damaged[random.int(damaged.length)] = random.pick([0, 1, 127, 128, 255, random.int(256)]);
  }
  const at = (kernel.exports.arena(1 << 16) >>> 0) + (1 << 15);
  if (damaged.length > 1 << 14) return;
  kernel.u8.set(damaged, at);
  const status = kernel.exports.codecRecordDecode(codec.valueCodec, at, damaged.length, 0);
  count("codecRecordDecode of damaged bytes");
  if (status !== OK) return;
  const value = codec.valueFromBytes(damaged);
  const again = codec.encodeValue(value);
  if (!same(again, damaged)) throw new Error(`${damaged} decodes to ${show(value)}, whose encoding is ${again}`);
}

/** Compares some hundred calls; which, follows from the seed. */
export async function differential(seed: number): Promise<Compared> {
  const compared: Compared = {};
  if (seed % 8 === 0) compared.crc32c = await checksums(seed);
  codecs(seed, compared);
  return compared;
}
