/**
 * The command line of Waybill as a program, on Deno, Bun and Node: `deno run -A jsr:@waybill/manifest/cli/main check FILE`.
 *
 * The only file of the command line that touches the process: arguments, outputs, signals, environment variables and exit code.
 *
 * @module
 */
import process from "node:process";
import { ExitCode } from "./exit_code.ts";
import type { CliOutput } from "./io.ts";
import { run } from "./run.ts";

const ending = new AbortController();
const unread = new AbortController();
/** Something was to be printed and could not be, for example because the medium is full. */
let lost = false;

function output(stream: typeof process.stdout | typeof process.stderr): CliOutput {
  let open = true;
  const failed = (error: { code?: string }): void => {
    if (!open) return;
    open = false;
    if (stream !== process.stdout) return;
    unread.abort();
    if (error.code === "EPIPE") return; // `| head`: what is not read is not an error
    lost = true;
    process.exitCode = ExitCode.failed;
    process.stderr.write(`waybill: Cannot print: ${error.code}\n`);
  };
  stream.on("error", failed);
  const write = (text: string): Promise<void> =>
    new Promise((done) => {
      try {
        stream.write(text, () => done());
      } catch (error) { // Deno writes to files at once
        failed(error as { code?: string });
        done();
      }
    });
  return { isTerminal: stream.isTTY === true, columns: stream.columns, write: (text) => open ? write(text) : undefined };
}

function end(): void {
  if (ending.signal.aborted) process.exit(130); // asked for twice
  ending.abort();
}

process.on("SIGINT", end);
process.on("SIGTERM", end);
const code = await run(process.argv.slice(2), {
  stdout: output(process.stdout),
  stderr: output(process.stderr),
  signal: ending.signal,
  closed: unread.signal,
  env: (name) => process.env[name],
});
if (!lost) process.exitCode = code;
process.off("SIGINT", end);
process.off("SIGTERM", end);
