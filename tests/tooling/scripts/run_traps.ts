// Runs the smoke suite with each of the named kernel modules, the untouched one first: run_traps FOLDER control NAME... Prints one line, OUTCOMES and JSON: for each
// name why the suite failed, or null. A suite that does not end within some times what the first one took has failed too.
import { readFileSync } from "node:fs";
import process from "node:process";
import { smoke } from "../../support/smoke.ts";

const FIRST_LIMIT_MS = 120_000;
const LIMIT_MS = 2_000;
const LIMIT_TIMES = 3;

const [folder, ...names] = process.argv.slice(2);
const outcomes: Record<string, string | null> = {};
let stray: unknown;

// A trap in work that nobody waits for must not end the whole run; it is a failure of the suite all the same.
process.on("unhandledRejection", (error) => stray ??= error);
process.on("uncaughtException", (error) => stray ??= error);

function words(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function timeout(milliseconds: number): { promise: Promise<never>; cancel(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const promise = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`never settled (${milliseconds} ms)`)), milliseconds);
  });
  return { promise, cancel: () => clearTimeout(timer) };
}

let allowed = FIRST_LIMIT_MS;
for (const name of names) {
  stray = undefined;
  console.log(`with ${name}`); // a suite that never gives the turn back is ended from outside: this tells which one it was
  const limit = timeout(allowed);
  const start = performance.now();
  try {
    await Promise.race([smoke(new WebAssembly.Module(readFileSync(`${folder}/${name}.wasm`))), limit.promise]);
    outcomes[name] = stray === undefined ? null : words(stray);
  } catch (error) {
    outcomes[name] = words(error);
  } finally {
    limit.cancel();
  }
  if (allowed === FIRST_LIMIT_MS) allowed = Math.max(LIMIT_MS, Math.ceil((performance.now() - start) * LIMIT_TIMES));
}

console.log(`OUTCOMES ${JSON.stringify(outcomes)}`);
process.exit(0);
