// Operations on user tables, and bounds of ranges, as their documentation has them.
import type { RangeBounds } from "../../../mod.ts";
import type { ModelOperation } from "./operation.ts";
import { compareKeys, type Key } from "./rows.ts";
import type { UserDefinition, UserRow } from "./user_tables.ts";

/** Bounds of a range: whole keys or their first components. */
export interface Bounds {
  readonly prefix?: Key;
  readonly startsWith?: Key;
  readonly gt?: Key;
  readonly gte?: Key;
  readonly lt?: Key;
  readonly lte?: Key;
}

/** Compares a key with a bound: 0 when the key begins with it. */
function against(key: Key, bound: Key): number {
  return compareKeys(bound, key) === 0 ? 0 : -compareKeys(bound, key);
}

/** Whether a key lies within bounds. */
export function within(key: Key, { prefix, startsWith, gt, gte, lt, lte }: Bounds): boolean {
  if (prefix !== undefined && against(key, prefix) !== 0) return false;
  if (startsWith !== undefined) {
    const last = startsWith.length - 1;
    if (against(key, startsWith.slice(0, last)) !== 0 || !String(key[last]).startsWith(String(startsWith[last]))) return false;
  }
  return (gt === undefined || against(key, gt) > 0) && (gte === undefined || against(key, gte) >= 0) &&
    (lt === undefined || against(key, lt) < 0) && (lte === undefined || against(key, lte) <= 0);
}

export function put(definition: UserDefinition, key: Key, value: UserRow): ModelOperation {
  return {
    name: "put",
    add: (txn) => txn.put(definition.table, [...key], value),
    apply(state) {
      const { rows, incarnation } = state.userTable(definition);
      rows.set(key, value);
      state.show("put", definition.table.name, key, value, incarnation);
    },
  };
}

export function remove(definition: UserDefinition, key: Key): ModelOperation {
  return {
    name: "delete",
    add: (txn) => txn.delete(definition.table, [...key]),
    apply(state) {
      const { rows, incarnation } = state.userTable(definition);
      rows.delete(...key);
      state.show("delete", definition.table.name, key, undefined, incarnation);
    },
  };
}

export function removeRange(definition: UserDefinition, bounds: Bounds, nothing: boolean): ModelOperation {
  return {
    name: "deleteRange",
    add: (txn) => txn.deleteRange(definition.table, bounds as RangeBounds<(number | string)[]>),
    apply(state) {
      const { rows, incarnation } = state.userTable(definition);
      for (const { key } of rows.all()) if (within(key, bounds)) rows.delete(...key);
      if (!nothing) state.show("deleteRange", definition.table.name, bounds, undefined, incarnation);
    },
  };
}
