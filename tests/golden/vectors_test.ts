// Encode vectors: what was encoded once is encoded the same today, and decodes under the schema that was stored with it. Pages, frames and single types as bytes: docs/FORMAT.md, held by tests/docs.
import { assert, assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { parseSchema } from "../../src/schema/description.ts";
import { bind, tableOf, testKernel } from "../schema/values.ts";
import { test } from "../support/harness.ts";
import { FOLDER } from "./golden.ts";
import { drawVectors, hex, type Vector } from "./vectors.ts";

const vectors: readonly Vector[] = JSON.parse(readFileSync(`${FOLDER}/vectors.json`, "utf8"));

function unhex(digits: string): Uint8Array {
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

test("encode vectors: the engine encodes keys and records as it did", () => {
  assertEquals(drawVectors(), vectors);
});

test("encode vectors: each key and record decodes under its stored schema, and is encoded to the same bytes again", () => {
  const kernel = testKernel();
  let rows = 0;
  for (const { schema, rows: encoded } of vectors) {
    const { key, value } = parseSchema(new TextEncoder().encode(schema))!;
    const { codec } = bind(tableOf(key, value), kernel);
    for (const [keyHex, recordHex] of encoded) {
      assertEquals(hex(codec.encodeKey(codec.keyFromBytes(unhex(keyHex)))), keyHex, schema);
      assertEquals(hex(codec.encodeValue(codec.valueFromBytes(unhex(recordHex)))), recordHex, schema);
      rows++;
    }
    codec.release();
  }
  assert(rows >= 300, `${rows} rows`);
});
