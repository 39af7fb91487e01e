// The commands there are, in the order of the help.
import type { CliCommand } from "./command.ts";
import { check } from "./commands/check.ts";
import { compact } from "./commands/compact.ts";
import { stats } from "./commands/stats.ts";
import { tail } from "./commands/tail.ts";
import { unlock } from "./commands/unlock.ts";

/** Every command. */
export const COMMANDS: readonly CliCommand[] = [check, stats, tail, compact, unlock];
