// What waits at a manifest: for changes, for generations, for room in the queue.
//
// Only durable things wake anybody. A handle that writes is woken by its own store. A handle for reading is woken by the handle of this process that writes the same bytes, and looks at the file
// every so often for writers in other processes; it does either only while somebody waits.
import type { Environment, Timer } from "../../store/environment.ts";
import { onWakeUp, wakeUp } from "../../storage/hub.ts";
import { checkSequence } from "./cursor_moves.ts";
import { surface } from "../events.ts";
import type { ManifestCore } from "../core.ts";
import { type GenerationRecord, generations } from "../tables/generations.ts";
import { checkWait, Waiters, type WaitOptions } from "./waiters.ts";

/** A manifest as those who wait see it. */
export interface WatchHost {
  /** The open store with its tables. */
  core(): ManifestCore;
  /** Moves to the newest state of the file, when opened for reading. */
  refresh(): Promise<void>;
}

/** Looks at the file that fail in a row before whoever waits is told. */
const FAILURES = 8;

/** What waits at one manifest. */
export class Watch {
  readonly #host: WatchHost;
  readonly #environment: Environment;
  readonly #identity: string;
  readonly #changes: Waiters;
  readonly #room: Waiters;
  readonly #generations = new Map<number, Waiters>();
  /** Opened for reading: milliseconds between two looks at the file. */
  readonly #pollMs: number | undefined;
  readonly #unlisten: (() => void) | undefined;
  #poll: Timer | undefined;
  #looking = false;
  #again = false;
  #failures = 0;
  #due = false;
  /** Why nobody gets anything any more. */
  #ended: unknown;

  /** `pollMs`: opened for reading, looks at the file that often; 0 = never, undefined = opened for writing. */
  constructor(host: WatchHost, environment: Environment, identity: string, pollMs: number | undefined) {
    this.#host = host;
    this.#environment = environment;
    this.#identity = identity;
    this.#changes = new Waiters(environment);
    this.#room = new Waiters(environment);
    this.#pollMs = pollMs;
    // Not inside the writer's own step: its receipts go first.
    const woken = (): void => queueMicrotask(() => void (this.#waiting > 0 && this.#look()));
    this.#unlisten = pollMs === undefined ? undefined : onWakeUp(identity, woken);
  }

  /** How many wait, by what for. */
  get counts(): { changes: number; generations: number; room: number } {
    let sum = 0;
    for (const waiters of this.#generations.values()) sum += waiters.size;
    return { changes: this.#changes.size, generations: sum, room: this.#room.size };
  }

  get #waiting(): number {
    return this.#changes.size + this.#generations.size;
  }

  // ---- waiting ----------------------------------------------------------------------------------------------

  /** Resolves with the newest durable change as soon as it is behind `since`. */
  async waitForChange(since: number, options: WaitOptions): Promise<number> {
    const action = "wait for a change";
    checkSequence(since, "since");
    const wait = checkWait(options, action);
    this.#host.core().store.assertOpen(action);
    const { latest } = this.#host.core().log;
    if (latest > since) return latest;
    if (this.#ended !== undefined) throw this.#ended;
    return await this.#wait(this.#changes, since + 1, wait, action);
  }

  /** Resolves with the durable generation of a component as soon as it is at least `target`. */
  async waitForGeneration(component: number, target: number, options: WaitOptions): Promise<number> {
    const action = "wait for a generation";
    checkSequence(component, "component");
    checkSequence(target, "target");
    const wait = checkWait(options, action);
    this.#host.core().store.assertOpen(action);
    const now = this.#generation(component);
    if (now >= target) return now;
    if (this.#ended !== undefined) throw this.#ended;
    let waiters = this.#generations.get(component);
    if (waiters === undefined) this.#generations.set(component, waiters = new Waiters(this.#environment));
    try {
      return await this.#wait(waiters, target, wait, action);
    } finally {
      if (waiters.size === 0 && this.#generations.get(component) === waiters) this.#generations.delete(component);
    }
  }

  /** Resolves when the queue accepts a commit. */
  async ready(options: WaitOptions): Promise<void> {
    const action = "wait for the queue";
    const { timeoutMs = Infinity, signal } = checkWait(options, action);
    const until = this.#environment.monotonic() + timeoutMs;
    const { store } = this.#host.core();
    for (let left = timeoutMs;; left = Math.max(0, until - this.#environment.monotonic())) {
      store.assertWritable("commit");
      if (store.hasRoom) return;
      await this.#room.wait(1, { timeoutMs: left, signal }, action);
    }
  }

  #wait(waiters: Waiters, target: number, options: WaitOptions, action: string): Promise<number> {
    const promise = waiters.wait(target, options, action);
    // The file may have moved on since this handle looked at it.
    if (this.#pollMs !== undefined && waiters.size > 0) void this.#look();
    return promise;
  }

  /** The durable generation of a component; 0 when it has none. */
  #generation(component: number): number {
    const core = this.#host.core();
    const row = core.publishedReader(generations).get([component]) as GenerationRecord | undefined;
    return row?.generation ?? 0;
  }

  // ---- waking -----------------------------------------------------------------------------------------------

  /** More has become durable. Called inside the engine: reads nothing before the next microtask. */
  durable(): void {
    this.#changes.reached(this.#host.core().log.latest);
    if (this.#pollMs === undefined) wakeUp(this.#identity);
    if (this.#generations.size === 0 || this.#due) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      this.#tellGenerations();
    });
  }

  #tellGenerations(): void {
    for (const [component, waiters] of [...this.#generations]) {
      try {
        waiters.reached(this.#generation(component));
      } catch (error) {
        waiters.end(error);
      }
      if (waiters.size === 0) this.#generations.delete(component);
    }
  }

  /** The queue has room again. */
  room(): void {
    this.#room.reached(1);
  }

  /** Nothing that anybody waits for can come any more. */
  end(error: unknown): void {
    this.#ended ??= error;
    this.#changes.end(error);
    this.#room.end(error);
    for (const waiters of this.#generations.values()) waiters.end(error);
    this.#generations.clear();
  }

  /** The manifest is closed. */
  close(error: unknown): void {
    this.#ended = error;
    this.end(error);
    this.#poll?.cancel();
    this.#poll = undefined;
    this.#unlisten?.();
  }

  // ---- looking at the file ----------------------------------------------------------------------------------

  async #look(): Promise<void> {
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#looking = true;
    this.#poll?.cancel();
    this.#poll = undefined;
    try {
      do {
        this.#again = false;
        await this.#host.refresh();
        this.#failures = 0;
        if (this.#ended === undefined) this.durable();
      } while (this.#again && this.#ended === undefined);
    } catch (error) {
      // A writer may have changed the file under the look: the next one finds it whole.
      if (this.#ended === undefined && ++this.#failures >= FAILURES) {
        this.#failures = 0;
        this.#changes.end(error);
        for (const waiters of this.#generations.values()) waiters.end(error);
        this.#generations.clear();
      }
    } finally {
      this.#looking = false;
    }
    this.#arm();
  }

  #arm(): void {
    if (this.#ended !== undefined || this.#waiting === 0 || this.#poll !== undefined) return;
    if (this.#pollMs === undefined || this.#pollMs === 0) return;
    this.#poll = this.#environment.timer(this.#pollMs, () => {
      this.#poll = undefined;
      if (this.#waiting > 0) this.#look().catch(surface);
    }, true);
  }
}
