/**
 * The command line of Waybill as a function, for programs and tests that run it in their own process. As a program: `deno task waybill`, or the entry point `@waybill/manifest/cli/main`.
 *
 * @module
 */
export { run } from "./run.ts";
export { ExitCode } from "./exit_code.ts";
export type { CliIo, CliOutput } from "./io.ts";
