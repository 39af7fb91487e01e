// All planted bugs: the 24 of the plan, further ones, and those in the catalogs on top.
import { CONSUMERS } from "./consumers.ts";
import type { Mutant } from "./mutant.ts";
import { PAGES } from "./pages.ts";
import { RECOVERY } from "./recovery.ts";
import { WRITING } from "./writing.ts";

export { CATALOGS } from "./catalogs.ts";
export { FURTHER } from "./further.ts";

/** Those of the plan. */
export const PLANNED: readonly Mutant[] = [...WRITING, ...PAGES, ...RECOVERY, ...CONSUMERS];
