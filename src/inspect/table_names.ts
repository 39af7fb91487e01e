// Names of tables by id, as far as the registry of a state can be read: for findings, and for salvage.
import { TABLE_DROPPED, TABLE_ID_CHANGES, TABLE_ID_COMMITS, TABLE_ID_TABLES } from "../../assembly/format.ts";
import { isManifestError } from "../errors.ts";
import type { Meta } from "../store/meta.ts";
import type { Inspection } from "./inspection.ts";
import { rootsTree, tableRoot, type VisitedRow, Visitor } from "./visitor.ts";

const ROW_HEADER = 8;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Names that the engine's own tables have in findings. */
export const ENGINE_TABLES: ReadonlyMap<number, string> = new Map([
  [TABLE_ID_TABLES, "(tables)"],
  [TABLE_ID_CHANGES, "change_log"],
  [TABLE_ID_COMMITS, "(commits)"],
]);

/** A row of the registry; undefined for its counter, and for what is no such row. */
export function registryRow(key: Uint8Array, value: Uint8Array): { id: number; name: string; schema: Uint8Array } | undefined {
  if ((key.length === 1 && key[0] === 0) || value.length < ROW_HEADER) return undefined;
  try {
    const id = new DataView(value.buffer, value.byteOffset).getUint32(0, true);
    return { id, name: decoder.decode(key), schema: value.slice(ROW_HEADER) };
  } catch {
    return undefined;
  }
}

/** The name of a table by its id. */
export function nameOfTable(names: ReadonlyMap<number, string>, id: number): string {
  if (id >= TABLE_DROPPED) return `(dropped #${id - TABLE_DROPPED})`;
  return ENGINE_TABLES.get(id) ?? names.get(id) ?? `#${id}`;
}

/** Reads the names that a state's registry holds, past what is damaged in it. */
export async function readTableNames(inspection: Inspection, meta: Meta): Promise<Map<number, string>> {
  const names = new Map<number, string>();
  const roots = rootsTree(meta);
  if (roots === undefined) return names;
  const visitor = new Visitor(inspection, meta, (id) => nameOfTable(names, id));
  const quiet = (): void => {};
  let registry;
  for await (const visit of visitor.visit(roots, quiet)) {
    if (visit.type === "leaf") registry ??= visit.rows().map(tableRoot).find((root) => root?.table === TABLE_ID_TABLES);
  }
  if (registry === undefined) return names;
  for await (const visit of visitor.visit(registry, quiet)) {
    if (visit.type !== "leaf") continue;
    for (const row of visit.rows()) {
      const entry = entryOf(visitor, row);
      if (entry !== undefined) names.set(entry.id, entry.name);
    }
  }
  return names;
}

function entryOf(visitor: Visitor, row: VisitedRow): { id: number; name: string } | undefined {
  try {
    return registryRow(row.key, visitor.value(row));
  } catch (error) {
    if (!isManifestError(error)) throw error;
    return undefined; // the walk itself names what is damaged
  }
}
