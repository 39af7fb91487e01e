// The commands there are, in the order of the help.
import type { CliCommand } from "./command.ts";
import { backup } from "./commands/backup.ts";
import { check } from "./commands/check.ts";
import { compact } from "./commands/compact.ts";
import { dump } from "./commands/dump.ts";
import { page } from "./commands/page.ts";
import { restore } from "./commands/restore.ts";
import { salvage } from "./commands/salvage.ts";
import { stats } from "./commands/stats.ts";
import { tail } from "./commands/tail.ts";
import { unlock } from "./commands/unlock.ts";
import { verify } from "./commands/verify.ts";

/** Every command. */
export const COMMANDS: readonly CliCommand[] = [check, stats, dump, page, tail, salvage, compact, unlock, backup, restore, verify];
