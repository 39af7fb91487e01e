// docs/FORMAT.md against the code: every number in its tables, every block of example bytes, every encoding; and a reader made from it against a real file.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { readFileSync } from "node:fs";
import * as format from "../../assembly/format.ts";
import { TableCodec } from "../../src/schema/codec.ts";
import { parseSchema } from "../../src/schema/description.ts";
import type { Member, Type } from "../../src/schema/type.ts";
import { Manifest } from "../../src/manifest/manifest.ts";
import { OPERATION_NAMES } from "../../src/manifest/write/operation.ts";
import { BUILT_IN } from "../../src/manifest/operations/built_in.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { type RawOp, stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { testEnvironment } from "../support/environment.ts";
import { bind, tableOf } from "../schema/values.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { chooseState, readBody, Reader } from "./reader.ts";
import { exampleFile, hexdump, LONG_VALUE, MANY_ROWS, owners, parseDump, ROWS, samples } from "./samples.ts";

const document = readFileSync("docs/FORMAT.md", "utf8").replaceAll("\r\n", "\n");
const SEED = 20;
const constants = format as unknown as Record<string, number>;

interface TableRow {
  readonly name: string | undefined;
  readonly cells: readonly string[];
}

/** The document's tables: header cells and rows. */
function tables(): { header: string[]; rows: TableRow[] }[] {
  const found: { header: string[]; rows: TableRow[] }[] = [];
  let current: { header: string[]; rows: TableRow[] } | undefined;
  for (const line of document.split("\n")) {
    if (!line.startsWith("|")) {
      current = undefined;
      continue;
    }
    const cells = line.split("|").slice(1, -1).map((cell) => cell.trim());
    if (current === undefined) found.push(current = { header: cells, rows: [] });
    else if (!/^-+$/.test(cells[0]!)) current.rows.push({ name: /^`([A-Z][A-Z0-9_]*)`$/.exec(cells[0]!)?.[1], cells });
  }
  return found;
}

/** Fenced blocks of a kind: what follows the kind, and the lines. */
function fences(kind: string): { name: string; body: string }[] {
  return [...document.matchAll(new RegExp(`^\`\`\`${kind}(?: ([\\w-]+))?\\n([\\s\\S]*?)\\n?\`\`\`$`, "gm"))]
    .map((match) => ({ name: match[1] ?? "", body: match[2]! }));
}

const WIDTHS: Record<string, number> = { u8: 1, u16: 2, u32: 4, u48: 6, u64: 8, f64: 8 };

test("FORMAT.md: every number in its tables is the code's", () => {
  let compared = 0;
  for (const { header, rows } of tables()) {
    if (header[0] !== "name") continue;
    for (const { name, cells } of rows) {
      if (name === undefined) {
        assertEquals(cells[0], "—", `a row without a name: ${cells}`);
        continue;
      }
      assert(name in constants, `${name} is not in assembly/format.ts`);
      assertEquals(constants[name]! >>> 0, Number(cells[1]) >>> 0, name);
      compared++;
    }
  }
  assert(compared > 120, `only ${compared} numbers compared`);
});

test("FORMAT.md: the fields of a structure follow each other without gaps", () => {
  let structures = 0;
  for (const { header, rows } of tables()) {
    if (header[1] !== "offset") continue;
    let next = Number(rows[0]!.cells[1]);
    for (const { cells } of rows) {
      assertEquals(Number(cells[1]), next, `offset of ${cells[0]}`);
      next += WIDTHS[cells[2]!] ?? Number(cells[2]);
    }
    structures++;
  }
  assert(structures >= 11, `only ${structures} structures`);
});

test("FORMAT.md: names every constant of the file format", () => {
  // What never reaches a file: the boundary of the kernel, and limits of its reports.
  const inMemory =
    /^(CTRL|OP|FINDING|FINDINGS|CHECK|VISIT|SEVERITY|FIELD|LIMIT)_|^EFFECT_([A-Z_]*_)?WORDS?$|^(UNPLACED|CODEC_KEY|CODEC_RECORD|PREFIX_OPEN)$/;
  const statuses = new Set(["OK", "NOT_FOUND", "NEED_PAGE", "NEED_ROOM", "NEED_RUN", "DONE", "MORE", "CORRUPT_PAGE", "CORRUPT_RECORD"]);
  for (const name of ["CORRUPT_JOURNAL", "KEY_TOO_LONG", "VALUE_TOO_LONG", "INVALID_FIELD", "OUT_OF_MEMORY", "OUT_OF_SPACE", "INVARIANT"]) {
    statuses.add(name);
  }
  const named = new Set(tables().flatMap(({ rows }) => rows.map((row) => row.name)));
  const missing = Object.keys(constants).filter((name) => !inMemory.test(name) && !statuses.has(name) && !named.has(name));
  assertEquals(missing, []);
});

test("FORMAT.md: every block of bytes is what the store and the kernel write", async () => {
  const real = await samples();
  const shown = fences("bytes");
  assertEquals(shown.map(({ name }) => name).sort(), [...real.keys()].sort());
  for (const { name, body } of shown) {
    assertEquals(parseDump(body), real.get(name)!.slice(), `${name}: run tests/docs/update_format.ts and read what changed`);
    assertEquals(body, hexdump(real.get(name)!), name);
  }
});

const unhex = (text: string): Uint8Array => Uint8Array.from(text.split(" ").filter((part) => part !== ""), (part) => parseInt(part, 16));
const parseMembers = (json: string): readonly Member[] =>
  parseSchema(new TextEncoder().encode(`{"v":1,"key":[["k","u8"]],"value":${json}}`))!.value;

/** A value as the document writes it, as the host takes it. */
function hostValue(type: Type, value: unknown): unknown {
  switch (type.is) {
    case "u64":
    case "i64":
      return BigInt(value as string);
    case "f32":
    case "f64":
      return value === "NaN" ? NaN : value;
    case "bytes":
    case "fixed":
      return unhex(value as string);
    case "vector":
      return new Float32Array(value as number[]);
    case "list":
      return (value as unknown[]).map((item) => hostValue(type.element, item));
    case "record":
      return hostRecord(type.members, value as Record<string, unknown>);
    case "tuple":
      return type.members.map((member, i) => hostValue(member.type, (value as unknown[])[i]));
    case "union": {
      const given = value as Record<string, unknown>;
      const variant = type.variants.find(({ name }) => name === given[type.tag])!;
      return { [type.tag]: variant.name, ...hostRecord(variant.members, given) };
    }
    default:
      return value;
  }
}

function hostRecord(members: readonly Member[], value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(members.filter(({ name }) => name in value).map(({ name, type }) => [name, hostValue(type, value[name])]));
}

test("FORMAT.md: every key is encoded as it says", () => {
  const lines = fences("keys").flatMap(({ body }) => body.split("\n"));
  for (const line of lines) {
    const [type, value, encoded] = line.split(/ {2,}/) as [string, string, string];
    const members = parseMembers(`[["k",${type}]]`);
    const { codec } = bind(tableOf(members, []));
    const key = [hostValue(members[0]!.type, JSON.parse(value))];
    assertEquals(codec.encodeKey(key), unhex(encoded), line);
    assertEquals(codec.keyFromBytes(unhex(encoded)), key, line);
  }
  assert(lines.length >= 20);
});

test("FORMAT.md: every record is encoded as it says", () => {
  const lines = fences("records").flatMap(({ body }) => body.split("\n"));
  for (const line of lines) {
    const [fields, value, encoded] = line.split(/ {2,}/) as [string, string, string];
    const members = parseMembers(fields);
    const { codec } = bind(tableOf([{ name: "k", optional: false, type: { is: "u8" } }], members));
    const record = hostRecord(members, JSON.parse(value));
    assertEquals(codec.encodeValue(record), unhex(encoded), line);
    assertEquals(codec.valueFromBytes(unhex(encoded)), record, line);
  }
  assert(lines.length >= 16);
});

test("FORMAT.md: names the operations by their tags, and the manifest's tables with their keys", () => {
  const [tags] = tables().filter(({ header }) => header[0] === "tag");
  assertEquals(tags!.rows.map(({ cells }) => cells), OPERATION_NAMES.map((name, tag) => [String(tag), name]));
  const [named] = tables().filter(({ header }) => header[0] === "table");
  const keyOf = (schema: Uint8Array): string => JSON.stringify(JSON.parse(new TextDecoder().decode(schema)).key);
  assertEquals(named!.rows.map(({ cells }) => cells), BUILT_IN.map(({ table }) => [`\`${table.name}\``, `\`${keyOf(table.schema)}\``]));
});

test("FORMAT.md: the extra bytes of a change are the record that it says", async () => {
  const file = new MemoryFile();
  const manifest = await Manifest.open(new MemoryStorage(file), {
    create: true,
    environment: testEnvironment(3),
    syncMode: "inline",
    idleCheckpoint: 0,
  });
  await manifest.begin({ origin: "replica-b" }).putDb(1, { name: "events" }).commit();
  await manifest.begin().putDb(2, { name: "logs" }).commit();
  const changes = new Reader(file.bytes()).frames().filter(({ isChange }) => isChange);
  await manifest.close();
  const { codec } = bind(tableOf([{ name: "k", optional: false, type: { is: "u8" } }], parseMembers(fences("json")[0]!.body)));
  assertEquals(changes.map(({ extra }) => codec.valueFromBytes(extra)), [{ origin: "replica-b" }, {}]);
  assertEquals(changes.map(({ effects }) => OPERATION_NAMES[effects[0]!.tag]), ["putDb", "putDb"]);
});

test("Reader: made from FORMAT.md alone, finds every row and every used page of the example file", async () => {
  const { closed, tables: [first, many, long] } = await exampleFile();
  const reader = new Reader(closed);
  assertEquals([reader.state.generation, reader.state.clean, reader.state.frame, reader.state.sequence], [3, true, 4, 1]);
  const found = reader.tables();
  assertEquals(reader.used(), new Set([...reader.reached].sort((a, b) => a - b)));
  assertEquals(reader.frames(), []);
  assertEquals([...found.keys()], [1, 2, 3, first!, many!, long!]);
  const { codec } = bind(owners);
  assert(codec instanceof TableCodec);
  assertEquals(
    found.get(first!)!.map(([key, value]) => [codec.keyFromBytes(key), codec.valueFromBytes(value)]),
    ROWS.map((row) => [...row]),
  );
  assertEquals(found.get(many!), MANY_ROWS.map((row) => [...row]) as unknown as typeof MANY_ROWS[number][]);
  assertEquals(found.get(long!), [[new TextEncoder().encode("long"), LONG_VALUE]]);
  const names = found.get(1)!.slice(1).map(([key, value]) => [new TextDecoder().decode(key), value[0]]);
  assertEquals(names, [["chunks", many], ["notes", long], ["owners", first]]);
  assertEquals(readBody(found.get(2)![0]![1]).effects.map(({ kind, table }) => [kind, table]), [[1, first], [1, first], [1, first]]);
  assertEquals(found.get(3)!.map(([, value]) => value[16]), [0, 0, 0, 1]);
});

test("Reader: replays the journal of the example file, also with a damaged block", async () => {
  const { open, closed, tables: [first] } = await exampleFile();
  const [frame] = new Reader(open).frames();
  assert(frame !== undefined && frame.isChange && frame.hasId);
  assertEquals(frame.effects.map(({ table }) => table), [first, first, first]);
  const rows = new Reader(closed).tables().get(first!)!;
  assertEquals(frame.effects.map(({ key, value }) => [key, value]), rows.map((row) => [...row]));
  const { extents, pageSize, journalBlock } = chooseState(open);
  const damaged = open.slice();
  damaged.fill(0xff, extents[0]!.page * pageSize + journalBlock * 4096, extents[0]!.page * pageSize + (journalBlock + 1) * 4096);
  assertEquals(new Reader(damaged).frames(), [frame]);
});

test("Reader: agrees with the store on files of every page size, journal included", async () => {
  const random = seeded(SEED);
  for (const pageSize of [4096, 16384, 65536]) {
    const file = new MemoryFile();
    const store = await Store.open(new MemoryStorage(file), {
      create: true,
      pageSize,
      environment: testEnvironment(4),
      syncMode: "inline",
      idleCheckpoint: 0,
    });
    const table = await store.createTable("rows", new Uint8Array());
    const model = new Map<string, Uint8Array>();
    for (let commit = 0; commit < 60; commit++) {
      const ops = Array.from({ length: 40 }, (): RawOp => {
        const key = new TextEncoder().encode(`path/${random.letters(random.between(1, 2))}/${random.int(3000)}`);
        if (random.chance(0.2)) return { kind: "delete", table, key };
        return { kind: "put", table, key, value: random.bytes(random.chance(0.02) ? random.int(30_000) : random.int(200)) };
      });
      await store.commit({ stage: () => stageRaw(store.kernel, ops) });
      for (const { kind, key, value } of ops) {
        if (kind === "put") model.set(String(key), value!);
        else model.delete(String(key));
      }
      if (commit === 50) await store.checkpoint();
    }
    const reader = new Reader(file.bytes());
    const rows = new Map(reader.tables().get(table)!.map(([key, value]) => [String(key), value]));
    const used = reader.used();
    assertEquals(used, new Set([...reader.reached].sort((a, b) => a - b)), `seed ${SEED}, page size ${pageSize}`);
    const frames = reader.frames();
    assert(frames.length > 0 && frames.length <= 60);
    for (const { kind, table: at, key, value } of frames.flatMap(({ effects }) => effects)) {
      if (at !== table) continue;
      if (kind === 1) rows.set(String(key), value!);
      else rows.delete(String(key));
    }
    const sorted = (map: Map<string, Uint8Array>): [string, Uint8Array][] => [...map].sort(([a], [b]) => a < b ? -1 : 1);
    assertEquals(sorted(rows), sorted(model), `seed ${SEED}, page size ${pageSize}`);
    await store.close();
  }
});

test("Reader: refuses every page whose bytes were changed", async () => {
  const { closed } = await exampleFile();
  const { reached, state } = (() => {
    const reader = new Reader(closed);
    reader.tables();
    reader.used();
    return reader;
  })();
  const journal = state.extents.flatMap(({ page, pages }) => Array.from({ length: pages }, (_, i) => page + i));
  for (const page of reached) {
    if (page < 4 || journal.includes(page)) continue;
    const damaged = closed.slice();
    damaged[page * state.pageSize + 100]! ^= 1;
    const reader = new Reader(damaged);
    assertThrows(() => [reader.tables(), reader.used()], Error, "Cannot read the file", `page ${page}`);
  }
});
