// A view of the store against a state of the reference: whole tables, ranges with every kind of bound, single rows, the registry.
import type { ScanOptions, View } from "../../src/store/store.ts";
import { isKey, keyBytes } from "./model_keys.ts";
import type { ModelTable, Tables } from "./model_state.ts";
import { isValue } from "./model_value.ts";
import type { Random } from "./random.ts";

const decoder = new TextDecoder();

function show(key: string | undefined): string {
  return key === undefined ? "none" : JSON.stringify(key.length > 60 ? `${key.slice(0, 20)}…${key.slice(-8)} (${key.length} bytes)` : key);
}

/** Whether a view has exactly these tables, ids and schemas. */
export function sameTables(view: View, tables: Tables): boolean {
  const found = view.tables();
  return found.length === tables.size && found.every(({ id, name, schema }) => {
    const table = tables.get(id);
    return table !== undefined && table.name === name && table.schema === decoder.decode(schema);
  });
}

/** Compares a range of a table row by row. Values longer than a page are compared for one in `sample`. */
function compareRange(
  view: View,
  table: ModelTable,
  random: Random,
  options: ScanOptions,
  from: number,
  end: number,
  sample: number,
): void {
  const { keys, values } = table.rows;
  const where = `${table.name}, ${end - from} of ${keys.length} rows`;
  using scan = view.tree(table.id).scan(options);
  const maxRows = random.pick([1, 7, 64, 300]);
  const maxBytes = random.pick([1 << 10, 1 << 15]);
  const rest = random.chance(0.1) ? random.int(end - from + 1) : -1;
  let seen = 0;
  while (seen !== rest && scan.next(maxRows, maxBytes) > 0) {
    for (let row = 0; row < scan.rows; row++, seen++) {
      const at = options.reverse ? end - 1 - seen : from + seen;
      if (seen >= end - from) throw new Error(`${where}: more rows than expected`);
      if (!options.valuesOnly) {
        const key = scan.key(row);
        if (!isKey(key, keys[at]!)) {
          throw new Error(`${where}: row ${seen} is ${show(String.fromCharCode(...key))}, expected ${show(keys[at])}`);
        }
      }
      if (options.keysOnly) continue;
      if (scan.isRun(row) && sample > 1 && (at + seen) % sample !== 0) continue;
      if (!isValue(scan.value(row), values[at]!)) throw new Error(`${where}: another value at row ${seen}, ${show(keys[at])}`);
    }
    if (rest >= 0 && seen >= rest) break;
  }
  if (rest >= 0) seen += scan.count();
  if (seen !== end - from) throw new Error(`${where}: ${seen} rows were found`);
}

/** Compares a whole table, in one direction. */
export function compareTable(view: View, table: ModelTable, random: Random): void {
  const { rows } = view.tree(table.id);
  const { keys } = table.rows;
  if (rows !== keys.length) throw new Error(`${table.name}: the store counts ${rows} rows, expected ${keys.length}`);
  compareRange(view, table, random, { reverse: random.chance(0.5) }, 0, keys.length, 3);
}

/** Compares every table and the registry. */
export function compareAll(view: View, tables: Tables, random: Random): void {
  if (!sameTables(view, tables)) {
    throw new Error(
      `the tables are ${view.tables().map(({ id, name }) => `${id} ${name}`)}, expected ${
        [...tables.values()].map(({ id, name }) => `${id} ${name}`)
      }`,
    );
  }
  for (const table of tables.values()) compareTable(view, table, random);
}

/** Compares one range with random bounds, direction and parts. `key` draws a key. */
export function compareSome(view: View, table: ModelTable, random: Random, key: () => string): void {
  const { keys } = table.rows;
  const draw = (): string => keys.length > 0 && random.chance(0.5) ? random.pick(keys) : key();
  let lower = random.chance(0.8) ? draw() : undefined;
  let upper = random.chance(0.8) ? draw() : undefined;
  if (lower !== undefined && upper !== undefined && lower > upper && random.chance(0.95)) [lower, upper] = [upper, lower];
  const lowerExclusive = random.chance(0.4);
  const upperInclusive = random.chance(0.4);
  const part = random.int(6);
  const bound = (limit: string, behind: boolean): number => {
    const at = table.rows.find(limit);
    return behind && keys[at] === limit ? at + 1 : at;
  };
  const from = lower === undefined ? 0 : bound(lower, lowerExclusive);
  const end = upper === undefined ? keys.length : bound(upper, upperInclusive);
  const options: ScanOptions = {
    ...lower === undefined ? {} : { lower: keyBytes(lower), lowerExclusive },
    ...upper === undefined ? {} : { upper: keyBytes(upper), upperInclusive },
    reverse: random.chance(0.5),
    keysOnly: part === 0,
    valuesOnly: part === 1,
  };
  compareRange(view, table, random, options, from, Math.max(from, end), 2);
}

/** Looks a key up. */
export function compareRow(view: View, table: ModelTable, key: string): void {
  const wanted = table.rows.get(key);
  const found = view.tree(table.id).get(keyBytes(key));
  if (found === undefined && wanted === undefined) return;
  if (found === undefined) throw new Error(`${table.name}: ${show(key)} is gone`);
  if (wanted === undefined) throw new Error(`${table.name}: ${show(key)} should not be there`);
  if (!isValue(found, wanted)) throw new Error(`${table.name}: ${show(key)} has another value`);
}
