// A file set beside a plain reference: maps of names for each version, sets of paths, and nothing else.
//
// Each step does something to both and compares what follows from it: the versions, what is in them, which files are stored and condemned, and which lie in the folder.
import { assert, assertEquals } from "@std/assert";
import { Manifest } from "../../../mod.ts";
import { FileSetCatalog, type FileSetState, type FileSetVersion, type Folder, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { unlessMissing } from "../../../src/catalogs/files/prune.ts";
import { fail } from "../../../src/errors.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { codeOf } from "../../manifest/open_manifest.ts";
import { testEnvironment } from "../../support/environment.ts";
import { type Random, seeded } from "../../support/random.ts";
import { fileBytes, filesIn, putFile, StandingClock } from "./parts.ts";

type Names = ReadonlyMap<string, string>;

interface Reference {
  versions: Map<number, Names>;
  condemned: Set<string>;
  /** Text of every file in the folder. */
  disk: Map<string, string>;
  pins: Map<string, { version: number; all: boolean; expiresAt: number }>;
  next: number;
}

/** What a crash left. */
interface Image {
  readonly bytes: Uint8Array;
  readonly files: Map<string, string>;
}

const KINDS = ["data", "vector", "spatial", "text", "timestamp", "column", "ours"];
const key = (kind: string, name: string): string => `${kind}\0${name}`;
const decoder = new TextDecoder();

/** A folder that fails to remove what it is told, and is told of each removal. */
function meddling(folder: Folder, onRemove: (path: string) => Promise<void>): Folder {
  return Object.assign(Object.create(folder) as Folder, {
    remove: async (path: string): Promise<boolean> => {
      await onRemove(path);
      return await folder.remove(path);
    },
    list: (directory: string) => folder.list(directory),
    facts: (path: string) => folder.facts(path),
    open: (path: string) => folder.open(path),
    create: (path: string) => folder.create(path),
    makeDirectory: (directory: string) => folder.makeDirectory(directory),
    syncDirectory: (directory: string) => folder.syncDirectory(directory),
  });
}

/** One run. */
export class FileSetModel {
  /** How often what happened. */
  readonly seen = new Map<string, number>();
  readonly #random: Random;
  readonly #clock = new StandingClock();
  #folder!: Folder;
  #file = new MemoryFile();
  #manifest!: Manifest;
  #catalog!: FileSetCatalog;
  #reference: Reference = { versions: new Map(), condemned: new Set(), disk: new Map(), pins: new Map(), next: 1 };
  readonly #readers: { version: FileSetVersion; names: Names }[] = [];
  readonly #states: { state: FileSetState; versions: number[] }[] = [];
  #paths = 0;
  #onRemove: (path: string) => Promise<void> = () => Promise.resolve();

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  async run(steps: number): Promise<void> {
    this.#folder = memoryFolder(this.#clock);
    await this.#open();
    await this.#write("before");
    await this.#orphans();
    for (let step = 0; step < steps; step++) {
      try {
        await this.#step();
        await this.#compare();
      } catch (error) {
        throw new Error(`seed ${this.#random.seed}, step ${step}`, { cause: error });
      }
    }
    await this.#close();
  }

  #count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  async #open(): Promise<void> {
    const environment = { ...testEnvironment(this.#random.u32()), now: this.#clock.now };
    this.#manifest = await Manifest.open(new MemoryStorage(this.#file), {
      create: true,
      idleCheckpoint: 0,
      environment,
      cacheBytes: 1 << 20,
    });
    const folder = meddling(this.#folder, (path) => this.#onRemove(path));
    this.#catalog = await FileSetCatalog.open(this.#manifest, folder, { environment, parallel: this.#random.between(1, 3) });
  }

  async #close(): Promise<void> {
    for (const { version } of this.#readers.splice(0)) version.close();
    for (const { state } of this.#states.splice(0)) state.close();
    await this.#manifest.close();
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const draw = random.int(100);
    if (draw < 45) return await this.#commit();
    if (draw < 62) return await this.#prune();
    if (draw < 70) return this.#read();
    if (draw < 76) return this.#release();
    if (draw < 83) return await this.#pin();
    if (draw < 87) return void (this.#clock.time += random.int(2000));
    if (draw < 90) return await this.#reopen();
    if (draw < 93) return await this.#verify();
    if (draw < 97) return await this.#orphans();
    await this.#refusals();
  }

  // ---- commits ------------------------------------------------------------------------------------------------

  get #current(): Names {
    return [...this.#reference.versions.values()].at(-1) ?? new Map();
  }

  #stored(): Set<string> {
    return new Set([...this.#reference.versions.values()].flatMap((names) => [...names.values()]));
  }

  async #write(path: string): Promise<void> {
    const text = `${path} ${"x".repeat(this.#random.int(50))}`;
    await putFile(this.#folder, path, text);
    this.#reference.disk.set(path, text);
  }

  async #path(): Promise<string> {
    const { disk, condemned } = this.#reference;
    const stored = this.#stored();
    const old = [...stored];
    if (condemned.size > 0 && this.#random.chance(0.1)) return this.#random.pick([...condemned]);
    if (old.length > 0 && this.#random.chance(0.2)) return this.#random.pick(old);
    const idle = [...disk.keys()].filter((path) => !stored.has(path) && !condemned.has(path));
    if (idle.length > 0 && this.#random.chance(0.2)) return this.#random.pick(idle);
    const path = this.#random.chance(0.1) && this.#paths > 3
      ? `dir/p${this.#random.int(this.#paths)}`
      : this.#random.chance(0.3)
      ? `dir/p${this.#paths++}`
      : `p${this.#paths++}`;
    if (!disk.has(path) && !condemned.has(path)) await this.#write(path);
    return path;
  }

  async #commit(): Promise<void> {
    const random = this.#random, { versions, condemned } = this.#reference;
    const names = new Map(this.#current);
    const set: { kind: string; name: string; path: string }[] = [], remove: { kind: string; name: string }[] = [];
    const touched = new Set<string>();
    for (let n = random.int(6); n > 0; n--) {
      const kind = random.pick(KINDS), name = `n${random.int(8)}`;
      if (touched.has(key(kind, name))) continue;
      touched.add(key(kind, name));
      if (names.has(key(kind, name)) && random.chance(0.35)) {
        remove.push({ kind, name });
        names.delete(key(kind, name));
      } else {
        const path = await this.#path();
        set.push({ kind, name, path });
        names.set(key(kind, name), path);
      }
    }
    if (random.chance(0.05)) {
      // A crash before the commit: everything but the orphans is as before.
      using _prepared = set.some(({ path }) => condemned.has(path)) ? undefined : await this.#catalog.prepare({ set, remove });
      this.#count("crash before a commit");
      return await this.#crash(await this.#image());
    }
    const committing = this.#catalog.commit({ set, remove, ...random.chance(0.2) ? { label: "l" } : {} });
    if (set.some(({ path }) => condemned.has(path))) {
      assertEquals(await codeOf(() => committing), "OBJECT_CONDEMNED");
      return this.#count("commit of a condemned file");
    }
    const { version } = await committing;
    assertEquals(version, this.#reference.next++);
    versions.set(version, names);
    this.#count("commit");
    if (set.length + remove.length === 0) this.#count("commit of nothing");
  }

  // ---- prunes -------------------------------------------------------------------------------------------------

  #pinned(version: number): boolean {
    const { pins } = this.#reference;
    if (this.#readers.some((one) => one.version.number === version)) return true;
    if (this.#states.some(({ versions }) => versions.includes(version))) return true;
    return [...pins.values()].some((pin) =>
      pin.expiresAt > this.#clock.time && (pin.all ? version <= pin.version : version === pin.version)
    );
  }

  async #prune(): Promise<void> {
    const random = this.#random, reference = this.#reference;
    const keep = random.chance(0.1) ? 0 : random.between(1, random.chance(0.3) ? 12 : 4);
    const old = keep === 0 ? [] : [...reference.versions.keys()].slice(0, Math.max(0, reference.versions.size - keep));
    const dropped = old.filter((version) => !this.#pinned(version));
    const stored = this.#stored();
    const drop = (): void => {
      for (const version of dropped) reference.versions.delete(version);
      const left = this.#stored();
      for (const path of stored) if (!left.has(path)) reference.condemned.add(path);
      if (keep > 0) {
        for (const [name, { expiresAt }] of [...reference.pins]) if (expiresAt <= this.#clock.time) reference.pins.delete(name);
      }
    };
    const crashAt = random.chance(0.15) ? random.int(4) : -1;
    const failing = random.chance(0.25);
    const failed = new Set<string>();
    let removals = 0, image: Image | undefined;
    this.#onRemove = async (path) => {
      if (removals++ === crashAt) image = await this.#image();
      if (failing && random.chance(0.5)) {
        failed.add(path);
        fail("PERMISSION", "Cannot remove: it is a test", { detail: { file: path } });
      }
    };
    const abort = new AbortController();
    const aborting = random.chance(0.1);
    if (aborting) abort.abort();
    const pruning = this.#catalog.prune(keep, { signal: abort.signal });
    if (aborting && keep > 0) {
      assertEquals(await codeOf(() => pruning), "ABORTED");
      this.#onRemove = () => Promise.resolve();
      return this.#count("prune aborted");
    }
    const report = await pruning;
    this.#onRemove = () => Promise.resolve();
    drop();
    const pinned = old.filter((version) => this.#pinned(version));
    assertEquals([report.dropped, report.pinned], [dropped, pinned]);
    const condemned = [...reference.condemned];
    if (image !== undefined) {
      this.#count("crash within a prune");
      return await this.#crash(image);
    }
    if (keep === 0) {
      assertEquals([report.deleted, report.remaining], [0, condemned.length]);
      return this.#count("prune of nothing");
    }
    assertEquals(report.failed.map(({ path }) => path).sort(), [...failed].sort());
    assertEquals(report.failed.every(({ error }) => error.code === "PERMISSION"), true);
    for (const path of condemned) {
      if (failed.has(path)) continue;
      reference.condemned.delete(path);
      reference.disk.delete(path);
    }
    assertEquals([report.deleted, report.remaining], [condemned.length - failed.size, failed.size]);
    this.#count(failed.size > 0 ? "prune with failures" : dropped.length > 0 ? "prune" : "prune without drops");
    if (pinned.length > 0) this.#count("prune past pins");
  }

  // ---- readers and pins ---------------------------------------------------------------------------------------

  #read(): void {
    const { versions } = this.#reference;
    if (versions.size === 0) return;
    if (this.#random.chance(0.2)) {
      this.#states.push({ state: this.#catalog.state(), versions: [...versions.keys()] });
      return this.#count("state held");
    }
    const number = this.#random.pick([...versions.keys()]);
    this.#readers.push({ version: this.#catalog.read(number), names: versions.get(number)! });
    this.#count("version held");
  }

  #release(): void {
    const list = this.#random.chance(0.3) ? this.#states : this.#readers;
    if (list.length === 0) return;
    const [one] = list.splice(this.#random.int(list.length), 1);
    if ("state" in one!) one.state.close();
    else one!.version.close();
  }

  async #pin(): Promise<void> {
    const random = this.#random, { versions, pins } = this.#reference;
    if (pins.size > 0 && random.chance(0.4)) {
      const name = random.pick([...pins.keys()]);
      const [owner, version] = [name.split(" ")[0]!, pins.get(name)!.version];
      const { value } = await this.#manifest.transact((txn) => this.#catalog.stageUnpin(txn, { owner, version }));
      assertEquals(value, true);
      pins.delete(name);
      return this.#count("pin released");
    }
    if (versions.size === 0) return;
    const all = random.chance(0.3);
    const version = all ? [...versions.keys()].at(-1)! : random.pick([...versions.keys()]);
    const owner = `o${random.int(3)}`, ttlMs = random.between(1, 3000);
    const pin = await this.#catalog.pin({ owner, version: all ? "all" : version, ttlMs });
    const name = `${owner} ${version}`;
    const before = pins.get(name);
    pins.set(name, { version, all: all || before?.all === true, expiresAt: this.#clock.time + ttlMs });
    assertEquals([pin.version, pin.all, pin.expiresAt], [version, all || before?.all === true, this.#clock.time + ttlMs]);
    this.#count("pin");
  }

  // ---- crashes --------------------------------------------------------------------------------------------------

  async #image(): Promise<Image> {
    const files = new Map<string, string>();
    for (const path of await filesIn(this.#folder)) {
      // Others may be deleting.
      const bytes = await unlessMissing(() => fileBytes(this.#folder, path));
      if (bytes !== undefined) files.set(path, decoder.decode(bytes));
    }
    return { bytes: this.#file.bytes(), files };
  }

  /** Goes on with what a crash left: nobody reads any more. */
  async #crash({ bytes, files }: Image): Promise<void> {
    await this.#close();
    this.#file = new MemoryFile(bytes);
    this.#folder = memoryFolder(this.#clock);
    for (const [path, text] of files) await putFile(this.#folder, path, text);
    this.#reference.disk = files;
    await this.#open();
  }

  async #reopen(): Promise<void> {
    await this.#close();
    await this.#open();
    this.#count("reopen");
  }

  // ---- looking ------------------------------------------------------------------------------------------------

  async #compare(): Promise<void> {
    const { versions, condemned, disk } = this.#reference, random = this.#random, catalog = this.#catalog;
    assertEquals(catalog.check(), { ok: true, problems: [] });
    assertEquals(catalog.versions().map(({ version }) => version), [...versions.keys()]);
    assertEquals(catalog.current()?.version, [...versions.keys()].at(-1));
    using state = catalog.state();
    const stored = this.#stored();
    assertEquals([...state.files()].map(({ path }) => path).sort(), [...stored].sort());
    assertEquals(state.condemned().map(({ path }) => path).sort(), [...condemned].sort());
    assertEquals(await filesIn(this.#folder), [...disk.keys()].sort());
    for (const path of stored) assertEquals(state.file(path)!.sizeBytes, disk.get(path)!.length);
    for (const { version, names } of this.#readers) this.#compareVersion(version, names);
    if (versions.size === 0) return;
    const [from, to] = [random.pick([...versions.keys()]), random.pick([...versions.keys()])];
    this.#compareVersion(state.version(from), versions.get(from)!);
    this.#compareDiff(state, from, to);
  }

  #compareVersion(version: FileSetVersion, names: Names): void {
    const found = new Map([...version.entries()].map(({ kind, name, path }) => [key(kind, name), path]));
    assertEquals([...found].sort(), [...names].sort());
    const bytes = [...names.values()].reduce((sum, path) => sum + this.#reference.disk.get(path)!.length, 0);
    assertEquals([version.info.entries, version.info.bytes], [names.size, bytes]);
    const kind = this.#random.pick(KINDS), name = `n${this.#random.int(8)}`;
    assertEquals(version.get(kind, name)?.path, names.get(key(kind, name)));
    assertEquals(version.count(kind), [...names.keys()].filter((one) => one.startsWith(`${kind}\0`)).length);
  }

  #compareDiff(state: FileSetState, from: number, to: number): void {
    const a = this.#reference.versions.get(from)!, b = this.#reference.versions.get(to)!;
    const { added, removed, changed } = state.diff(from, to);
    const of = (entries: readonly { kind: string; name: string }[]): string[] => entries.map(({ kind, name }) => key(kind, name)).sort();
    assertEquals(of(added), [...b.keys()].filter((one) => !a.has(one)).sort());
    assertEquals(of(removed), [...a.keys()].filter((one) => !b.has(one)).sort());
    assertEquals(
      changed.map(({ before, after }) => [key(after.kind, after.name), before.path, after.path]).sort(),
      [...b].filter(([one, path]) => a.has(one) && a.get(one) !== path).map(([one, path]) => [one, a.get(one), path]).sort(),
    );
  }

  async #verify(): Promise<void> {
    const { versions } = this.#reference;
    const version = versions.size > 0 && this.#random.chance(0.5) ? this.#random.pick([...versions.keys()]) : undefined;
    const report = await this.#catalog.verify({
      ...version === undefined ? {} : { version },
      level: this.#random.pick(["size", "digest"]),
    });
    assertEquals(report.damaged, []);
    assertEquals(report.files, version === undefined ? this.#stored().size : new Set(versions.get(version)!.values()).size);
    this.#count("verify");
  }

  async #orphans(): Promise<void> {
    const { disk, condemned } = this.#reference;
    const stored = this.#stored();
    const report = await this.#catalog.orphans({ minAgeMs: 0 });
    const orphans = [...disk.keys()].filter((path) => !stored.has(path) && !condemned.has(path)).sort();
    assertEquals(report.orphans.map(({ path }) => path), orphans);
    assertEquals(report.named, disk.size - orphans.length);
    if (stored.size + condemned.size === 0) {
      assertEquals(await codeOf(() => this.#catalog.deleteOrphans(report)), "ORPHANS_REFUSED");
      return this.#count("orphans of an empty catalog");
    }
    const { deleted, refused, failed } = await this.#catalog.deleteOrphans(report);
    assertEquals([deleted, refused, failed], [orphans.length, [], []]);
    for (const path of orphans) disk.delete(path);
    this.#count(orphans.length > 0 ? "orphans deleted" : "no orphans");
  }

  async #refusals(): Promise<void> {
    const catalog = this.#catalog, current = this.#current;
    const missing = { kind: "data", name: "not there" };
    assert(!current.has(key("data", "not there")));
    assertEquals(await codeOf(() => catalog.commit({ remove: [missing] })), "NOT_FOUND");
    assertEquals(await codeOf(() => catalog.commit({ set: [{ ...missing, path: "never-written" }] })), "NOT_FOUND");
    const number = this.#reference.next - 1;
    assertEquals(await codeOf(() => catalog.commit({}, { expectedVersion: number + 1 })), "CONFLICT");
    if (number > 0) assertEquals(await codeOf(() => catalog.commit({}, { version: number })), "CONFLICT");
    assertEquals(await codeOf(() => catalog.read(number + 1)), "NOT_FOUND");
    this.#count("refusals");
  }
}
