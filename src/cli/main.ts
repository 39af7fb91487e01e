/**
 * The command line of Waybill as a program, on Deno, Bun and Node: `deno run -A jsr:@waybill/manifest/cli/main check FILE`.
 *
 * The only file of the command line that touches the process: arguments, outputs, signals, environment variables and exit code.
 *
 * @module
 */
import process from "node:process";
import type { CliOutput } from "./io.ts";
import { run } from "./run.ts";

const ending = new AbortController();
const unread = new AbortController();

function output(stream: typeof process.stdout | typeof process.stderr): CliOutput {
  let open = true;
  // `| head`: what is not read is not an error.
  stream.on("error", (error: { code?: string }) => {
    open = false;
    if (stream !== process.stdout) return;
    unread.abort();
    if (error.code !== "EPIPE") process.stderr.write(`waybill: Cannot print: ${error.code}\n`);
  });
  return {
    isTerminal: stream.isTTY === true,
    columns: stream.columns,
    write: (text) => open ? new Promise((done) => stream.write(text, () => done())) : undefined,
  };
}

function end(): void {
  if (ending.signal.aborted) process.exit(130); // asked for twice
  ending.abort();
}

process.on("SIGINT", end);
process.on("SIGTERM", end);
process.exitCode = await run(process.argv.slice(2), {
  stdout: output(process.stdout),
  stderr: output(process.stderr),
  signal: ending.signal,
  closed: unread.signal,
  env: (name) => process.env[name],
});
process.off("SIGINT", end);
process.off("SIGTERM", end);
