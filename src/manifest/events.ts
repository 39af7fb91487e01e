// Events: what a manifest tells besides what its calls return.
//
// Invariants: events are delivered in order, in a microtask of their own, so a listener may use the manifest as it likes; what a listener throws surfaces as an error of its own turn and stops
// neither the engine nor the other listeners.
import { failType, type ManifestErrorFields } from "../errors.ts";
import type { RecoveryReport } from "../store/store.ts";

/** Something that happened to a manifest. */
export type ManifestEvent =
  | RecoveredEvent
  | CursorLaggingEvent
  | CursorTruncatedEvent
  | ClockBackwardsEvent
  | WriteFailedEvent
  | CheckpointEvent
  | CompactedEvent
  | ClosedEvent;

/** Opening found a file that was not closed in order, or had to repair something. */
export interface RecoveredEvent {
  /** Always "recovered". */
  readonly type: "recovered";
  /** What was done. */
  readonly report: RecoveryReport;
}

/** A cursor has fallen further behind than the option `lagWarning` allows. Told again only when its lag has been at most half of that in between. */
export interface CursorLaggingEvent {
  /** Always "cursor-lagging". */
  readonly type: "cursor-lagging";
  /** The cursor. */
  readonly cursorId: number;
  /** Its name. */
  readonly name: string;
  /** The next change that it has not done. */
  readonly nextSequence: number;
  /** The newest durable change. */
  readonly latestSequence: number;
  /** Changes that it has before it. */
  readonly lag: number;
}

/** Changes that a cursor has not done are gone, because it was further behind than its `maxLag`. Told once. */
export interface CursorTruncatedEvent {
  /** Always "cursor-truncated". */
  readonly type: "cursor-truncated";
  /** The cursor. */
  readonly cursorId: number;
  /** Its name. */
  readonly name: string;
  /** The next change that it has not done. */
  readonly nextSequence: number;
  /** The oldest change that is kept. */
  readonly oldestSequence: number;
  /** The newest durable change. */
  readonly latestSequence: number;
}

/**
 * The clock shows less than the newest commit was given: it was set back, or another machine's was ahead. Until it has caught up, commits and the times in their records are given that commit's time: they
 * never go back. Nothing else depends on the clock. Told again only when it has caught up in between.
 */
export interface ClockBackwardsEvent {
  /** Always "clock-backwards". */
  readonly type: "clock-backwards";
  /** What the clock shows, milliseconds since 1970. */
  readonly shown: number;
  /** The time that commits are given instead. */
  readonly committedAt: number;
}

/** Writing has ended for good: the handle can only be read. Close it and open again. */
export interface WriteFailedEvent {
  /** Always "write-failed". */
  readonly type: "write-failed";
  /** Why. */
  readonly error: ManifestErrorFields;
}

/** A checkpoint is durable: the journal behind it is free. */
export interface CheckpointEvent {
  /** Always "checkpoint". */
  readonly type: "checkpoint";
  /** Meta generation. */
  readonly generation: number;
  /** The last change that it holds. */
  readonly sequence: number;
  /** The last frame that it holds. */
  readonly frame: number;
}

/** A compaction is done. */
export interface CompactedEvent {
  /** Always "compacted". */
  readonly type: "compacted";
  /** Bytes of the file before. */
  readonly bytesBefore: number;
  /** Bytes of the file now. */
  readonly bytesAfter: number;
}

/** The manifest is closed: the last event. */
export interface ClosedEvent {
  /** Always "closed". */
  readonly type: "closed";
}

/** Hears events. */
export type EventListener = (event: ManifestEvent) => void;

/** The listeners of one manifest. */
export class Events {
  readonly #listeners = new Set<{ readonly call: EventListener }>();
  #queue: ManifestEvent[] = [];

  /** How many listen. */
  get size(): number {
    return this.#listeners.size;
  }

  /** Adds a listener; the same function may be added more than once. Returns what takes it away. */
  subscribe(listener: EventListener): () => void {
    if (typeof listener !== "function") failType("Cannot subscribe: the listener is not a function");
    const entry = { call: listener };
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  /** Delivers an event, soon. */
  emit(event: ManifestEvent): void {
    if (this.#queue.push(event) === 1) queueMicrotask(() => this.#deliver());
  }

  #deliver(): void {
    const events = this.#queue;
    this.#queue = [];
    for (const event of events) {
      for (const { call } of [...this.#listeners]) {
        try {
          call(event);
        } catch (error) {
          surface(error);
        }
      }
      if (event.type === "closed") this.#listeners.clear();
    }
  }
}

/** Throws an error in a turn of its own. */
export function surface(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
