// Whether a catalog has commits behind the last checkpoint.
//
// Every commit of a catalog raises its edit number. So the catalog is clean as long as it has the number that it had in the checkpoint: that is looked up in the change log when a checkpoint is done, among the few changes
// behind it. Where the log no longer has them the catalog counts as dirty, until the next checkpoint.
import type { Manifest } from "../../manifest/manifest.ts";
import type { ReadTransaction } from "../../manifest/read/read_transaction.ts";
import { changeLog } from "../../manifest/tables/change_log.ts";
import { pendingBatches } from "../../manifest/tables/pending_batches.ts";
import { stateOf } from "./reader.ts";
import { LSM_TABLES } from "./tables.ts";

const TABLES: ReadonlySet<string> = new Set(LSM_TABLES.map(({ name }) => name));

/** Watches one catalog of one manifest. */
export class DirtyWatch {
  readonly #manifest: Manifest;
  readonly #name: string;
  /** The edit number that is known to be in the checkpoint; undefined: another one. */
  #clean: number | undefined;
  /** Opening has applied commits again that the checkpoint before it did not have. */
  #replayed: boolean;

  /** Watches from now on. */
  constructor(manifest: Manifest, name: string) {
    this.#manifest = manifest;
    this.#name = name;
    this.#replayed = !manifest.readOnly && manifest.recovery.frames > 0;
    this.#look(undefined);
    if (manifest.readOnly) return;
    manifest.subscribe((event) => {
      if (event.type !== "checkpoint") return;
      this.#replayed = false;
      try {
        this.#look(event.sequence);
      } catch {
        this.#clean = undefined; // closed meanwhile, or not readable: whoever asks is told
      }
    });
  }

  /** Whether there are such commits. */
  get dirty(): boolean {
    const { edit } = stateOf(this.#manifest, this.#name);
    // A handle for reading hears of no checkpoint of the writer's.
    if (this.#manifest.readOnly) this.#look(undefined);
    return this.#replayed || edit !== this.#clean;
  }

  /** Finds out whether the newest state is that of the checkpoint, whose last change has this sequence; undefined: that is to be found out too. */
  #look(checkpoint: number | undefined): void {
    const view = this.#manifest.read();
    try {
      const { edit } = stateOf(view, this.#name);
      this.#clean = this.#touchedSince(view, checkpoint ?? this.#checkpointed(view)) ? undefined : edit;
    } finally {
      view.close();
    }
  }

  /** The last change that is in the checkpoint: the one before the first that is only in the journal. */
  #checkpointed(view: ReadTransaction): number {
    for (const { sequence } of view.values(pendingBatches)) if (sequence > 0) return sequence - 1;
    return Math.min(view.sequence, this.#manifest.latestChangeSequence());
  }

  #touchedSince(view: ReadTransaction, sequence: number): boolean {
    let next = sequence + 1;
    for (const change of view.values(changeLog, { gte: [next] })) {
      if (change.sequence !== next++) return true; // the log has lost what lies between
      for (const operation of change.operations) {
        if (operation.op === "unreadable" || !TABLES.has(operation.table)) continue;
        if (operation.op === "deleteRange" || operation.key[0] === this.#name) return true;
      }
    }
    return next <= view.sequence;
  }
}
