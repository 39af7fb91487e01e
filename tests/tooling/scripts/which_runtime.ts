// Prints the runtime it runs on and its arguments.
import process from "node:process";
import { currentRuntime } from "../../support/runtimes.ts";

console.log(JSON.stringify({ runtime: currentRuntime(), args: process.argv.slice(2) }));
