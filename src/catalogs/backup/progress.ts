// How far a backup, a restore or a verification has come.
import { ManifestError } from "../../errors.ts";

/** How far it has come. */
export interface BackupProgress {
  /** What is being done: files, the manifest's rows, looking at objects, looking at what was restored. */
  readonly step: "files" | "manifest" | "objects" | "check";
  /** Files, rows or objects done. */
  readonly done: number;
  /** Of so many. */
  readonly total: number;
  /** Bytes copied or read. */
  readonly bytes: number;
  /** Of so many; 0 where that is not known. */
  readonly bytesTotal: number;
}

/** Hears how far it has come. */
export type OnProgress = ((progress: BackupProgress) => void) | undefined;

/** Counts one step. What the listener throws is CALLBACK_FAILED. */
export class Tally {
  readonly #step: BackupProgress["step"];
  readonly #total: number;
  readonly #bytesTotal: number;
  readonly #action: string;
  readonly #listener: OnProgress;
  #done = 0;
  #bytes = 0;

  constructor(action: string, step: BackupProgress["step"], total: number, bytesTotal: number, listener: OnProgress) {
    this.#action = action;
    this.#step = step;
    this.#total = total;
    this.#bytesTotal = bytesTotal;
    this.#listener = listener;
    this.add(0, 0);
  }

  /** So much more is done. */
  add(done: number, bytes: number): void {
    this.#done += done;
    this.#bytes += bytes;
    if (this.#listener === undefined) return;
    try {
      this.#listener({ step: this.#step, done: this.#done, total: this.#total, bytes: this.#bytes, bytesTotal: this.#bytesTotal });
    } catch (cause) {
      throw new ManifestError("CALLBACK_FAILED", `Cannot ${this.#action}: onProgress has thrown`, { cause });
    }
  }
}
