// What a workload did to its store, as a crash will be judged by it: the state after each frame, and which frames a crash must and may leave.
//
// A frame is a commit: numbers rise by one. A process that dies takes frames with it that were nowhere yet; their numbers are given again.

/** Confirms that an opened state is what the independent reference says. */
export type Confirm<S> = (subject: S) => void | Promise<void>;

interface Bound {
  readonly calls: number;
  /** A crash from here on leaves at least this frame. */
  readonly least?: number;
  /** A crash behind here leaves at most this frame. */
  readonly most?: number;
}

/** The history of one disk. */
export class History<S> {
  readonly #dumps = new Map<number, Uint32Array>();
  readonly #confirms = new Map<number, Confirm<S>>();
  readonly #bounds: Bound[] = [];

  /** The state after a frame, when it is known. */
  dump(frame: number): Uint32Array | undefined {
    return this.#dumps.get(frame);
  }

  /** What the reference says of the state after a frame, where it says something. */
  confirm(frame: number): Confirm<S> | undefined {
    return this.#confirms.get(frame);
  }

  /** Notes the state after a frame, unless it is known. */
  state(frame: number, dump: () => Uint32Array): void {
    if (!this.#dumps.has(frame)) this.#dumps.set(frame, dump());
  }

  /** Notes what the reference says of it. */
  reference(frame: number, confirm: Confirm<S>): void {
    this.#confirms.set(frame, confirm);
  }

  /** The disk's first `calls` calls were made when this frame was handed over. */
  submitted(calls: number, frame: number): void {
    this.#bounds.push({ calls: calls + 1, most: frame });
  }

  /** The disk's first `calls` calls were made when this frame was known to be durable. */
  acknowledged(calls: number, frame: number): void {
    this.#bounds.push({ calls, least: frame });
  }

  /** The disk began with a file that holds this frame. */
  began(frame: number): void {
    this.#bounds.unshift({ calls: 0, least: frame, most: frame });
  }

  /** A store was opened that holds this frame: what was submitted and is not there never will be. */
  opened(calls: number, frame: number): void {
    this.#bounds.push({ calls, most: frame });
    for (const later of [...this.#dumps.keys()]) if (later > frame) this.#dumps.delete(later);
    for (const later of [...this.#confirms.keys()]) if (later > frame) this.#confirms.delete(later);
  }

  /** The frames that a crash after the first `at` calls must and may leave. */
  bounds(at: number): { least: number; most: number } {
    let least = 0, most = 0;
    for (const bound of this.#bounds) {
      if (bound.calls > at) continue;
      if (bound.least !== undefined) least = Math.max(least, bound.least);
      if (bound.most !== undefined) most = bound.most;
    }
    return { least, most };
  }

  /** The same history, to go on with on another disk, behind a crash that has left this frame. */
  fork(frame: number): History<S> {
    const fork = new History<S>();
    for (const [at, dump] of this.#dumps) if (at <= frame) fork.#dumps.set(at, dump);
    for (const [at, confirm] of this.#confirms) if (at <= frame) fork.#confirms.set(at, confirm);
    return fork;
  }
}
