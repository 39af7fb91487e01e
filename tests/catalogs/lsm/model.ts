// A run of the LSM catalog against its reference: random operations, versions held open, crashes at any call of the disk, and a folder of files that an engine would have.
import { assert, assertEquals } from "@std/assert";
import { defineTable, Manifest, text, u53 } from "../../../mod.ts";
import { type FileKind, type FileRef, LsmCatalog, type LsmEdit, type LsmVersion } from "../../../src/catalogs/lsm/mod.ts";
import { SimDisk } from "../../support/crash_storage.ts";
import type { Random } from "../../support/random.ts";
import { ids, stateOf } from "./lsm.ts";
import { type Step, Steps } from "./model_steps.ts";
import { canonical, compareKeys, Reference, Refused } from "./reference.ts";

const notes = defineTable({ name: "notes", key: [text("name")], value: { n: u53() } });

/** A version that is held, and what it must go on saying. */
interface Held {
  readonly version: LsmVersion;
  readonly reference: Reference;
}

/** A run. */
export class ModelRun {
  /** How often what was met. */
  readonly met: Map<string, number> = new Map();
  readonly #random: Random;
  readonly #steps: Steps;
  #disk = new SimDisk();
  #manifest!: Manifest;
  #catalog!: LsmCatalog;
  #disjoint = true;
  #reference = new Reference();
  #held: Held[] = [];
  /** Files in the engine's folder. */
  readonly #folder = new Set(["sst 900", "wal 901"]); // from before: nobody knows of what
  /** Next ids when this process opened the catalog, and whether it named anything. */
  #floor: Record<FileKind, number> = { sst: 1, wal: 1 };
  #wasEmpty = true;
  /** Files that commits of this process have named. */
  #named = new Set<string>();
  /** The edit that each change of the manifest has left, and what is in the last checkpoint. */
  #edits: [sequence: number, edit: number][] = [];
  #checkpoint = 0;
  #replayed = false;
  #notes = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#steps = new Steps(random, () => this.#reference);
  }

  #meet(what: string): void {
    this.met.set(what, (this.met.get(what) ?? 0) + 1);
  }

  async run(steps: number): Promise<void> {
    await this.#open();
    for (let step = 0; step < steps; step++) {
      try {
        await this.#step();
      } catch (error) {
        throw new Error(`seed ${this.#random.seed}, step ${step}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }
    await this.#manifest.close();
  }

  async #open(): Promise<void> {
    const random = this.#random;
    this.#disjoint = random.chance(0.7);
    const manifest = this.#manifest = await Manifest.open(this.#disk.open(), { create: true, idleCheckpoint: 0 });
    this.#replayed = manifest.recovery.frames > 0;
    this.#checkpoint = manifest.latestChangeSequence();
    manifest.subscribe((event) => {
      if (event.type !== "checkpoint") return;
      this.#checkpoint = event.sequence;
      this.#replayed = false;
    });
    this.#catalog = await LsmCatalog.open(manifest, { allowOverlaps: !this.#disjoint });
    if (this.#catalog.opening.created) this.#reference = new Reference();
    this.#edits = [[0, this.#catalog.opening.created ? -1 : this.#catalog.stats().edit]];
    this.#held = [];
    this.#named = new Set();
    const { nextSst, nextWal, empty } = this.#reference;
    this.#floor = { sst: nextSst, wal: nextWal };
    this.#wasEmpty = empty;
    this.#note();
  }

  #note(): void {
    this.#edits.push([this.#manifest.latestChangeSequence(), this.#reference.edit]);
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const roll = random.int(100);
    if (roll < 45) await this.#change();
    else if (roll < 55) await this.#allocate();
    else if (roll < 63) this.#query();
    else if (roll < 70) this.#pin();
    else if (roll < 78) await this.#delete();
    else if (roll < 84) await this.#orphans();
    else if (roll < 88) await this.#catalog.checkpoint();
    else if (roll < 93) await this.#crash();
    else if (roll < 95) await this.#reopen();
    else await this.#inTransaction();
    this.#compare();
  }

  // ---- operations -------------------------------------------------------------------------------------------

  /** Several operations of one commit. */
  #plan(): { steps: Step[]; build: () => LsmEdit; expected: Reference | string } {
    const steps = Array.from({ length: this.#random.chance(0.7) ? 1 : this.#random.between(2, 5) }, () => this.#steps.step());
    const build = (): LsmEdit => steps.reduce((edit, step) => step.edit(edit), this.#catalog.edit());
    let expected: Reference | string;
    try {
      expected = this.#reference.commit(this.#disjoint, (draft) => steps.forEach((step) => step.draft(draft)));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      expected = error.code;
    }
    return { steps, build, expected };
  }

  /** What a commit has come to is what the reference says. */
  #adopt(steps: readonly Step[], expected: Reference | string, outcome: { sequence: number } | { code: string }, own: boolean): void {
    const what = steps.map((step) => step.what).join(", ");
    if (typeof expected === "string") {
      assertEquals(outcome, { code: expected }, what);
      this.#meet(`refused ${expected}`);
      return;
    }
    assert("sequence" in outcome, `${what}: ${JSON.stringify(outcome)}`);
    if (own) assertEquals(outcome.sequence > 0, expected !== this.#reference, what);
    for (const { what } of steps) this.#meet(expected === this.#reference ? `${what}, nothing to do` : what);
    if (own) this.#named = new Set([...this.#named, ...namedBy(expected)]);
    this.#write(expected);
    this.#reference = expected;
    this.#note();
  }

  /** The files of a state are in the folder. */
  #write(reference: Reference): void {
    for (const file of namedBy(reference)) this.#folder.add(file);
  }

  async #change(): Promise<void> {
    const { steps, build, expected } = this.#plan();
    this.#adopt(steps, expected, await outcomeOf(build().commit()), true);
  }

  /** As part of a transaction with a row of its own; some transactions are given up. */
  async #inTransaction(): Promise<void> {
    const { steps, build, expected } = this.#plan();
    const giveUp = this.#random.chance(0.3);
    const outcome = await outcomeOf(
      this.#manifest.transact((txn) => {
        build().stage(txn);
        txn.put(notes, "n", { n: this.#notes + 1 });
        if (giveUp) txn.rollback();
      }).then(({ receipt }) => receipt),
    );
    if (!giveUp) {
      if ("sequence" in outcome) this.#notes++;
      this.#adopt(steps, expected, outcome, false);
    } else this.#meet("given up");
    this.#meet("in a transaction");
    assertEquals(this.#manifest.tableDefinition("notes") === undefined ? 0 : this.#manifest.get(notes, "n")?.n ?? 0, this.#notes);
  }

  async #allocate(): Promise<void> {
    const count = this.#random.between(1, 4);
    let expected: number[] = [];
    const reference = this.#reference.commit(true, (draft) => void (expected = draft.allocate(count)));
    assertEquals(await this.#catalog.allocateSstIds(count), expected);
    for (const id of expected) if (this.#random.chance(0.6)) this.#folder.add(`sst ${id}`); // begins to write it
    this.#reference = reference;
    this.#note();
    this.#meet("allocate");
  }

  // ---- versions, files --------------------------------------------------------------------------------------

  #pin(): void {
    const random = this.#random;
    if (this.#held.length > 0 && random.chance(0.5)) {
      const [one] = this.#held.splice(random.int(this.#held.length), 1);
      assertEquals(stateOf(one!.version), one!.reference.state());
      one!.version.close();
      this.#meet("version closed");
    } else if (this.#held.length < 6) {
      this.#held.push({ version: this.#catalog.pin(), reference: this.#reference });
    }
  }

  /** Deletes what may be deleted, all or some of it, and forgets it, or dies in between. */
  async #delete(): Promise<void> {
    const random = this.#random;
    const expected = this.#reference.removed.filter(({ kind, id }) => !this.#held.some(({ reference }) => reference.names(kind, id)));
    const listed = await this.#catalog.deletable();
    assertEquals(listed, expected);
    if (expected.length < this.#reference.removed.length) this.#meet("kept for a version");
    const deleted = listed.filter(() => random.chance(0.7));
    // No version names any of them, and the newest state does not either.
    for (const { kind, id } of deleted) {
      assert(!this.#reference.names(kind, id));
      if (random.chance(0.9)) this.#folder.delete(`${kind} ${id}`); // else the deletion has failed in silence
    }
    if (random.chance(0.8)) {
      const reference = this.#reference.commit(true, (draft) => deleted.forEach(({ kind, id }) => draft.forget(kind, id)));
      await this.#catalog.forget(deleted);
      this.#reference = reference;
      this.#note();
      if (deleted.length > 0) this.#meet("forgotten");
    } else if (deleted.length > 0) this.#meet("deleted and not forgotten");
  }

  async #orphans(): Promise<void> {
    const found: FileRef[] = [...this.#folder].map((file) => ({ kind: file.split(" ")[0] as FileKind, id: Number(file.split(" ")[1]) }));
    const { nextSst, nextWal } = this.#reference;
    const next = { sst: nextSst, wal: nextWal };
    const groups: Record<string, FileRef[]> = { orphans: [], underWay: [], unknown: [], named: [] };
    for (const file of found) {
      const { kind, id } = file;
      const states = [this.#reference, ...this.#held.map(({ reference }) => reference)];
      const named = states.some((state) => state.names(kind, id)) ||
        this.#reference.removed.some((one) => one.kind === kind && one.id === id);
      const group = named
        ? "named"
        : id >= next[kind]
        ? "unknown"
        : id >= this.#floor[kind] && !this.#named.has(`${kind} ${id}`)
        ? "underWay"
        : "orphans";
      groups[group]!.push(file);
    }
    const strange = groups.orphans!.length + groups.unknown!.length > 0;
    if (strange && (this.#wasEmpty || this.#reference.empty)) {
      let code = "";
      try {
        await this.#catalog.orphans(found);
      } catch (error) {
        code = (error as { code: string }).code;
      }
      assertEquals(code, "ORPHANS_REFUSED");
      this.#meet("orphans refused");
      return;
    }
    const report = await this.#catalog.orphans(found);
    for (const group of ["orphans", "underWay", "unknown"] as const) {
      assertEquals(report[group].map(({ file }) => file), groups[group], group);
      if (groups[group]!.length > 0) this.#meet(group);
    }
    assertEquals(report.named, groups.named!.length);
    for (const { file } of report.orphans) {
      assert(!this.#reference.names(file!.kind, file!.id)); // deleting it takes nothing that anybody names
      this.#folder.delete(`${file!.kind} ${file!.id}`);
    }
  }

  // ---- reading ----------------------------------------------------------------------------------------------

  #query(): void {
    const random = this.#random;
    const { version, reference } = this.#held.length > 0 && random.chance(0.4)
      ? random.pick(this.#held)
      : { version: this.#catalog, reference: this.#reference };
    for (let i = 0; i < 5; i++) {
      const bounds = [this.#steps.key(), this.#steps.key()].sort(compareKeys);
      const from = random.chance(0.8) ? bounds[0] : undefined;
      const to = random.chance(0.8) ? bounds[1] : undefined;
      const levels = random.chance(0.5) ? undefined : [random.int(4), random.int(4)];
      const found = ids(version.overlapping({ ...from && { from }, ...to && { to }, ...levels && { levels } }));
      const expected = reference.overlapping(from, to, levels);
      assertEquals(found.sort((a, b) => a - b), expected);
      if (expected.length > 0) this.#meet("tables found");
    }
  }

  #compare(): void {
    assertEquals(stateOf(this.#catalog), this.#reference.state());
    assertEquals(this.#catalog.stats().pins, this.#held.length);
    const inCheckpoint = this.#edits.findLast(([sequence]) => sequence <= this.#checkpoint)![1];
    const dirty = this.#replayed || inCheckpoint !== this.#reference.edit;
    assertEquals(this.#catalog.isDirty(), dirty, "dirty");
    this.#meet(dirty ? "dirty" : "clean");
    for (const { version, reference } of this.#held) if (this.#random.chance(0.1)) assertEquals(stateOf(version), reference.state());
  }

  // ---- the end of a process ---------------------------------------------------------------------------------

  /** Begins a commit; the machine dies at any call of the disk that it makes, or behind it. */
  async #crash(): Promise<void> {
    const random = this.#random;
    const { steps, build, expected } = this.#plan();
    const from = this.#disk.calls;
    const outcome = await outcomeOf(build().commit());
    const at = random.between(from, this.#disk.calls);
    const before = this.#reference;
    if (typeof expected !== "string") this.#write(expected); // the files were made before the commit
    if (at === this.#disk.calls) this.#adopt(steps, expected, outcome, true);
    const [image] = this.#disk.images(at, random, 1);
    await this.#manifest.close();
    this.#disk = new SimDisk(image ?? this.#disk.durable(at));
    const opened = await Manifest.open(new SimDisk(this.#disk.live()).open(), { idleCheckpoint: 0 });
    const state = stateOf(await LsmCatalog.open(opened));
    this.#notes = opened.tableDefinition("notes") === undefined ? 0 : opened.get(notes, "n")?.n ?? 0;
    await opened.close();
    // What was acknowledged is there; what was not, whole or not at all.
    const possible = at === this.#disk.calls ? [this.#reference] : [before, ...typeof expected === "string" ? [] : [expected]];
    const found = [this.#reference, ...possible].find((one) => canonical(one.state()) === canonical(state));
    assert(found !== undefined, `a state that was never committed: ${JSON.stringify(state)}`);
    this.#meet(found === before && found !== expected ? "crash before the commit" : "crash behind the commit");
    this.#reference = found;
    await this.#open();
  }

  async #reopen(): Promise<void> {
    await this.#manifest.close();
    this.#disk = new SimDisk(this.#disk.live());
    await this.#open();
    this.#meet("closed and opened");
  }
}

function namedBy({ ssts, active, frozen, retired }: Reference): string[] {
  const wals = [...frozen, ...retired, ...active === undefined ? [] : [active]];
  return [...ssts.map(({ id }) => `sst ${id}`), ...wals.map((id) => `wal ${id}`)];
}

async function outcomeOf(commit: Promise<{ sequence: number }>): Promise<{ sequence: number } | { code: string }> {
  try {
    const { sequence } = await commit;
    return { sequence };
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === undefined) throw error;
    return { code };
  }
}
