// A workload: what is done to a store or a manifest while its disk is watched.
import { type Random, seeded } from "../random.ts";
import { ManifestSubject } from "./manifest_subject.ts";
import { createdFile } from "./starts.ts";
import { StoreSubject } from "./store_subject.ts";

interface Common {
  /** What it is called on the command line. */
  readonly name: string;
  /** Page size of the file. Default 4096. */
  readonly pageSize?: number;
  /** Begins without a file. */
  readonly creates?: boolean;
}

/** A workload of either level. */
export type Workload =
  | Common & { readonly level: "store"; run(subject: StoreSubject): Promise<void> }
  | Common & { readonly level: "manifest"; run(subject: ManifestSubject): Promise<void> };

/** Runs a workload to its end. `sector`: the device's. */
export async function runWorkload(workload: Workload, seed: number, sector: number): Promise<StoreSubject | ManifestSubject> {
  const random: Random = seeded(seed);
  const start = workload.creates ? new Uint8Array(0) : await createdFile(workload.level, workload.pageSize ?? 4096);
  if (workload.level === "store") {
    const subject = new StoreSubject(random, start, sector);
    await workload.run(subject);
    subject.end();
    return subject;
  }
  const subject = new ManifestSubject(random, start, sector);
  await workload.run(subject);
  subject.end();
  return subject;
}
