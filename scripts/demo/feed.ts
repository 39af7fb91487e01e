// A consumer of the change log that runs beside the writer: counts what it sees.
import { isManifestError, type Manifest } from "../../mod.ts";

/** What the consumer saw. */
export interface Followed {
  /** Changes. */
  changes: number;
  /** Their operations, by name. */
  operations: Record<string, number>;
  /** How many changes it was behind at most, when it got one. */
  lag: number;
}

const CURSOR = "demo";

/** Follows a manifest's change log from where it stopped the last time. */
export class Feed {
  readonly #manifest: Manifest;
  readonly #seen: Followed = { changes: 0, operations: {}, lag: 0 };
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #sequence = 0;

  constructor(manifest: Manifest) {
    this.#manifest = manifest;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const seen = this.#seen;
    try {
      for await (const { sequence, operations } of this.#manifest.follow(CURSOR, { signal: this.#stop.signal })) {
        seen.changes++;
        for (const { op } of operations) seen.operations[op] = (seen.operations[op] ?? 0) + 1;
        this.#sequence = sequence;
        seen.lag = Math.max(seen.lag, this.#manifest.latestChangeSequence() - sequence);
      }
    } catch (error) {
      if (!isManifestError(error) || error.code !== "ABORTED") throw error;
    }
  }

  /** Waits until everything committed so far was seen, then ends it; the cursor keeps its place. */
  async end(): Promise<Followed> {
    const manifest = this.#manifest;
    const cursor = (): number | undefined => manifest.listChangeCursors().find(({ name }) => name === CURSOR)?.nextSequence;
    const latest = manifest.latestChangeSequence();
    // A change is acknowledged when the next is asked for, so the cursor's place says what was seen.
    while (this.#sequence < latest && (cursor() ?? 0) <= latest) await new Promise((resolve) => setTimeout(resolve, 1));
    this.#stop.abort();
    await this.#running;
    return this.#seen;
  }
}
