// The kernel's functions: names from the module, each taken from the instance's table when it is first used, behind a guard.
//
// Making a function of WebAssembly callable costs a microsecond, and there are a hundred: an instance that opens a store uses less than half of them. Invariant: behind a trap every function throws its error, also one that was never used.
import type { ManifestError } from "../errors.ts";
import type { KernelExports } from "./abi.ts";
import { type Exported, guard, trapError } from "./guard.ts";

/** Export of the table, and custom section with the names, comma between them, in the table's order. */
const FUNCTIONS = "functions";

interface Functions {
  readonly table: Pick<WebAssembly.Table, "get">;
  readonly trap: (cause: unknown) => never;
}

const namesOf = new WeakMap<WebAssembly.Module, readonly string[]>();
const prototypes = new WeakMap<WebAssembly.Module, object>();
const behind = new WeakMap<object, Functions>();

/** Names of a kernel's functions, in the order of its table. */
export function functionNames(module: WebAssembly.Module): readonly string[] {
  let names = namesOf.get(module);
  if (names === undefined) {
    const [section] = WebAssembly.Module.customSections(module, FUNCTIONS);
    names = section === undefined ? [] : new TextDecoder().decode(section).split(",");
    namesOf.set(module, names);
  }
  return names;
}

/** The functions of an instance; `onTrap` hears of the first trap before the caller does. */
export function kernelFunctions(
  module: WebAssembly.Module,
  instance: WebAssembly.Instance,
  onTrap: (error: ManifestError) => void,
): KernelExports {
  const own = Object.create(prototypeOf(module)) as object;
  const trap = (cause: unknown): never => {
    const error = trapError(cause);
    const over = (): never => {
      throw error;
    };
    for (const name of functionNames(module)) set(own, name, over);
    onTrap(error);
    throw error;
  };
  behind.set(own, { table: instance.exports[FUNCTIONS] as WebAssembly.Table, trap });
  return own as KernelExports;
}

/** Each function as a property that takes it from the table and puts it in its own place. */
function prototypeOf(module: WebAssembly.Module): object {
  let prototype = prototypes.get(module);
  if (prototype === undefined) {
    prototype = {};
    for (const [place, name] of functionNames(module).entries()) {
      Object.defineProperty(prototype, name, {
        get(this: object): Exported {
          const { table, trap } = behind.get(this)!;
          const guarded = guard(table.get(place) as Exported, trap);
          set(this, name, guarded);
          return guarded;
        },
      });
    }
    prototypes.set(module, prototype);
  }
  return prototype;
}

function set(own: object, name: string, value: unknown): void {
  Object.defineProperty(own, name, { value, configurable: true });
}
