// The cases of the stage: what each is called on the command line, what it counts, and how it is run.
import type { DurabilityMode } from "../../../mod.ts";
import type { RuntimeName } from "../runtimes.ts";
import type { StopPlace } from "./fence.ts";
import type { Move } from "./moved.ts";

/** One case; together with the seed of a random one it says everything. */
export type ProcessCase =
  | { readonly kind: "exact"; readonly runtime: RuntimeName; readonly at: number }
  | { readonly kind: "random"; readonly seed: number; readonly mode: DurabilityMode; readonly rounds: number }
  | { readonly kind: "takeover"; readonly first: RuntimeName; readonly second: RuntimeName }
  | { readonly kind: "race"; readonly ways: "auto" | "claim" | "auto,claim"; readonly wins: number }
  | { readonly kind: "stopped"; readonly first: RuntimeName; readonly second: RuntimeName }
  | { readonly kind: "fenced"; readonly first: RuntimeName; readonly second: RuntimeName; readonly place: StopPlace }
  | {
    readonly kind: "fenced-checkpoint";
    readonly first: RuntimeName;
    readonly second: RuntimeName;
    readonly copy: 0 | 1;
    readonly checkpoints: number;
  }
  | { readonly kind: "fault"; readonly runtime: RuntimeName; readonly fault: string }
  | { readonly kind: "interrupted" | "full-medium" | "read-only-medium"; readonly runtime: RuntimeName }
  | { readonly kind: "moved"; readonly first: RuntimeName; readonly second: RuntimeName; readonly move: Move };

/** The flags of a case. */
export function flagsOf(one: ProcessCase): Record<string, string | number> {
  return { ...one };
}

/** The case that flags describe. */
export function caseOf(flags: Readonly<Record<string, string>>): ProcessCase {
  const out: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(flags)) out[name] = /^\d+$/.test(text) ? Number(text) : text;
  return out as unknown as ProcessCase;
}
