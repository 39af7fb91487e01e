// What became of each commit of a run, as its caller was told, and what an error may say.
import { type ErrorCode, type ErrorOutcome, isManifestError, type ManifestErrorFields } from "../../../mod.ts";

/** A commit of a run. */
export interface Entry {
  readonly number: number;
  readonly commitId: string;
  outcome: ErrorOutcome | "pending";
  /** The error was one of the caller's own making: the operation was not possible. */
  refusal?: ErrorCode;
}

/** What stands behind an open store: enough to hold errors against it. */
export interface Handle {
  readonly readOnly: boolean;
}

/** A handle whose kernel is lost. */
export const ENDED = "ended";

/** Every commit of a run, in the order of its issue. */
export class Ledger {
  readonly entries: Entry[] = [];

  /** A commit is about to be issued. */
  issue(commitId: string): Entry {
    const entry: Entry = { number: this.entries.length, commitId, outcome: "pending" };
    this.entries.push(entry);
    return entry;
  }

  /** Numbers of the commits with an outcome. */
  with(outcome: ErrorOutcome): number[] {
    return this.entries.filter((entry) => entry.outcome === outcome).map(({ number }) => number);
  }

  /** Outcomes in a word, one letter each. */
  signature(): string {
    return this.entries.map(({ outcome, refusal }) => refusal === undefined ? outcome[0] : "r").join("");
  }

  /** Throws unless the commits found in a file are ones that may be there: none that was not applied, all that were (`sync`), no hole. */
  checkKept(kept: ReadonlySet<number>, sync: boolean): void {
    let missing: number | undefined;
    for (const { number, outcome } of this.entries) {
      const there = kept.has(number);
      if (outcome === "pending") throw new Error(`commit ${number} never settled`);
      if (outcome === "not_applied") {
        if (there) throw new Error(`commit ${number} was reported as not applied and is there`);
        continue;
      }
      if (!there) {
        if (sync && outcome === "applied") throw new Error(`commit ${number} was acknowledged and is gone`);
        missing ??= number;
      } else if (missing !== undefined) throw new Error(`commit ${number} is there, commit ${missing} before it is not`);
    }
  }
}

/** The innermost error of this package. */
export function rootOf(error: ManifestErrorFields): ManifestErrorFields {
  return isManifestError(error.cause) ? rootOf(error.cause) : error;
}

/** Throws unless an error is what the fault must give, and says the truth about the handle. `commitId`: of a commit that it rejects. */
export function checkError(
  error: unknown,
  codes: readonly ErrorCode[],
  handle: Handle | typeof ENDED | undefined,
  commitId?: string,
): ManifestErrorFields {
  if (!isManifestError(error)) throw new Error(`an error of another kind: ${error}`, { cause: error });
  const says = `${error.code} (${error.message}), outcome ${error.outcome}, handle ${error.handle}`;
  const wrong = (what: string): never => {
    throw new Error(`${what}: ${says}`, { cause: error });
  };
  if (!codes.includes(rootOf(error).code)) wrong(`the error of a fault that gives ${codes}`);
  if (!error.message.startsWith("Cannot ")) wrong("a message that does not say what cannot be done");
  if (error.toJSON().code !== error.code) wrong("JSON that says something else");
  if (error.retryable && error.outcome !== "not_applied") wrong("a retry could apply twice");
  if (error.outcome === "applied") wrong("applied, and yet an error");
  if (error.outcome === "unknown") {
    if (error.kind !== "unknown_outcome" && handle !== ENDED) wrong("an outcome that is not known, of another kind");
    if (commitId && error.detail.commitId !== commitId) wrong("an outcome that is not known, without the id to ask for");
  }
  if (handle === undefined || handle === ENDED) {
    if (error.handle !== "closed") wrong("nothing is open");
  } else if (error.handle === "closed") wrong("the handle is open");
  else if (error.handle === "read_only" && !handle.readOnly) wrong("the handle can still be written");
  else if (error.outcome === "unknown" && !handle.readOnly) wrong("an unknown outcome must end writing");
  return error;
}
