// One run of the command line: arguments are read, one command does its work, errors become text and exit codes.
import { Command, CommanderError } from "commander";
import { ArgumentTypeError, isManifestError, ManifestError } from "../errors.ts";
import { LIBRARY_VERSION } from "../manifest/diagnostics.ts";
import { wholeNumber } from "./arguments.ts";
import type { CliCommand } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { ExitCode, exitCodeOf } from "./exit_code.ts";
import type { CliIo } from "./io.ts";
import { hintOf, Printer } from "./printer.ts";

const WIDTH = 100;
const CACHE_MIB_MAX = 2047;
const FOOTER = `
Exit codes: 0 all is well, 1 repaired or absorbed, 2 damage found, 3 cannot read, 4 wrong arguments, 5 locked.`;

/**
 * Runs the command line in this process and resolves with its exit code. Never rejects for anything that the arguments or the file can cause, never ends the process, and touches the process's outputs,
 * signals and environment only through `io`.
 *
 * @example
 * ```ts
 * import { run } from "@waybill/manifest/cli";
 *
 * let text = "";
 * const output = { isTerminal: false, write: (part: string) => void (text += part) };
 * const never = new AbortController().signal;
 * const code = await run(["stats", "missing.waybill"], { stdout: output, stderr: output, signal: never, closed: never, env: () => undefined });
 * console.log(code, text.startsWith("waybill: Cannot open")); // 3 true
 * ```
 */
export async function run(args: readonly string[], io: CliIo): Promise<ExitCode> {
  let chosen: Chosen | undefined;
  const help = { out: "", err: "" };
  const program = makeProgram(help, (choice) => chosen = choice);
  try {
    program.parse([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) {
      await io.stdout.write(help.out);
      return ExitCode.clean;
    }
    if (help.err !== "") { // no command at all
      await io.stderr.write(help.err);
      return ExitCode.usage;
    }
    const printer = new Printer(io, args.includes("--json"));
    const text = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
    await printer.error(
      new ArgumentTypeError(`Cannot read the arguments: ${text}`),
      "waybill --help lists the commands, waybill COMMAND --help its options",
    );
    return ExitCode.usage;
  }
  return await runCommand(chosen!, io);
}

interface Chosen {
  readonly command: CliCommand;
  readonly file: string;
  readonly rest: readonly unknown[];
  readonly options: Readonly<Record<string, unknown>>;
}

async function runCommand({ command, file, rest, options }: Chosen, io: CliIo): Promise<ExitCode> {
  const printer = new Printer(io, options.json === true);
  try {
    return await command.run({ io, printer, file, rest, options });
  } catch (error) {
    const told = isManifestError(error) ? error : unexpected(command.name, error);
    await printer.error(told, hintOf(told, file, command.backups?.(file, rest)));
    if (told !== error && options.json !== true && error instanceof Error) await io.stderr.write(`${error.stack}\n`); // somebody has to look into it
    return exitCodeOf(told);
  }
}

/** A defect of this package. */
function unexpected(name: string, error: unknown): ManifestError {
  return new ManifestError("INVARIANT", `Cannot ${name}: ${error instanceof Error ? error.name : typeof error}`, { cause: error });
}

function makeProgram(help: { out: string; err: string }, choose: (chosen: Chosen) => void): Command {
  const program = new Command("waybill")
    .description("Looks into manifests, follows them, checks them and saves what can be saved.")
    .version(LIBRARY_VERSION, "-V, --version", "show the version")
    .helpOption("-h, --help", "show what there is")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void (help.out += text),
      writeErr: (text) => void (help.err += text),
      outputError: () => {}, // printed by us
      getOutHelpWidth: () => WIDTH,
      getErrHelpWidth: () => WIDTH,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText("after", FOOTER);
  for (const command of COMMANDS) {
    const made = program.command(command.name)
      .description(command.summary)
      .argument(`<${command.subject?.[0] ?? "FILE"}>`, command.subject?.[1] ?? "the manifest")
      .allowExcessArguments(false);
    command.declare?.(made);
    made
      .option("--json", "print lines of JSON")
      .option("--follow-symlink", "open what a symbolic link leads to")
      .option("--cache <MIB>", "page cache in MiB (default: 64)", cacheSize)
      .action(() => {
        const [file, ...rest] = made.processedArgs as [string, ...unknown[]];
        choose({ command, file, rest, options: made.opts() });
      });
  }
  return program;
}

function cacheSize(text: string): number {
  return wholeNumber(text, 1, CACHE_MIB_MAX);
}
