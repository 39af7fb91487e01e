// A workload of the stage "io_errors": what is done while one call of the storage fails.
import type { ErrorCode } from "../../../mod.ts";
import type { SimDisk } from "../crash_storage.ts";
import type { FaultPlan } from "../faulty_storage.ts";
import type { Openable, Subject } from "./subject.ts";

/** A run that may fail: `start` it, use it, `finish` it. */
export type AnySubject = Subject<Openable>;

/** What is done. Opening counts too: every call of the storage can fail. */
export interface Workload {
  /** The disk that it begins with; the bytes are made once. */
  disk(): Promise<SimDisk>;
  /** A run on it. */
  subject(disk: SimDisk, plan: FaultPlan, codes: readonly ErrorCode[], seed: number): AnySubject;
  /** Does it. The subject deals with errors. */
  run(subject: AnySubject): Promise<void>;
}
