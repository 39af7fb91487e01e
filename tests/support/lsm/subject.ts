// What a workload works on: the example engine on a simulated machine, beside a history of its writes.
import type { Manifest, ManifestOptions } from "@waybill/manifest";
import type { Engine } from "../../../examples/lsm/engine.ts";
import type { EngineOptions } from "../../../examples/lsm/options.ts";
import type { View } from "../../../examples/lsm/view.ts";
import type { Folder } from "../../../src/storage/folder.ts";
import { SimMachine } from "../disk/sim_machine.ts";
import type { TreeState } from "../disk/tree_state.ts";
import type { Random } from "../random.ts";
import { bytesOf, checkExact, checkNamed, contentOf, openEngine, stringOf } from "./engines.ts";
import { LsmHistory, type Write } from "./history.ts";

/** What is being done at a moment: so it is known that every call of it was a crash point. */
export type Phase = "opening" | "writing" | "flush" | "compaction" | "checkpoint" | "close";

/** A machine with its history; a workload has several when the power fails in its middle. */
export interface Segment {
  readonly machine: SimMachine;
  readonly history: LsmHistory;
  /** The phase of each call. */
  readonly phases: Phase[];
}

/** What a workload begins with. */
export interface Start {
  readonly bytes: Uint8Array;
  readonly tree: TreeState | undefined;
  readonly writes: readonly Write[];
}

interface Reader {
  readonly view: View;
  /** What it must show. */
  readonly content: string;
}

/** So many keys there are. */
const KEYS = 40;

/** The engine of a workload. */
export class LsmSubject {
  readonly random: Random;
  readonly segments: Segment[] = [];
  engine!: Engine;
  manifest!: Manifest;
  /** Views of pinned readers that were compared. */
  readersChecked = 0;
  readonly #sector: number;
  readonly #through: (folder: Folder) => Folder;
  readonly #readers: Reader[] = [];
  readonly #underWay = new Set<Promise<void>>();

  /** `through`: what stands between the engine and the folder, for trying the stage out. */
  constructor(random: Random, start: Start, sector: number, through: (folder: Folder) => Folder = (folder) => folder) {
    this.random = random;
    this.#through = through;
    this.#sector = sector;
    this.#begin(start);
  }

  #begin({ bytes, tree, writes }: Start): void {
    const machine = new SimMachine(bytes, tree, { sector: this.#sector, garbage: true });
    this.segments.push({ machine, history: new LsmHistory(writes), phases: [] });
  }

  get #segment(): Segment {
    return this.segments.at(-1)!;
  }

  /** The machine. */
  get machine(): SimMachine {
    return this.#segment.machine;
  }

  /** Its writes. */
  get history(): LsmHistory {
    return this.#segment.history;
  }

  /** Does something, whose calls belong to a phase, but for those that belong to one within. */
  async during<T>(phase: Phase, job: () => Promise<T>): Promise<T> {
    const { phases, machine } = this.#segment;
    const result = await job();
    while (phases.length < machine.calls) phases.push(phase);
    return result;
  }

  /** Opens the engine. */
  async open(options: Partial<EngineOptions> = {}, manifestOptions: ManifestOptions = {}): Promise<void> {
    await this.during("opening", async () => {
      const { disk, folder } = this.machine;
      const opened = await openEngine(disk.open(), this.#through(folder), options, manifestOptions);
      this.engine = opened.engine;
      this.manifest = opened.manifest;
    });
    await this.check();
  }

  // ---- writing ------------------------------------------------------------------------------------------------

  /** Begins a write. */
  write(key: string, value: string | undefined): Promise<void> {
    const { machine, history } = this.#segment;
    const number = history.begin({ key, value }, machine.calls);
    const done = value === undefined ? this.engine.delete(bytesOf(key)) : this.engine.put(bytesOf(key), bytesOf(value));
    const noted = done.then(() => history.acknowledge(number, machine.calls));
    this.#underWay.add(noted);
    return noted.finally(() => this.#underWay.delete(noted));
  }

  /** Begins a write of a key drawn from some, mostly putting. */
  writeAny(deletions = 0.25): Promise<void> {
    const { random } = this;
    const key = `key ${String(random.int(KEYS)).padStart(2, "0")}`;
    if (random.chance(deletions)) return this.write(key, undefined);
    return this.write(key, `${this.history.length + 1}:${random.letters(random.chance(0.1) ? random.between(300, 800) : random.int(40))}`);
  }

  /** Writes so many, `together` at a time. */
  async writeSome(count: number, together = 1, deletions?: number): Promise<void> {
    await this.during("writing", async () => {
      for (let left = count; left > 0; left -= together) {
        await Promise.all(Array.from({ length: Math.min(together, left) }, () => this.writeAny(deletions)));
      }
    });
  }

  // ---- work ---------------------------------------------------------------------------------------------------

  /** Flushes. */
  flush(): Promise<void> {
    return this.during("flush", () => this.engine.flush());
  }

  /** Compacts. Then only what readers hold is left of what is not named. */
  async compact(all = false): Promise<void> {
    await this.during("compaction", () => this.engine.compact({ all }));
    if (this.#readers.length === 0) checkExact(this.engine.catalog, this.machine.folder.live());
  }

  /** Writes and flushes, so many times. */
  async fill(tables: number, writes = 8): Promise<void> {
    for (let table = 0; table < tables; table++) {
      await this.writeSome(writes, 3);
      await this.flush();
    }
  }

  // ---- readers ------------------------------------------------------------------------------------------------

  /** Holds the present state, in which everything begun is acknowledged. */
  pin(): void {
    this.#readers.push({ view: this.engine.view(), content: this.history.content(this.history.length) });
  }

  /** Every reader sees what it saw, and so does whoever reads now; nothing that a reader needs was deleted. */
  async check(): Promise<void> {
    for (const { view, content } of this.#readers) {
      if (await contentOf(view) !== content) throw new Error("a reader sees something else than it saw");
      await view.verify();
      this.readersChecked++;
    }
    await Promise.all(this.#underWay);
    const count = this.history.length;
    if (this.engine.lastLsn !== count) throw new Error(`the last write is ${this.engine.lastLsn}, not ${count}`);
    if (await contentOf(this.engine) !== this.history.content(count)) throw new Error(`it does not show the state after ${count} writes`);
    for (let n = 0; n < KEYS; n++) {
      const key = `key ${String(n).padStart(2, "0")}`;
      const value = await this.engine.get(bytesOf(key));
      if ((value && stringOf(value)) !== this.history.value(key, count)) throw new Error(`${key} has another value after ${count} writes`);
    }
    checkNamed(this.engine.catalog, this.machine.folder.live());
  }

  /** Lets a reader go: the oldest, or the newest. */
  async unpin(newest = false): Promise<void> {
    (newest ? this.#readers.pop() : this.#readers.shift())?.view.close();
    await this.compact(); // what it has held goes with the next work
  }

  // ---- the end ------------------------------------------------------------------------------------------------

  /** Makes a checkpoint of the manifest. */
  checkpoint(): Promise<void> {
    return this.during("checkpoint", async () => void await this.manifest.checkpoint());
  }

  /** Closes everything in order. */
  async close(): Promise<void> {
    await this.check();
    for (const { view } of this.#readers.splice(0)) view.close();
    await this.during("close", async () => {
      await this.engine.close();
      await this.manifest.close();
    });
  }

  /** The power fails: the workload goes on with one of the images that this can leave. */
  async powerCut(): Promise<void> {
    const { machine, history } = this.#segment;
    this.#readers.length = 0;
    let left = this.random.int(20);
    let found: Omit<Start, "writes"> | undefined;
    for (const image of machine.crashes(machine.moments()[machine.calls]!, this.random)) {
      found = { bytes: image.disk.bytes(), tree: image.tree };
      if (left-- === 0) break;
    }
    const trial = new SimMachine(found!.bytes, found!.tree);
    const { engine } = await openEngine(trial.disk.open(), trial.folder);
    this.#begin({ ...found!, writes: history.first(engine.lastLsn) });
  }
}
