// Every call of a command that only reads.
import { COMMANDS } from "../../src/cli/commands.ts";

/** Arguments behind the name of the command and the file; the last are the most thorough. */
const CALLS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  check: [["--level", "header"], [], ["--level", "deep", "--json"], ["--level", "deep"]],
  stats: [[], ["--json"]],
  tail: [["--no-follow"], ["--no-follow", "--values", "--json"]],
  dump: [[], ["--values"], ["--values", "--json"]],
  page: ["0", "1", "5", "40", "45"].map((page) => [page, "--values"]),
  salvage: [["--dry-run"], ["--dry-run", "--from", "older", "--json"], ["--dry-run", "--from", "scan"]],
};

/** The commands that write, and those that are about backups. */
const WRITE: readonly string[] = ["compact", "unlock", "backup", "restore", "verify"];

/** All arguments of every call that only reads; `brief`: of each command one. */
export function readingCalls(file: string, brief = false): string[][] {
  return COMMANDS.filter(({ name }) => !WRITE.includes(name)).flatMap(({ name }) => {
    const calls = CALLS[name];
    if (calls === undefined) throw new Error(`no calls of ${name}: add them here`);
    return (brief ? calls.slice(-1) : calls).map((rest) => [name, file, ...rest]);
  });
}
