// What a workload works on: a store or a manifest on a simulated disk, beside an independent reference, with the history by which crashes are judged.
import { MemoryStorage } from "../../../src/storage/memory.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { Store, type StoreOptions } from "../../../src/store/store.ts";
import { type CrashStorage, SimDisk } from "../disk/sim_disk.ts";
import { type TestEnvironment, testEnvironment } from "../environment.ts";
import type { Random } from "../random.ts";
import { type Confirm, History } from "./history.ts";
import { Recorder } from "./recorder.ts";

/** A disk with its history; a workload has several when the power fails in its middle. */
export interface Segment<S> {
  readonly disk: SimDisk;
  readonly history: History<S>;
  /** Whether there was a file to begin with. */
  readonly started: boolean;
  /** Whether the file that it began with was left by a crash. */
  readonly torn: boolean;
  /** Calls made when the first opening was over. */
  opened: number;
}

/** Options under which nothing happens by itself. */
const BASE: StoreOptions = { create: true, idleCheckpoint: 0, syncMode: "inline", cacheBytes: 1 << 20, maxTransactionBytes: 4 << 20 };

/** A workload's store or manifest. `S`: what the reference confirms; `T`: its state. */
export abstract class Subject<S, T> {
  readonly random: Random;
  readonly segments: Segment<S>[] = [];
  /** Options of the last opening. */
  options: StoreOptions = BASE;
  environment: TestEnvironment = testEnvironment(1);
  /** The store at the bottom. */
  store!: Store;
  readonly #sector: number;
  readonly #states = new Map<number, T>();
  #recorder!: Recorder<S>;
  #storage: CrashStorage | undefined;

  constructor(random: Random, start: Uint8Array, sector: number) {
    this.random = random;
    this.#sector = sector;
    this.#begin(new SimDisk(start, { garbage: true, sector }), new History());
  }

  #begin(disk: SimDisk, history: History<S>): void {
    this.segments.push({ disk, history, opened: 0, started: !disk.blank, torn: this.segments.length > 0 });
    this.#recorder = new Recorder(history, () => disk.calls);
  }

  get #segment(): Segment<S> {
    return this.segments.at(-1)!;
  }

  /** The disk. */
  get disk(): SimDisk {
    return this.#segment.disk;
  }

  /** The state of the reference; not changed afterwards. */
  protected abstract state(): T;
  /** Takes a state back as the reference's. */
  protected abstract restore(state: T): void;
  /** Opens the subject proper on a storage. */
  protected abstract begin(storage: Storage): Promise<void>;
  /** Says whether an opened subject is in a state. */
  protected abstract confirm(state: T): Confirm<S>;
  /** Opens an image, lets the reference look at it and checks it as deeply as there is. */
  abstract examine(storage: Storage, options: StoreOptions, confirm: Confirm<S>): Promise<void>;

  /** Opens it; one that is still open is lost, as with its process. */
  async open(options: Partial<StoreOptions> = {}): Promise<void> {
    this.#recorder.end();
    this.#storage?.close();
    this.options = { ...BASE, ...options };
    this.environment = testEnvironment(this.random.u32());
    this.#storage = this.disk.open();
    const segment = this.#segment;
    const store = await this.#recorder.opening(() => this.begin(this.#storage!));
    this.store = store;
    if (segment.opened === 0) {
      segment.opened = segment.disk.calls;
      if (segment.started) segment.history.began(store.newest.frame);
    }
    const known = this.#states.get(store.newest.frame);
    if (known !== undefined) this.restore(known);
    this.settle();
  }

  /** The power fails: the workload goes on with one of the images that this can leave. */
  async powerCut(): Promise<void> {
    const { disk, history } = this.#segment;
    this.#recorder.look(this.store);
    this.#recorder.end();
    this.#storage?.close();
    this.#storage = undefined;
    let left = this.random.int(20); // mostly subsets: holes are worse than ends that are torn
    let bytes = disk.durable();
    for (const image of disk.crashes(disk.calls, this.random)) {
      bytes = image.bytes();
      if (left-- === 0 || image.outcomes.length === 0) break;
    }
    const trial = await Store.open(new MemoryStorage(bytes), { ...this.options, environment: testEnvironment(1) });
    const { frame } = trial.newest;
    await trial.close();
    this.#begin(new SimDisk(bytes, { garbage: true, sector: this.#sector }), history.fork(frame));
  }

  /** The workload is over: everything it did is applied. */
  end(): void {
    this.settle();
    this.#recorder.end();
    this.#storage?.close();
  }

  /** What is applied by now is the state of the reference. */
  settle(): void {
    const { store } = this;
    this.#recorder.look(store);
    const state = this.state();
    this.#states.set(store.newest.frame, state);
    this.#segment.history.reference(store.newest.frame, this.confirm(state));
  }

  /** The same, and it is known to be durable. */
  settleDurable(): void {
    this.settle();
    this.#recorder.durable(this.store);
  }

  /** Hands a commit over, behind which the reference's state is the present one. */
  protected handOver<R>(commit: () => Promise<R>): Promise<R> {
    const state = this.state();
    this.#recorder.expected = { confirm: this.confirm(state), onFrame: (frame) => this.#states.set(frame, state) };
    try {
      return commit();
    } finally {
      this.#recorder.expected = undefined;
    }
  }
}
