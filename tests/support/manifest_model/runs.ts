// Running a shape of the model of a manifest: errors that say how to replay, and what was reached.
import { ModelRun } from "./run.ts";
import { SHAPES } from "./shapes.ts";

/** What a run came to. */
export interface ModelResult {
  readonly operations: number;
  readonly reads: number;
  readonly reached: ReadonlyMap<string, number>;
}

/** The command that runs one seed of a shape again. */
export function replayCommand(shape: string, seed: number): string {
  return `deno run -A tests/manifest/model_replay.ts --shape ${shape} --seed ${seed}`;
}

/** Runs one seed of a shape. */
export async function runModel(name: string, seed: number): Promise<ModelResult> {
  const shape = SHAPES[name];
  if (shape === undefined) throw new Error(`Cannot run shape ${name}: there are ${Object.keys(SHAPES).join(", ")}`);
  const run = new ModelRun(shape, seed);
  try {
    await run.run();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `seed ${seed} of shape ${name} failed after ${run.operations} operations, in ${run.action}: ${reason}\nReplay: ${
        replayCommand(name, seed)
      }`,
      { cause },
    );
  }
  return run;
}
