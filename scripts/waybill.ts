// `deno task waybill COMMAND ...`: the command line, with paths that count from where the task was called.
import process from "node:process";

const called = process.env["INIT_CWD"]; // a task runs in the project's root, whatever the folder of the shell
if (called !== undefined) process.chdir(called);
await import("../src/cli/main.ts");
