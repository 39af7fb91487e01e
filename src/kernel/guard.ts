// The guard of the kernel's functions: what one of them throws is a trap, and ends the instance.
//
// A trap leaves memory half changed, so nothing may be asked of the instance again: its functions throw the same error from then on, before they reach it (functions.ts). The kernel imports nothing, so whatever comes out of a call is its own:
// a failed assertion, an access outside memory, or an overflow of the stack.
import { ManifestError } from "../errors.ts";

/** A function of the kernel: numbers in, a number or nothing out. */
export type Exported = (...args: number[]) => number;

/** What a trap is told as. */
export function trapError(cause: unknown): ManifestError {
  return new ManifestError("CORE_TRAP", "Cannot continue: the kernel stopped on a failed assertion", { cause });
}

// One shape for each number of parameters: a call through a rest parameter would make an array.
/** The same function; what it throws goes to `trap`. */
export function guard(call: Exported, trap: (cause: unknown) => never): Exported {
  switch (call.length) {
    case 0:
      return () => {
        try {
          return call();
        } catch (cause) {
          return trap(cause);
        }
      };
    case 1:
      return (a) => {
        try {
          return call(a!);
        } catch (cause) {
          return trap(cause);
        }
      };
    case 2:
      return (a, b) => {
        try {
          return call(a!, b!);
        } catch (cause) {
          return trap(cause);
        }
      };
    case 3:
      return (a, b, c) => {
        try {
          return call(a!, b!, c!);
        } catch (cause) {
          return trap(cause);
        }
      };
    case 4:
      return (a, b, c, d) => {
        try {
          return call(a!, b!, c!, d!);
        } catch (cause) {
          return trap(cause);
        }
      };
    default:
      return (a, b, c, d, e, f) => {
        try {
          return call(a!, b!, c!, d!, e!, f!);
        } catch (cause) {
          return trap(cause);
        }
      };
  }
}
