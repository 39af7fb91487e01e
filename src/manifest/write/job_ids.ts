// Ids for jobs: handed out in memory, made durable with the first job that is enqueued at or above them.
import type { Store } from "../../store/store.ts";
import type { Bindings } from "../bindings.ts";
import { meta, type MetaRecord, NEXT_JOB_ID } from "../tables/meta.ts";
import { TableReader } from "../read/table_reader.ts";

/** Hands out job ids of one manifest. */
export class JobIds {
  readonly #store: Store;
  readonly #bindings: Bindings;
  #next = 1;

  constructor(store: Store, bindings: Bindings) {
    this.#store = store;
    this.#bindings = bindings;
  }

  /** A new id: greater than every one that was handed out or enqueued before. */
  next(): number {
    const { newest } = this.#store;
    const bound = this.#bindings.need(newest, meta, "reserve a job id");
    const reader = new TableReader(this.#store.kernel, this.#bindings.arena, bound, newest.tree(bound.info.id));
    const kept = (reader.get([NEXT_JOB_ID]) as MetaRecord | undefined)?.number ?? 1;
    const id = Math.max(this.#next, kept);
    this.#next = id + 1;
    return id;
  }
}
