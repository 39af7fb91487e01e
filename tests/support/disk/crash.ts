// One image that a crash could leave, as it lies in its builder: a store can be opened on it right there, and it can be built again.
import type { CallLog, Pending } from "./call_log.ts";
import type { Change, Fate, Outcome } from "./change.ts";
import type { ImageBuilder } from "./image_builder.ts";
import { ImageStorage } from "./image_storage.ts";

/** A crash: what it may lose, and what it leaves. */
export interface DiskCrash {
  /** The changes that it may lose. */
  readonly changes: readonly Change[];
  /** The image when they have these fates. */
  build(index: number, fates: readonly Fate[]): CrashImage;
}

/** A crash with these changes behind what is certainly durable. */
export function crashOf(pending: readonly Pending[], make: (index: number, outcomes: Outcome[]) => CrashImage): DiskCrash {
  return {
    changes: pending.filter(({ fixed }) => !fixed).map(({ change }) => change),
    build(index, fates) {
      let next = 0;
      return make(index, pending.map(({ change, fixed }) => ({ change, fate: fixed ? "keep" : fates[next++]! })));
    },
  };
}

/** An image. Only the one built last is valid. */
export class CrashImage {
  /** Number among the images of its crash point, with its seed: names it. */
  readonly index: number;
  /** Equal for equal bytes. */
  readonly hash: number;
  /** What became of the changes behind the base. */
  readonly outcomes: readonly Outcome[];
  readonly #builder: ImageBuilder;

  /** Builds it. */
  constructor(builder: ImageBuilder, index: number, outcomes: readonly Outcome[]) {
    this.#builder = builder;
    this.index = index;
    this.outcomes = outcomes;
    builder.build(outcomes);
    this.hash = builder.hash();
  }

  /** Builds it again: whatever was written since is gone. */
  again(): void {
    this.#builder.build(this.outcomes);
  }

  /** A copy of what is there now. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#builder.bytes();
  }

  /** A handle on what is there now. */
  open(options: { readOnly?: boolean } = {}): ImageStorage {
    return new ImageStorage(this.#builder, options);
  }

  /** A crash after the first `at` calls of a handle on this image, as its log has them. */
  crash(log: CallLog, at: number): DiskCrash {
    return crashOf(log.pending(0, at, log.covered(at)), (index, outcomes) => this.then(index, outcomes));
  }

  /** The image that a further crash leaves: more changes with their fates behind this one. */
  then(index: number, outcomes: readonly Outcome[]): CrashImage {
    return new CrashImage(this.#builder, index, [...this.outcomes, ...outcomes]);
  }
}
