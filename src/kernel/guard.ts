// The exported functions behind a guard: what one of them throws is a trap, and ends the instance.
//
// A trap leaves memory half changed, so nothing may be asked of the instance again: its functions throw the same error from then on, before they reach it. The kernel imports nothing, so whatever comes out of a call is its own: a failed
// assertion, an access outside memory, or an overflow of the stack.
import { ManifestError } from "../errors.ts";
import type { KernelExports } from "./abi.ts";

type Exported = (...args: number[]) => number;

/** The same functions; `onTrap` hears of the first trap before the caller does. */
export function guarded(exports: Readonly<Record<string, unknown>>, onTrap: (error: ManifestError) => void): KernelExports {
  const out: Record<string, unknown> = {};
  const trap = (cause: unknown): never => {
    const error = new ManifestError("CORE_TRAP", "Cannot continue: the kernel stopped on a failed assertion", { cause });
    const over = (): never => {
      throw error;
    };
    for (const name of Object.keys(out)) if (typeof out[name] === "function") out[name] = over;
    onTrap(error);
    throw error;
  };
  for (const [name, value] of Object.entries(exports)) out[name] = typeof value === "function" ? guard(value as Exported, trap) : value;
  return out as unknown as KernelExports;
}

// One shape for each number of parameters: a call through a rest parameter would make an array.
function guard(call: Exported, trap: (cause: unknown) => never): Exported {
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
