// Requeueing: jobs that are under way wait again.
//
// Which jobs those are is found when the transaction's turn has come: one that has ended by then, or was taken anew, is left as it is.
import type { CommitRequest, Staged } from "../../store/store.ts";
import type { ManifestCore } from "../core.ts";
import { requeueJob } from "../operations/jobs.ts";
import { Range } from "../read/range.ts";
import { jobStates } from "../tables/jobs.ts";

/** Puts jobs that are under way back among those that wait. */
export class Requeue implements CommitRequest {
  /** Whether there were any: known when it is staged. */
  change = false;
  /** Their ids: known when it is staged. */
  readonly ids: number[] = [];
  readonly #core: ManifestCore;
  readonly #startedBefore: number | undefined;

  /** `startedBefore`: only those that were taken before this time. */
  constructor(core: ManifestCore, startedBefore: number | undefined) {
    this.#core = core;
    this.#startedBefore = startedBefore;
  }

  stage(): Staged {
    const { staging, log } = this.#core;
    const before = this.#startedBefore;
    staging.begin(true);
    const source = { reader: staging.reader(jobStates), release: () => {} };
    const underWay = new Range<[string, string, number]>(() => source, { prefix: ["in-flight"] } as object, "keys").toArray();
    for (const [, , id] of underWay) if (requeueJob(staging, id, before)) this.ids.push(id);
    this.ids.sort((a, b) => a - b);
    this.change = this.ids.length > 0;
    if (this.change) log.maintain(staging);
    return staging.finish(undefined);
  }
}
