// The segments of one database on their way, in the order in which the sink must hear of them, and those that got lost on it.
//
// Invariant: a segment may be given to the sink only while no segment before it is on its way or lost. A lost segment is one that the controller was asked to flush and has not: behind it the log has a
// hole, and whoever trusted a position beyond would drop log records that are nowhere else. The hole is closed by asking for the same segment again.
import type { FlushSegment } from "./sink.ts";

/** A segment that was not flushed, and why. */
export interface Lost {
  readonly segment: number;
  readonly target: number;
  readonly cause: unknown;
}

function isBefore(a: FlushSegment | Lost, b: FlushSegment | Lost): boolean {
  return a.target < b.target || (a.target === b.target && a.segment < b.segment);
}

/** The way of one database's segments to the sink. */
export class FlushLane<T extends { readonly request: FlushSegment }> {
  readonly #under: T[] = [];
  readonly #lost = new Map<number, Lost>();
  /** Those who wait to be first. */
  readonly #waiting = new Map<T, () => void>();

  /** Whether nothing needs to be remembered. */
  get empty(): boolean {
    return this.#under.length === 0 && this.#lost.size === 0;
  }

  /** Whether a segment is on its way. */
  has(segment: number): boolean {
    return this.#under.some(({ request }) => request.segment === segment);
  }

  /** The first lost segment before this one, other than the one that this is. */
  blocker(request: FlushSegment): Lost | undefined {
    let first: Lost | undefined;
    for (const lost of this.#lost.values()) {
      if (lost.segment === request.segment || !isBefore(lost, request)) continue;
      if (first === undefined || isBefore(lost, first)) first = lost;
    }
    return first;
  }

  /** A segment sets out. */
  add(item: T): void {
    const { request } = item;
    const lost = this.#lost.get(request.segment);
    if (lost !== undefined && lost.target <= request.target) this.#lost.delete(request.segment);
    const at = this.#under.findIndex((other) => isBefore(request, other.request));
    this.#under.splice(at < 0 ? this.#under.length : at, 0, item);
  }

  /** Whether nothing before it is on its way. */
  isFirst(item: T): boolean {
    return this.#under[0] === item;
  }

  /** Calls `done` when it becomes the first; the function returned takes that back. */
  whenFirst(item: T, done: () => void): () => void {
    this.#waiting.set(item, done);
    return () => this.#waiting.delete(item);
  }

  /** A segment has arrived, or has been lost. */
  remove(item: T): void {
    this.#under.splice(this.#under.indexOf(item), 1);
    this.#waiting.delete(item);
    const first = this.#under[0];
    const done = first && this.#waiting.get(first);
    if (done === undefined) return;
    this.#waiting.delete(first!);
    done();
  }

  /** Remembers a segment that was not flushed. */
  lose({ segment, target }: FlushSegment, cause: unknown): void {
    const known = this.#lost.get(segment);
    this.#lost.set(segment, { segment, target: Math.max(target, known?.target ?? 0), cause });
  }

  /** Those on their way behind a segment. */
  behind(request: FlushSegment): T[] {
    return this.#under.filter((item) => isBefore(request, item.request));
  }

  /** Forgets what was lost; says how many that were. */
  forget(): number {
    const { size } = this.#lost;
    this.#lost.clear();
    return size;
  }
}
