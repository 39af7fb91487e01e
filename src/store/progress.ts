// Waiting for states that were applied and that readers do not see yet.
//
// Invariant: everything that can end such a wait (a group sealed, published or dropped, writing or everything at its end) calls `core.onProgress`, behind the change that it tells of.
import { ManifestError } from "../errors.ts";
import type { Core } from "./core.ts";

/** Promises for what becomes of applied transactions. */
export class Progress {
  readonly #core: Core;
  /** The next change of anything that is waited for. */
  #step: { promise: Promise<void>; resolve(): void } | undefined;

  constructor(core: Core) {
    this.#core = core;
    core.publishedFrame = core.kernel.exports.versionFrame(core.kernel.exports.versionPublished());
    core.onProgress = () => {
      this.#step?.resolve();
      this.#step = undefined;
    };
  }

  #next(): Promise<void> {
    if (this.#step === undefined) {
      let resolve!: () => void;
      const promise = new Promise<void>((done) => resolve = done);
      this.#step = { promise, resolve };
    }
    return this.#step.promise;
  }

  /** Resolves when a frame that was applied has been sealed, or dropped, or writing has ended. */
  async sealed(frame: number): Promise<void> {
    const core = this.#core;
    const x = core.kernel.exports;
    while (!core.ended && !core.failure && x.versionFrame(x.versionNewest()) < frame && x.versionFrame(-1) >= frame) await this.#next();
  }

  /** Resolves when the state at a frame has been published. Rejects when it is lost. */
  async published(frame: number): Promise<void> {
    const core = this.#core;
    while (core.publishedFrame < frame) {
      if (core.ended) throw core.ended;
      if (core.failure) {
        const { code, detail } = core.failure;
        throw new ManifestError(code, "Cannot read: a write failed, and what was read is perhaps not in the file; close and open again", {
          cause: core.failure,
          detail,
          outcome: "not_applied",
          handle: "read_only",
        });
      }
      await this.#next();
    }
  }
}
