// A command: what it is called, what it takes, what it does.
import type { Command } from "commander";
import type { ExitCode } from "./exit_code.ts";
import type { CliIo } from "./io.ts";
import type { Printer } from "./printer.ts";

/** One call of a command. */
export interface Invocation {
  /** Outputs, signals, environment variables. */
  readonly io: CliIo;
  /** Where results go. */
  readonly printer: Printer;
  /** The path of what it is about, the manifest's as a rule: every command's first argument. */
  readonly file: string;
  /** The arguments behind it, as they were declared. */
  readonly rest: readonly unknown[];
  /** Options by their names in camel case. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** A command. */
export interface CliCommand {
  /** Its name. */
  readonly name: string;
  /** What it does, in a line. */
  readonly summary: string;
  /** What its first argument is called, and what it is. Default: FILE, the manifest. */
  readonly subject?: readonly [name: string, what: string];
  /** The folder with backups among its arguments, for hints. */
  backups?(file: string, rest: readonly unknown[]): string;
  /** Adds its arguments behind the first one, and its options. */
  declare?(command: Command): void;
  /** Does it. What it throws is printed and becomes the exit code. */
  run(invocation: Invocation): Promise<ExitCode>;
}
