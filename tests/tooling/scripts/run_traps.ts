// Runs the smoke suite with each of the named kernel modules: run_traps FOLDER NAME... Prints one line, OUTCOMES and JSON: for each name why the suite failed, or null.
import { readFileSync } from "node:fs";
import process from "node:process";
import { smoke } from "../../support/smoke.ts";

const TIMEOUT_MS = 30_000;

const [folder, ...names] = process.argv.slice(2);
const outcomes: Record<string, string | null> = {};
let stray: unknown;

// A trap in work that nobody waits for must not end the whole run; it is a failure of the suite all the same.
process.on("unhandledRejection", (error) => stray ??= error);
process.on("uncaughtException", (error) => stray ??= error);

function words(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function timeout(): { promise: Promise<never>; cancel(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const promise = new Promise<never>((_resolve, reject) =>
    timer = setTimeout(() => reject(new Error(`no end after ${TIMEOUT_MS} ms`)), TIMEOUT_MS)
  );
  return { promise, cancel: () => clearTimeout(timer) };
}

for (const name of names) {
  stray = undefined;
  const limit = timeout();
  try {
    await Promise.race([smoke(new WebAssembly.Module(readFileSync(`${folder}/${name}.wasm`))), limit.promise]);
    outcomes[name] = stray === undefined ? null : words(stray);
  } catch (error) {
    outcomes[name] = words(error);
  } finally {
    limit.cancel();
  }
}

console.log(`OUTCOMES ${JSON.stringify(outcomes)}`);
process.exit(0);
