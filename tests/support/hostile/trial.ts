// A forged file is opened, read, checked and written to. Whatever it holds, each call ends, in bounded steps and memory, with an answer or an error that has a type and a reason; never with a trap.
//
// A forged file may say anything, so answers are not compared with what the file held before; but what one call answers another must not contradict: a row that a scan delivers comes once and in order.
import { Buffer } from "node:buffer";
import { Manifest } from "../../../mod.ts";
import { isManifestError } from "../../../src/errors.ts";
import { stageRaw } from "../../../src/store/raw_ops.ts";
import { type ReadTransaction, Store } from "../../../src/store/store.ts";
import { crc32c } from "../damage/crc.ts";
import { caseOptions, type Mode } from "../damage/case.ts";
import { type FlatFile, FlatStorage, Hang } from "../damage/flat_storage.ts";
import { Footprint } from "../damage/footprint.ts";
import { named, Wrong } from "../damage/interrogate.ts";
import { testEnvironment } from "../environment.ts";

/** Storage calls of one trial. An undamaged file takes some hundreds. */
const CALLS = 30_000;
/** Rows that a scan of such a file can deliver, and more. */
const ROWS = 20_000;
/** Codes of errors that a forged file may be answered with. */
const CODES =
  /^(CORRUPT_HEADER|CORRUPT_PAGE|CORRUPT_RECORD|CORRUPT_JOURNAL|CORRUPT_LOG|TRUNCATED|ROLLED_BACK|NOT_A_MANIFEST|FORMAT_TOO_NEW|UNKNOWN_FEATURE|EMPTY_FILE|SCHEMA_MISMATCH|SCHEMA_TOO_NEW|TABLE_UNKNOWN|LIMIT|NO_SPACE|CURSOR_TRUNCATED|SNAPSHOT_EXPIRED|UNAVAILABLE|READ_ONLY|REFCOUNT_UNDERFLOW|NOT_FOUND|TABLE_EXISTS|COMMIT_UNKNOWN)$/;

/** What a trial came across. */
export class Findings {
  readonly codes = new Map<string, number>();
  #rows = 0x811c9dc5;

  /** Notes an error; anything but a typed one is wrong. */
  note(error: unknown, where: string): string {
    const { code, reason } = named(error, where);
    if (!CODES.test(code)) {
      throw new Wrong(
        `${where}: ${code}: ${(error as Error).message} ${JSON.stringify(error)} ${((error as Error).cause as Error | undefined)?.stack}`,
      );
    }
    if (code === "CORRUPT_PAGE" && reason === undefined) throw new Wrong(`${where}: CORRUPT_PAGE without a reason`);
    const name = code === "CORRUPT_PAGE" ? `${code} ${reason}` : code;
    this.codes.set(name, (this.codes.get(name) ?? 0) + 1);
    return name;
  }

  /** Takes a row into the sum of the answers. */
  row(key: Uint8Array, value: Uint8Array): void {
    for (const bytes of [key, value]) this.#rows = Math.imul(this.#rows ^ crc32c(bytes) ^ bytes.length, 0x01000193);
  }

  /** Sum of all rows that were read. */
  get sum(): number {
    return this.#rows >>> 0;
  }

  /** The first error, or what the answers are. */
  outcome(sum: number): string {
    return [...this.codes.keys()][0] ?? (this.sum === sum ? "equal" : "another answer");
  }
}

function tryCall<T>(findings: Findings, where: string, call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    findings.note(error, where);
    return undefined;
  }
}

function readTable(view: ReadTransaction, id: number, findings: Findings): void {
  const tree = view.tree(id);
  void tree.rows;
  const keys: Uint8Array[] = [];
  for (const reverse of [false, true]) {
    tryCall(findings, `scan table ${id}`, () => {
      using scan = tree.scan({ reverse });
      let rows = 0;
      let before: Uint8Array | undefined;
      while (scan.next(48, 1 << 14) > 0) {
        for (let i = 0; i < scan.rows; i++) {
          if (++rows > ROWS) throw new Hang(`table ${id}: a scan delivers more than ${ROWS} rows`);
          const key = scan.key(i);
          const order = before === undefined ? 1 : Buffer.compare(key, before);
          if (before !== undefined && (reverse ? order >= 0 : order <= 0)) throw new Wrong(`table ${id}: a scan goes back`);
          before = key;
          const value = tryCall(findings, `value of table ${id}`, () => scan.value(i));
          if (!reverse) {
            findings.row(key, value ?? new Uint8Array(0));
            if (keys.length < 24) keys.push(key);
          }
        }
      }
    });
  }
  tryCall(findings, `count table ${id}`, () => {
    using scan = tree.scan();
    scan.count();
  });
  for (const key of keys) tryCall(findings, `look up in table ${id}`, () => tree.get(key));
}

/** Reads everything that the store can be asked for. */
export function readStore(store: Store, tables: readonly number[], findings: Findings): void {
  using view = store.read();
  const ids = new Set([1, 2, 3, ...tables]);
  for (const { id } of tryCall(findings, "list tables", () => store.listTables()) ?? []) ids.add(id);
  for (const id of ids) tryCall(findings, `table ${id}`, () => readTable(view, id, findings));
}

/** Writes to it, as far as it lets one. */
async function writeStore(
  { file, store, findings, footprint }: { file: FlatFile; store: Store; findings: Findings; footprint: Footprint },
  tables: readonly number[],
  compact: boolean,
): Promise<void> {
  const attempt = async (where: string, call: () => Promise<unknown>): Promise<void> => {
    try {
      await call();
    } catch (error) {
      file.checkEnded();
      findings.note(error, where);
    }
    footprint.check(where);
  };
  const key = Uint8Array.of(0x6d, 0x00);
  for (const table of tables) {
    await attempt(
      "put",
      () => store.commit({ stage: () => stageRaw(store.kernel, [{ kind: "put", table, key, value: new Uint8Array(300) }]) }),
    );
    await attempt(
      "put a run",
      () =>
        store.commit({ stage: () => stageRaw(store.kernel, [{ kind: "put", table, key: key.slice(0, 1), value: new Uint8Array(5000) }]) }),
    );
    let first: Uint8Array | undefined;
    tryCall(findings, "first row", () => {
      using view = store.read();
      using scan = view.tree(table).scan();
      if (scan.next(1, 1 << 13) > 0) first = scan.key(0);
    });
    if (first !== undefined) {
      await attempt("delete", () => store.commit({ stage: () => stageRaw(store.kernel, [{ kind: "delete", table, key: first! }]) }));
    }
  }
  await attempt("drop a table", async () => {
    const [table] = store.listTables().slice(-1);
    if (table !== undefined) await store.dropTable(table.name);
  });
  await attempt("checkpoint", () => store.checkpoint());
  if (compact) await attempt("compact", () => store.compact());
}

/** How thoroughly a trial is made. */
export interface TrialDepth {
  readonly mode: Mode;
  /** The whole-file check is run. */
  readonly check: boolean;
  /** Opened for writing: compacted too. */
  readonly compact: boolean;
  /** The manifest's own records are read too. */
  readonly manifest: boolean;
}

/** Makes a trial of the file as it is; the file is changed by it. */
export async function trial(file: FlatFile, tables: readonly number[], { mode, check, compact, manifest }: TrialDepth): Promise<Findings> {
  const findings = new Findings();
  file.budget = CALLS;
  using footprint = new Footprint();
  let store: Store | undefined;
  try {
    store = await Store.open(new FlatStorage(file, mode === "read"), { ...caseOptions(testEnvironment(1), mode), cacheBytes: 2 << 20 });
  } catch (error) {
    file.checkEnded();
    findings.note(error, "open");
  }
  footprint.check("open");
  if (store !== undefined) {
    readStore(store, tables, findings);
    footprint.check("read");
    if (check && mode === "read") await checkStore(store, findings);
    if (mode === "write") await writeStore({ file, store, findings, footprint }, tables, compact);
    if (check && mode === "write") await checkStore(store, findings);
    footprint.check("check");
    try {
      await store.close();
    } catch (error) {
      findings.note(error, "close");
    }
  }
  if (manifest) await readManifest(file, mode, findings, footprint);
  file.checkEnded();
  return findings;
}

async function checkStore(store: Store, findings: Findings): Promise<void> {
  try {
    await store.check();
  } catch (error) {
    findings.note(error, "check");
  }
}

/** Reads everything that a manifest tells. */
async function readManifest(file: FlatFile, mode: Mode, findings: Findings, footprint: Footprint): Promise<void> {
  let manifest: Manifest;
  try {
    manifest = await Manifest.open(new FlatStorage(file, mode === "read"), {
      ...caseOptions(testEnvironment(1), mode),
      pollMs: 0,
      changeCache: false,
    });
  } catch (error) {
    findings.note(error, "open the manifest");
    return;
  }
  const read = (where: string, call: () => unknown): void => void tryCall(findings, where, call);
  read("databases", () => [...manifest.listDbs()]);
  read("snapshots", () => [...manifest.listSnapshots(1)]);
  read("chunks", () => [...manifest.listChunks(1)]);
  read("jobs", () => manifest.listJobs());
  read("generations", () => [...manifest.listGenerations()]);
  read("collectable", () => manifest.listCollectable());
  read("stats", () => manifest.stats());
  read("diagnostics", () => JSON.stringify(manifest.diagnostics()));
  read("tables", () => manifest.listTables());
  try {
    await manifest.check();
  } catch (error) {
    findings.note(error, "check the manifest");
  }
  try {
    for await (const change of manifest.changes()) void change.operations.length;
  } catch (error) {
    findings.note(error, "changes");
  }
  footprint.check("the manifest");
  try {
    await manifest.close();
  } catch (error) {
    if (!isManifestError(error)) throw error;
    findings.note(error, "close the manifest");
  }
}
