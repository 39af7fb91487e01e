// One way to register a test on every runtime: Deno.test on Deno, node:test on Bun and Node.
//
// Names must be unique inside a file: the gate compares the names that ran on each runtime. No sub-tests: Bun does not count them.

/** What a test does; it fails by throwing or rejecting. */
export type TestBody = () => void | Promise<void>;

type Register = (name: string, body: TestBody) => unknown;

const deno = (globalThis as { Deno?: { test: Register } }).Deno;
const register: Register = deno !== undefined ? deno.test.bind(deno) : (await import("node:test")).test as Register;

/** Registers one test. */
export function test(name: string, body: TestBody): void {
  register(name, async () => {
    await body();
  });
}
