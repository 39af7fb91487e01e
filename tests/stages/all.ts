// Every stage, in the order of the summary.
import type { Stage } from "./stage.ts";

/** How to get each stage; a process loads only the one that it runs. */
const STAGES: Readonly<Record<string, () => Promise<{ stage: Stage }>>> = {
  crash: () => import("./crash.ts"),
  corruption: () => import("./corruption.ts"),
  hostile: () => import("./hostile.ts"),
  io_errors: () => import("./io_errors.ts"),
  containment: () => import("./containment.ts"),
  processes: () => import("./processes.ts"),
  model: () => import("./model.ts"),
  runtimes: () => import("./runtimes.ts"),
  lsm: () => import("./lsm.ts"),
};

/** Names of all stages. */
export const STAGE_NAMES: readonly string[] = Object.keys(STAGES);

/** A stage by name. */
export async function loadStage(name: string): Promise<Stage> {
  const load = STAGES[name];
  if (load === undefined) throw new Error(`Cannot find stage "${name}": there are ${STAGE_NAMES.join(", ")}`);
  return (await load()).stage;
}
