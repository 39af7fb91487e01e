// Operations on any table: put, delete, deleteRange. For built-in tables they are the table's own operation, or refused.
import { KEY_MAX } from "../../../assembly/format.ts";
import { failType } from "../../errors.ts";
import { encodeBounds, type RangeBounds, takeBounds } from "../read/bounds.ts";
import { builtIn } from "./built_in.ts";
import type { OperationKind } from "../write/operation.ts";

const NOTHING = new Uint8Array(0);
/** Behind every key but this one. */
const LAST_KEY = new Uint8Array(KEY_MAX).fill(0xff);

/** Puts a row. */
export const PUT: OperationKind = {
  name: "put",
  tag: 0,
  stage(staging, table, key, value) {
    const own = builtIn(table);
    if (own !== undefined) return (own.put ?? refuse(table.name)).stage(staging, table, key, value);
    staging.put(staging.bind(table), key, value, 0, false);
  },
};

/** Deletes a row; nothing happens when there is none. */
export const DELETE: OperationKind = {
  name: "delete",
  tag: 0,
  stage(staging, table, key) {
    const own = builtIn(table);
    if (own !== undefined) return (own.delete ?? refuse(table.name)).stage(staging, table, key, undefined);
    staging.delete(staging.bind(table), key, 0, false);
  },
};

/** Deletes all rows of a range. */
export const DELETE_RANGE: OperationKind = {
  name: "deleteRange",
  tag: 0,
  stage(staging, table, bounds) {
    if (builtIn(table) !== undefined) refuse(table.name);
    if (bounds === undefined) failType("Cannot delete a range: its bounds are not an object", { table: table.name });
    const taken = takeBounds(bounds as RangeBounds<readonly unknown[]>, "delete a range");
    const bound = staging.bind(table);
    const encoded = encodeBounds(bound.codec, taken, undefined, false);
    if (encoded === undefined) return;
    staging.deleteRange(bound.info.id, encoded.lower ?? NOTHING, encoded.upper ?? LAST_KEY, 0, false);
    if (encoded.upper === undefined) staging.deleteEncoded(bound.info.id, LAST_KEY, true);
  },
};

function refuse(table: string): never {
  failType(`Cannot write table "${table}": the engine keeps it; use the operations made for it`, { table });
}
