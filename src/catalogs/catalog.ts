// What all catalogs share: the table of their names, and how one is opened.
//
// A manifest may hold several catalogs. Each has a name and a kind; the first component of every key of its tables is that name.
// Invariants: a name belongs to one kind for good, from the commit on that makes the catalog; that commit also puts the catalog's first rows; all its tables are there before it. So who finds the name finds the tables.
import { readArgument } from "../arguments.ts";
import { ArgumentTypeError, fail, failType, isManifestError } from "../errors.ts";
import type { Manifest } from "../manifest/manifest.ts";
import type { Reader } from "../manifest/read/reader.ts";
import type { Transaction } from "../manifest/transact/transaction.ts";
import { type AnyTable, defineTable, enumOf, type Table, text } from "../schema/schema.ts";
import { isWellFormed } from "../schema/text.ts";

/** The kinds of catalogs. */
export type CatalogKind = "lsm" | "files";

/** What the manifest keeps of every catalog. */
export interface CatalogRecord {
  /** Whose tables hold its rows. */
  kind: CatalogKind;
}

/** The catalogs of a manifest by name. */
export const catalogs: Table<[name: string], CatalogRecord> = defineTable({
  name: "catalogs",
  key: [text("name")],
  value: { kind: enumOf("lsm", "files") },
});

/** The name of a catalog that is given none. */
export const DEFAULT_NAME = "default";
/** Keys begin with the name, and take 1,024 bytes encoded. */
const NAME_BYTES = 128;

/** The name of a catalog, or NAME_INVALID; `action` completes "Cannot …". */
export function checkCatalogName(name: unknown, action: string): string {
  if (typeof name !== "string") throw new ArgumentTypeError(`Cannot ${action}: its name is not a string`, {}, "NAME_INVALID");
  const length = new TextEncoder().encode(name).length;
  if (length < 1 || length > NAME_BYTES || name.includes("\0") || !isWellFormed(name)) {
    throw new ArgumentTypeError(
      `Cannot ${action}: its name is not 1 to ${NAME_BYTES} bytes of text without NUL`,
      { detail: { length } },
      "NAME_INVALID",
    );
  }
  return name;
}

/** A manifest, or INVALID_ARGUMENT. */
export function checkManifest(manifest: Manifest, action: string): Manifest {
  return readArgument(action, "the manifest", () => {
    if (typeof manifest?.transact !== "function" || typeof manifest.read !== "function") {
      failType(`Cannot ${action}: no manifest was given`);
    }
    return manifest;
  });
}

/** A catalog's row; undefined when there is no such catalog. */
export function findCatalog(reader: Reader, name: string): CatalogRecord | undefined {
  try {
    return reader.get(catalogs, name);
  } catch (error) {
    if (isManifestError(error) && error.code === "TABLE_UNKNOWN") return undefined; // nobody has made one yet
    throw error;
  }
}

/** A catalog of a manifest. */
export interface CatalogSummary extends CatalogRecord {
  /** Its name. */
  name: string;
}

/** The catalogs of a manifest, by name. */
export function listCatalogs(reader: Reader): CatalogSummary[] {
  try {
    return reader.range(catalogs).toArray().map(([[name], { kind }]) => ({ name, kind }));
  } catch (error) {
    if (isManifestError(error) && error.code === "TABLE_UNKNOWN") return [];
    throw error;
  }
}

/** How a catalog is opened. */
export interface CatalogOpening {
  /** Completes "Cannot …"; its name follows. */
  readonly action: string;
  /** A name that has passed {@linkcode checkCatalogName}. */
  readonly name: string;
  /** What it must be, or becomes. */
  readonly kind: CatalogKind;
  /** Makes it when it is missing; else NOT_FOUND. */
  readonly create: boolean;
  /** Its tables. */
  readonly tables: readonly AnyTable[];
  /** Puts its first rows, in the commit that makes it. */
  make(txn: Transaction): void;
}

/**
 * Finds a catalog, or makes it; returns whether it was made. CATALOG_MISMATCH when the name is a catalog of another kind; NOT_FOUND when there is none and none is to be made, or the manifest is only read; SCHEMA_TOO_NEW,
 * SCHEMA_MISMATCH when its tables are not what this version knows; what a commit may reject with.
 */
export async function openCatalog(manifest: Manifest, opening: CatalogOpening): Promise<boolean> {
  const { name, tables, create } = opening;
  const matches = (reader: Reader): boolean => {
    const found = findCatalog(reader, name);
    if (found !== undefined && found.kind !== opening.kind) {
      const detail = { catalog: name, expected: opening.kind, actual: found.kind };
      fail("CATALOG_MISMATCH", `Cannot ${opening.action} "${name}": it is of kind "${found.kind}"`, { detail });
    }
    return found !== undefined;
  };
  if (matches(manifest)) {
    for (const table of tables) if (!manifest.readOnly) await manifest.createTable(table);
    return false;
  }
  if (!create || manifest.readOnly) {
    fail("NOT_FOUND", `Cannot ${opening.action} "${name}": there is none`, { detail: { catalog: name } });
  }
  for (const table of [catalogs, ...tables]) await manifest.createTable(table);
  const { value } = await manifest.transact((txn) => {
    if (matches(txn)) return false; // another opening was faster
    txn.put(catalogs, name, { kind: opening.kind });
    opening.make(txn);
    return true;
  });
  return value;
}
