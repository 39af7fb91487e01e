// What the parity tests share: a manifest on a simulated disk, opened again in order or behind a power loss, and its whole state as plain data.
//
// Every parity test calls one of the four that open again (`reopen`, `crashAndReopen`, `reopened`, `reopenFile`) and asserts behind it: tests/parity/table_test.ts looks at that.
import { type Change, Manifest, type ManifestOptions } from "../../mod.ts";
import { BUILT_IN } from "../../src/manifest/operations/built_in.ts";
import { SimDisk } from "../support/crash_storage.ts";
import { type TestEnvironment, testEnvironment } from "../support/environment.ts";

/** Rows of all tables by name, and the newest change. */
export type State = Readonly<Record<string, unknown>>;

/** A manifest that is opened again. */
export class Subject {
  /** Clock, entropy and timers of all openings. */
  readonly environment: TestEnvironment = testEnvironment(20_260);
  /** The disk under the manifest. */
  disk: SimDisk = new SimDisk();
  #manifest!: Manifest;
  #options: ManifestOptions = {};

  /** A subject with a new manifest; the options hold for later openings too. */
  static async make(options: ManifestOptions = {}): Promise<Subject> {
    const subject = new Subject();
    subject.#options = options;
    await subject.#open({});
    return subject;
  }

  /** A manifest opened again from the bytes that another one has left. */
  static async reopened(bytes: Uint8Array, options: ManifestOptions = {}): Promise<Subject> {
    const subject = new Subject();
    subject.disk = new SimDisk(bytes);
    subject.#options = options;
    await subject.#open({ create: false });
    return subject;
  }

  /** The manifest that is open now. */
  get manifest(): Manifest {
    return this.#manifest;
  }

  async #open(options: ManifestOptions): Promise<Manifest> {
    const all = { create: true, idleCheckpoint: 0, environment: this.environment, ...this.#options, ...options };
    return this.#manifest = await Manifest.open(this.disk.open(), all);
  }

  /** Closes in order and opens again. */
  async reopen(options: ManifestOptions = {}): Promise<Manifest> {
    await this.#manifest.close();
    return await this.#open(options);
  }

  /** Loses the power and opens again: what no completed sync covers is gone. */
  async crashAndReopen(options: ManifestOptions = {}): Promise<Manifest> {
    this.disk = new SimDisk(this.disk.durable());
    return await this.#open(options);
  }

  /** Closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#manifest.close();
  }
}

/** Opens the manifest of a file that another opening has left. */
export function reopenFile(path: string, options: ManifestOptions = {}): Promise<Manifest> {
  return Manifest.open(path, options);
}

/** Everything that the tables of a manifest hold, the user's too. */
export function stateOf(manifest: Manifest): State {
  const state: Record<string, unknown> = { latest: manifest.latestChangeSequence() };
  for (const { table } of BUILT_IN) state[table.name] = manifest.range(table).toArray();
  for (const { name, builtIn } of manifest.listTables()) {
    if (!builtIn) state[name] = manifest.range(manifest.tableDefinition(name)!).toArray();
  }
  return state;
}

/** The newest change. */
export async function lastChange(manifest: Manifest): Promise<Change> {
  const cursor = await manifest.registerChangeCursor("the newest", { start: manifest.latestChangeSequence() });
  const { changes } = await manifest.fetchChangePage(cursor.id);
  await manifest.unregisterChangeCursor(cursor.id);
  return changes.at(-1)!;
}

/** Names of the operations of the newest change, in order. */
export async function lastOperations(manifest: Manifest): Promise<string[]> {
  return (await lastChange(manifest)).operations.map(({ op }) => op);
}
