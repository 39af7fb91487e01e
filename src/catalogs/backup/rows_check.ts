// Whether the rows of a backup are those of a manifest, and of the one that its record tells of: counted, in order, each once, of tables that there are, with the file sets and the files that the record lists.
//
// A piece is gone through once, whoever shares it: what came of it (`PieceFacts`) is put together for each backup. Restoring does the same before it puts a row.
import { KEY_MAX, TABLE_DROPPED, TABLE_ID_CHANGES, TABLE_ID_COMMITS, TABLE_ID_TABLES, TABLE_ID_USER } from "../../../assembly/format.ts";
import { fail } from "../../errors.ts";
import type { RowReader } from "../../inspect/row_reader.ts";
import { catalogs } from "../catalog.ts";
import { hexOf, releaseHasher, takeHasher } from "../files/digest.ts";
import { fileSets, pathOf, storedFiles, type StoredRow } from "../files/tables.ts";
import { FilesTotal } from "./file_list.ts";
import { FRAME_MOST, SEQUENCE_MOST, TIME_END } from "./limits.ts";
import type { BackupRecord } from "./record.ts";
import { decodedRows, type RawRow } from "./rows.ts";

const NAME_MOST = 255;
const ROW_HEADER = 8;
const SCHEMA_MOST = 1 << 20;
/** The tables whose rows are looked into. */
const READ: ReadonlySet<string> = new Set([catalogs.name, fileSets.name, storedFiles.name]);
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function wrong(what: string, file?: string): never {
  fail("BACKUP_DAMAGED", `Cannot read a backup: ${what}`, { detail: { ...file === undefined ? {} : { file }, reason: "content" } });
}

/** What came of a piece. */
export interface PieceFacts {
  /** What was known of the tables that are looked into: with something else it says nothing. */
  readonly known: string;
  readonly rows: number;
  readonly first: RawRow | undefined;
  readonly last: RawRow | undefined;
  /** Tables of its rows. */
  readonly tables: readonly number[];
  /** Rows of the registry. */
  readonly registry: readonly RawRow[];
  /** The last change, and the last frame that has a commit. */
  readonly change: number | undefined;
  readonly frame: number | undefined;
  /** File sets that are catalogs, those that have numbers with these, and the stored files of each. */
  readonly catalogs: readonly string[];
  readonly numbers: ReadonlyMap<string, { readonly files: number; readonly bytes: number }>;
  readonly stored: ReadonlyMap<string, FilesTotal>;
}

/** The tables of a backup's manifest. */
export class Tables {
  readonly #names = new Map<number, string>();
  readonly #read = new Map<number, { readonly name: string; readonly schema: Uint8Array }>();
  /** Names those that are looked into, and their schemas. */
  known = "";

  /** Whether rows may be of this table. */
  has(id: number): boolean {
    return id === TABLE_ID_TABLES || id === TABLE_ID_CHANGES || id === TABLE_ID_COMMITS || this.#names.has(id);
  }

  /** A table that is looked into. */
  reading(id: number): { readonly name: string; readonly schema: Uint8Array } | undefined {
    return this.#read.get(id);
  }

  /** Takes a row of the registry. BACKUP_DAMAGED when it names what no table can have. */
  add({ key, value }: RawRow): void {
    if (key.length === 1 && key[0] === 0) {
      if (value.length < 4) wrong("the number of the next table is cut short");
      return;
    }
    let name = "";
    try {
      name = decoder.decode(key);
    } catch {
      wrong("the name of a table is not UTF-8");
    }
    if (value.length < ROW_HEADER || value.length > ROW_HEADER + SCHEMA_MOST) wrong("a table has an impossible schema");
    const id = new DataView(value.buffer, value.byteOffset).getUint32(0, true);
    const possible = name !== "" && !name.includes("\0") && key.length <= NAME_MOST && id >= TABLE_ID_USER && id < TABLE_DROPPED;
    if (!possible || this.#names.has(id)) wrong("a row of the registry names what no table can have");
    this.#names.set(id, name);
    if (!READ.has(name)) return;
    const schema = value.slice(ROW_HEADER);
    this.#read.set(id, { name, schema });
    this.known += `${name} ${id} ${hexOf(schema)}\n`;
  }
}

/** Goes through a piece; rows of the registry are added to `tables`. BACKUP_DAMAGED when its rows cannot be those of a manifest. */
export async function pieceFacts(piece: Uint8Array, file: string, tables: Tables, reader: RowReader): Promise<PieceFacts> {
  const { known } = tables;
  const ids = new Set<number>();
  const registry: RawRow[] = [];
  const sets: string[] = [];
  const numbers = new Map<string, { files: number; bytes: number }>();
  const stored = new Map<string, FilesTotal>();
  let rows = 0, change: number | undefined, frame: number | undefined;
  let first: RawRow | undefined, last: RawRow | undefined;
  const hasher = await takeHasher("blake3");
  try {
    for (const row of decodedRows(piece, file)) {
      const { table, key, value } = row;
      if (key.length > KEY_MAX) wrong("a key is longer than any", file);
      if (last !== undefined && comparePlaces(last, row) >= 0) wrong("its rows are not in order", file);
      first ??= row;
      last = row;
      rows++;
      ids.add(table);
      if (table === TABLE_ID_TABLES) {
        const copy = { table, key: key.slice(), value: value.slice() };
        registry.push(copy);
        tables.add(copy);
      } else if (table === TABLE_ID_CHANGES) change = numberOf(key, file);
      else if (table === TABLE_ID_COMMITS) frame = numberOf(key, file);
      const reading = tables.reading(table);
      if (reading === undefined) continue;
      const read = reader.read(reading.name, reading.schema, key, value);
      if (read === undefined) wrong(`a row of "${reading.name}" cannot be read`, file);
      const name = read.key[0] as string;
      if (reading.name === catalogs.name) {
        if (read.value.kind === "files") sets.push(name);
      } else if (reading.name === fileSets.name) numbers.set(name, read.value as { files: number; bytes: number });
      else {
        const { sizeBytes, algorithm, digest, ...rest } = read.value as unknown as StoredRow;
        let total = stored.get(name);
        if (total === undefined) stored.set(name, total = new FilesTotal());
        total.add(hasher, { path: pathOf(read.key[1] as string, rest), object: { algorithm, digest: hexOf(digest), sizeBytes } });
      }
    }
  } finally {
    releaseHasher("blake3", hasher);
  }
  return {
    known,
    rows,
    first: placeOf(first),
    last: placeOf(last),
    tables: [...ids],
    registry,
    change,
    frame,
    catalogs: sets,
    numbers,
    stored,
  };
}

/** Without the value, and no view of the piece. */
function placeOf(row: RawRow | undefined): RawRow | undefined {
  return row === undefined ? undefined : { table: row.table, key: row.key.slice(), value: new Uint8Array(0) };
}

function numberOf(key: Uint8Array, file: string): number {
  if (key.length !== 8) wrong("a number of its log is cut short", file);
  return Number(new DataView(key.buffer, key.byteOffset).getBigUint64(0));
}

function comparePlaces(a: RawRow, b: RawRow): number {
  if (a.table !== b.table) return a.table - b.table;
  const most = Math.min(a.key.length, b.key.length);
  for (let i = 0; i < most; i++) if (a.key[i] !== b.key[i]) return a.key[i]! - b.key[i]!;
  return a.key.length - b.key.length;
}

/** Holds the pieces of one backup against each other and against its record. */
export class ManifestCheck {
  /** The tables, as far as the pieces have told. */
  readonly tables = new Tables();
  readonly #catalogs: string[] = [];
  readonly #numbers = new Map<string, { readonly files: number; readonly bytes: number }>();
  readonly #stored = new Map<string, FilesTotal>();
  #rows = 0;
  #last: RawRow | undefined;
  #change: number | undefined;
  #frame: number | undefined;

  /** Takes the next piece. Facts of an earlier backup are taken `again`: when they do not fit nothing is changed, and it returns false. */
  add(facts: PieceFacts, again = false): boolean {
    if (again) {
      if (facts.known !== this.tables.known) return false;
      for (const row of facts.registry) this.tables.add(row);
    }
    const { first, last } = facts;
    if (first === undefined || last === undefined) wrong("a piece of its manifest is empty");
    if (this.#last !== undefined && comparePlaces(this.#last, first) >= 0) wrong("pieces of its manifest are not in order");
    this.#last = last;
    for (const id of facts.tables) if (!this.tables.has(id)) wrong(`its manifest has rows of a table ${id}, and no such table`);
    this.#rows += facts.rows;
    this.#change = facts.change ?? this.#change;
    this.#frame = facts.frame ?? this.#frame;
    this.#catalogs.push(...facts.catalogs);
    for (const [name, numbers] of facts.numbers) this.#numbers.set(name, numbers);
    for (const [name, total] of facts.stored) {
      const sum = this.#stored.get(name);
      if (sum !== undefined) sum.join(total);
      else {
        const begun = new FilesTotal();
        begun.join(total);
        this.#stored.set(name, begun);
      }
    }
    return true;
  }

  /** All pieces were taken. `listed` is what came of the lists of each file set, as far as it is known. BACKUP_DAMAGED when the record tells of something else. */
  end({ manifest, fileSets }: BackupRecord, listed: ReadonlyMap<string, FilesTotal>): void {
    const { rows, sequence, frame } = manifest;
    if (this.#rows !== rows) wrong(`its manifest has ${this.#rows} rows, and ${rows} by the record`);
    if (this.#change !== undefined && this.#change !== sequence) {
      wrong("the manifest's newest change is another one than the record says");
    }
    if (this.#frame !== undefined && this.#frame > frame) wrong("the manifest has a commit behind the frame that the record says");
    const named = [...this.#catalogs].sort();
    const told = fileSets.map(({ catalog }) => catalog).sort();
    if (named.length !== told.length || named.some((name, i) => name !== told[i])) {
      wrong("the manifest has other file sets than the record");
    }
    for (const { catalog, files, bytes } of fileSets) {
      const numbers = this.#numbers.get(catalog);
      const stored = this.#stored.get(catalog) ?? new FilesTotal();
      const other = numbers?.files !== files || numbers.bytes !== bytes || stored.files !== files || stored.bytes !== bytes;
      if (other || listed.get(catalog)?.equals(stored) === false) wrong("the manifest names other files than the record");
    }
  }
}

/** What a record says by itself that no manifest can have. BACKUP_DAMAGED. */
export function checkHead({ takenAt, manifest, fileSets }: BackupRecord): void {
  const { sequence, frame } = manifest;
  if (sequence > SEQUENCE_MOST || frame > FRAME_MOST || takenAt >= TIME_END) wrong("its record has an impossible number");
  if (new Set(fileSets.map(({ catalog }) => catalog)).size < fileSets.length) wrong("its record has a file set twice");
}

/** Whether the lists of a file set came to what the record says. BACKUP_DAMAGED. */
export function checkListed({ files, bytes }: { readonly files: number; readonly bytes: number }, total: FilesTotal): void {
  if (total.files === files && total.bytes === bytes) return;
  fail(
    "BACKUP_DAMAGED",
    `Cannot read a backup: the lists name ${total.files} files of ${total.bytes} bytes, the record ${files} of ${bytes}`,
    { detail: { reason: "list" } },
  );
}
