// Catalogs a folder into a manifest: one chunk for each file, found again by its path. A pass records only what differs from what the manifest holds.
//
// A file counts as unchanged without being read when size, times and file number are those of the last time it was read; a file that had been written just before that is
// read again, because a later change could carry the same time. Changed content is a new generation of the file's chunk. Chunk ids are never reused. Records are
// committed in batches, so memory is bounded: what grows with the folder is one bit for each chunk.
import type { Stats } from "node:fs";
import { chunks as chunkCatalog, defineTable, f64, type Manifest, type ManifestTxn, text, u53 } from "../../mod.ts";
import type { Digester } from "./digest.ts";
import type { Progress } from "./progress.ts";
import { type FoundFile, Walk } from "./walk.ts";

/** A cataloged file: its chunk, and how it looked when it was read. */
interface FileRow {
  chunk: number;
  size: number;
  modified: number;
  changed: number;
  inode: number;
}

/** Chunk of each path. */
const files = defineTable({
  name: "demo_files",
  key: [u53("db"), text("path")],
  value: { chunk: u53(), size: u53(), modified: f64(), changed: f64(), inode: f64() },
});

/** Counters of each cataloged folder. */
const folders = defineTable({ name: "demo_folders", key: [u53("db")], value: { nextChunk: u53(), nextSnapshot: u53(), passes: u53() } });

/** Kind of the metric that holds how long passes took, in milliseconds. */
export const PASS_METRIC = 1;

const BATCH_FILES = 1000;
const BATCH_BYTES = 256 << 20; // content read between commits
const PATH_MAX_BYTES = 900; // of a key; the chunk has the whole path
const FRESH_MS = 2000;
const TURN_MS = 50;
const NEVER = -1;

/** What a pass found and recorded. */
export interface Pass {
  files: number;
  bytes: number;
  folders: number;
  links: number;
  others: number;
  unreadable: number;
  /** The first unreadable ones, in words. */
  unreadableNames: string[];
  added: number;
  changed: number;
  removed: number;
  unchanged: number;
  /** Files whose content was read, and its bytes. */
  read: number;
  readBytes: number;
  commits: number;
  milliseconds: number;
}

function stampOf(stat: Stats, trusted: boolean): Pick<FileRow, "modified" | "changed" | "inode"> {
  return trusted ? { modified: stat.mtimeMs, changed: stat.ctimeMs, inode: stat.ino } : { modified: NEVER, changed: NEVER, inode: NEVER };
}

function looksTheSame(row: FileRow, stat: Stats): boolean {
  return row.size === stat.size && row.modified === stat.mtimeMs && row.changed === stat.ctimeMs && row.inode === stat.ino;
}

function equalBytes(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** One folder in one manifest. */
export class Catalog {
  /** The folder's database. */
  readonly db: number;
  readonly #manifest: Manifest;
  readonly #digester: Digester;
  readonly #root: string;

  private constructor(manifest: Manifest, digester: Digester, root: string, db: number) {
    this.#manifest = manifest;
    this.#digester = digester;
    this.#root = root;
    this.db = db;
  }

  /** Finds the folder in the manifest, or enters it. */
  static async open(manifest: Manifest, digester: Digester, root: string): Promise<Catalog> {
    for (const [[db], { name }] of manifest.listDbs()) if (name === root) return new Catalog(manifest, digester, root, db);
    const db = manifest.maxDbId() + 1;
    await manifest.createTable(files);
    await manifest.begin().putDb(db, { name: root }).put(folders, [db], { nextChunk: 1, nextSnapshot: 1, passes: 0 }).commit();
    return new Catalog(manifest, digester, root, db);
  }

  /** Files that the manifest holds for the folder. */
  get size(): number {
    return this.#manifest.count(files, { prefix: [this.db] });
  }

  /** Passes so far. */
  get passes(): number {
    return this.#manifest.get(folders, [this.db])!.passes;
  }

  /** The path's key: the path itself, or for one too long for a key its digest behind a slash, with which no path below a folder begins. */
  #key(path: string): [db: number, path: string] {
    const bytes = new TextEncoder().encode(path);
    if (bytes.length <= PATH_MAX_BYTES) return [this.db, path];
    const digest = this.#digester.bytes(bytes);
    return [this.db, `/${digest}`];
  }

  /** Compares the folder with the manifest and records what differs. */
  async pass(progress: Progress): Promise<Pass> {
    const start = performance.now();
    let turn = start;
    const run = new CatalogPass(this.#manifest, this.db, new Walk(this.#root), this.#manifest.get(folders, [this.db])!);
    run.walk.onRefused = (path) => { // what is known of it stays
      const row = this.#manifest.get(files, this.#key(path));
      if (row !== undefined) run.see(row.chunk);
    };
    for (const file of run.walk.files()) {
      await this.#file(run, file);
      progress.step(run.found.files, run.found.readBytes);
      if (performance.now() - turn < TURN_MS) continue;
      await new Promise((resolve) => setTimeout(resolve, 0)); // signals are heard between turns only
      turn = performance.now();
    }
    await this.#gone(run);
    await run.finish();
    progress.end();
    return { ...run.found, milliseconds: performance.now() - start };
  }

  async #file(run: CatalogPass, { path, at, stat }: FoundFile): Promise<void> {
    const { found } = run;
    const key = this.#key(path);
    const row = this.#manifest.get(files, key);
    if (row !== undefined) run.see(row.chunk);
    if (row !== undefined && looksTheSame(row, stat)) {
      found.files++;
      found.bytes += stat.size;
      found.unchanged++;
      return;
    }
    const trusted = stat.mtimeMs < Date.now() - FRESH_MS;
    let digest;
    try {
      digest = this.#digester.file(at);
    } catch (error) {
      run.walk.refuse(path, error);
      return;
    }
    found.files++;
    found.bytes += digest.size;
    found.read++;
    found.readBytes += digest.size;
    const known = row === undefined ? undefined : this.#manifest.getChunk(this.db, row.chunk);
    if (row !== undefined && row.size === digest.size && equalBytes(known?.contentHash, digest.hash)) {
      found.unchanged++;
      return;
    }
    const chunk = row?.chunk ?? run.newChunk();
    run.txn.upsertChunk([this.db, chunk], {
      fileName: path,
      generation: (known?.generation ?? 0) + 1,
      sizeBytes: digest.size,
      contentHash: digest.hash,
    }).put(files, key, { chunk, size: digest.size, ...stampOf(stat, trusted && digest.size === stat.size) });
    if (row === undefined) found.added++;
    else found.changed++;
    await run.recorded(digest.size);
  }

  /** Removes what the walk did not meet, unless it lies in a folder that could not be read. */
  async #gone(run: CatalogPass): Promise<void> {
    const closed = run.walk.unreadable.filter(({ folder }) => folder).map(({ path }) => path === "" ? "" : `${path}/`);
    const isClosed = ({ chunk }: FileRow): boolean => {
      const path = this.#manifest.getChunk(this.db, chunk)!.fileName;
      return closed.some((prefix) => path.startsWith(prefix));
    };
    for (const [key, row] of this.#manifest.range(files, { prefix: [this.db] })) {
      if (run.saw(row.chunk) || (closed.length > 0 && isClosed(row))) continue;
      run.txn.delete(files, key).deleteChunk([this.db, row.chunk]);
      run.found.removed++;
      await run.recorded(0);
    }
  }

  /** Publishes all chunks of the folder as a snapshot: one transaction that reads what it writes by, counts the folder's generation and adds the pass to its metric. */
  async publish(pass: Pass): Promise<{ snapshot: number; chunks: number; generation: number }> {
    const { value } = await this.#manifest.transact((txn) => {
      const counters = txn.get(folders, [this.db])!;
      const snapshot = counters.nextSnapshot;
      const chunks = txn.keys(chunkCatalog, { prefix: [this.db] }).toArray().map(([, chunkId]) => ({ chunkId }));
      txn.publishSnapshot([this.db, snapshot], { sourceGeneration: counters.passes, chunks })
        .put(folders, [this.db], { ...counters, nextSnapshot: snapshot + 1 })
        .bumpGeneration(this.db)
        .mergeMetric([this.db, PASS_METRIC], { sum: pass.milliseconds, min: pass.milliseconds, max: pass.milliseconds });
      return { snapshot, chunks: chunks.length };
    });
    return { ...value, generation: this.#manifest.currentGeneration(this.db)! };
  }

  /** Drops every snapshot of the folder but the newest; returns their ids. */
  async dropOlder(): Promise<number[]> {
    const ids = [...this.#manifest.listSnapshots(this.db)].map(([[, snapshot]]) => snapshot);
    const older = ids.slice(0, -1);
    for (const snapshot of older) await this.#manifest.begin().dropSnapshot([this.db, snapshot]).commit();
    return older;
  }
}

/** The state of one pass. */
class CatalogPass {
  readonly walk: Walk;
  txn: ManifestTxn;
  readonly found: Omit<Pass, "milliseconds"> = {
    files: 0,
    bytes: 0,
    folders: 0,
    links: 0,
    others: 0,
    unreadable: 0,
    unreadableNames: [],
    added: 0,
    changed: 0,
    removed: 0,
    unchanged: 0,
    read: 0,
    readBytes: 0,
    commits: 0,
  };
  readonly #manifest: Manifest;
  readonly #db: number;
  readonly #counters: { nextChunk: number; nextSnapshot: number; passes: number };
  #seen: Uint8Array;
  #batchFiles = 0;
  #batchBytes = 0;

  constructor(manifest: Manifest, db: number, walk: Walk, counters: { nextChunk: number; nextSnapshot: number; passes: number }) {
    this.#manifest = manifest;
    this.#db = db;
    this.walk = walk;
    this.#counters = { ...counters };
    this.#seen = new Uint8Array(Math.max(1024, (counters.nextChunk >> 3) + 1));
    this.txn = manifest.begin();
  }

  newChunk(): number {
    const chunk = this.#counters.nextChunk++;
    this.see(chunk);
    return chunk;
  }

  see(chunk: number): void {
    const byte = Math.floor(chunk / 8);
    if (byte >= this.#seen.length) {
      const longer = new Uint8Array(Math.max(byte + 1, this.#seen.length * 2));
      longer.set(this.#seen);
      this.#seen = longer;
    }
    this.#seen[byte] = this.#seen[byte]! | (1 << (chunk % 8));
  }

  saw(chunk: number): boolean {
    return ((this.#seen[Math.floor(chunk / 8)] ?? 0) & (1 << (chunk % 8))) !== 0;
  }

  /** One more record is in the transaction. */
  async recorded(bytes: number): Promise<void> {
    this.#batchFiles++;
    this.#batchBytes += bytes;
    if (this.#batchFiles >= BATCH_FILES || this.#batchBytes >= BATCH_BYTES) await this.#commit();
  }

  async #commit(): Promise<void> {
    await this.txn.put(folders, [this.#db], this.#counters).commit();
    this.found.commits++;
    this.txn = this.#manifest.begin();
    this.#batchFiles = 0;
    this.#batchBytes = 0;
  }

  /** Commits what is left; a pass that recorded nothing commits nothing. */
  async finish(): Promise<void> {
    const { walk, found } = this;
    if (this.#batchFiles > 0 || found.commits > 0) {
      this.#counters.passes++;
      await this.#commit();
    }
    found.folders = walk.folders;
    found.links = walk.links;
    found.others = walk.others;
    found.unreadable = walk.unreadableCount;
    found.unreadableNames = walk.unreadable.map(({ path, reason }) => `${path === "" ? "." : path} (${reason})`);
  }
}
