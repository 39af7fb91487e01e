// Which cases a runtime runs of a test that has hundreds: Deno all of them, Bun and Node a third, drawn by number. The code under test is the same bytes everywhere, and that it does the same there is what the stage "runtimes" compares.

/** One of so many cases is run here. */
export const SHARE = "Deno" in globalThis ? 1 : 3;

/** Whether the case with this number is run here. */
export function isShare(number: number): boolean {
  return (Math.imul(number + 1, 0x9e3779b1) >>> 8) % SHARE === 0;
}
