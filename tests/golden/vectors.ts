// Encode vectors: keys and records of drawn schemas, and the bytes that they are in a file. Kept as JSON: each schema as it is stored, and hexadecimal digits.
import type { Kernel } from "../../src/kernel/kernel.ts";
import { bind, randomComponents, randomMembers, randomRecord, randomValue, tableOf, testKernel } from "../schema/values.ts";
import { seeded } from "../support/random.ts";

/** A schema as it is stored, and rows of it: key and record. */
export interface Vector {
  readonly schema: string;
  readonly rows: readonly (readonly [key: string, record: string])[];
}

const SEED = 3100;
const VECTORS = 120;
const SCHEMA_MAX = 1200;
const FLOATS = [0, 1, -1, 0.1, -0.1, 1.5, 2 ** 24, 2 ** 53, 1e-45, -1e38, 5e-324, Number.MAX_VALUE, -Number.MAX_VALUE, Infinity, -Infinity];

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function floatVector(kernel: Kernel): Vector {
  const table = tableOf(
    [{ name: "k", optional: false, type: { is: "f64" } }, { name: "s", optional: false, type: { is: "f32" } }],
    [{ name: "d", optional: false, type: { is: "f64" } }, { name: "f", optional: true, type: { is: "f32" } }, {
      name: "v",
      optional: false,
      type: { is: "vector", length: 3 },
    }],
  );
  const { codec } = bind(table, kernel);
  const rows = FLOATS.map((value): [string, string] => [
    hex(codec.encodeKey([value, Math.fround(value)])),
    hex(codec.encodeValue({ d: value, f: Math.fround(value), v: Float32Array.of(value, 1, -0) })),
  ]);
  codec.release();
  return { schema: new TextDecoder().decode(table.schema), rows };
}

/** The vectors as the engine encodes them. */
export function drawVectors(): Vector[] {
  const random = seeded(SEED);
  const kernel = testKernel();
  const vectors: Vector[] = [];
  vectors.push(floatVector(kernel));
  while (vectors.length < VECTORS) {
    const key = randomComponents(random), value = randomMembers(random);
    const table = tableOf(key, value);
    const schema = new TextDecoder().decode(table.schema);
    // Drawn floats come from Math functions that round differently from one JavaScript engine to another.
    if (schema.length > SCHEMA_MAX || /"(f32|f64|vector)"/.test(schema)) continue;
    const { codec } = bind(table, kernel);
    const row = (): [string, string] => [
      hex(codec.encodeKey(key.map(({ type }) => randomValue(random, type, true)))),
      hex(codec.encodeValue(randomRecord(random, value))),
    ];
    vectors.push({ schema, rows: [row(), row(), row()] });
    codec.release();
  }
  return vectors;
}
