// One way to register a test on every runtime: Deno.test on Deno, node:test on Bun and Node.
//
// Names must be unique inside a file: the gate compares the names that ran on each runtime. No sub-tests: Bun does not count them.
import hooks from "node:async_hooks";

/** What a test does; it fails by throwing or rejecting. */
export type TestBody = () => void | Promise<void>;

type Register = (name: string, body: TestBody) => unknown;

const deno = (globalThis as { Deno?: { test: Register } }).Deno;
const register: Register = deno !== undefined ? deno.test.bind(deno) : await untracked();

/**
 * Node's runner follows every promise, to know which test an error that nobody waits for came from: up to a third of the time of a test that makes millions. It takes the hook when it
 * is loaded; without it such an error fails the file.
 */
async function untracked(): Promise<Register> {
  const { createHook } = hooks;
  const none: hooks.AsyncHook = { enable: () => none, disable: () => none };
  hooks.createHook = () => none;
  try {
    return (await import("node:test")).test as Register;
  } finally {
    hooks.createHook = createHook;
  }
}

/** Registers one test. */
export function test(name: string, body: TestBody): void {
  register(name, async () => {
    await body();
  });
}
