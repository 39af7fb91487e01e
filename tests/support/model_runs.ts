// Running a case of either model: a named shape at a seed, or the shape that a seed draws. Errors say after how many operations, and how to make the case again.
import { replayCommand } from "../stages/report.ts";
import { ModelRun as ManifestRun } from "./manifest_model/run.ts";
import { type Shape as ManifestShape, SHAPES as MANIFEST_SHAPES } from "./manifest_model/shapes.ts";
import { swarmShape as manifestSwarm } from "./manifest_model/swarm.ts";
import { ModelRun as StoreRun } from "./model_run.ts";
import type { ModelRunner } from "./model_runner.ts";
import { type Shape as StoreShape, SHAPES as STORE_SHAPES } from "./model_shapes.ts";
import { swarmShape as storeSwarm } from "./model_swarm.ts";

/** Which model. */
export type ModelKind = "store" | "manifest";

/** A case. */
export interface ModelCase {
  readonly kind: ModelKind;
  readonly seed: number;
  /** A shape by name. Default: the one that the seed draws. */
  readonly shape?: string;
  /** Ends behind so many operations. Default: the shape's. */
  readonly operations?: number;
}

function shapeOf<S>(shapes: Readonly<Record<string, S>>, name: string): S {
  return shapes[name] ?? (() => {
    throw new Error(`Cannot run shape ${name}: there are ${Object.keys(shapes).join(", ")}`);
  })();
}

function runOf({ kind, seed, shape, operations }: ModelCase): ModelRunner {
  if (kind === "store") {
    const of: StoreShape = shape === undefined ? storeSwarm(seed) : shapeOf(STORE_SHAPES, shape);
    return new StoreRun({ ...of, operations: operations ?? of.operations }, seed);
  }
  if (kind !== "manifest") throw new Error(`Cannot run model ${kind}: there are store and manifest`);
  const of: ManifestShape = shape === undefined ? manifestSwarm(seed) : shapeOf(MANIFEST_SHAPES, shape);
  return new ManifestRun({ ...of, operations: operations ?? of.operations }, seed);
}

/** The flags that make a case again. */
export function modelFlags({ kind, seed, shape, operations }: ModelCase): Record<string, string | number> {
  return { kind, seed, ...shape === undefined ? {} : { shape }, ...operations === undefined ? {} : { operations } };
}

/** Runs a case; its error says where it failed. */
export async function runModel(one: ModelCase): Promise<ModelRunner> {
  const run = runOf(one);
  try {
    await run.run();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const what = `${one.kind} model, seed ${one.seed}${one.shape === undefined ? "" : ` of shape ${one.shape}`}`;
    const replay = replayCommand("model", modelFlags(one));
    throw new Error(`${what}, failed after ${run.operations} operations, in ${run.action}: ${reason}\nReplay: ${replay}`, { cause });
  }
  return run;
}
