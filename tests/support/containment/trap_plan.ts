// Kernels whose n-th call of an exported function traps.
//
// While a plan is installed every instance that is made gets functions that count their calls and trap as planned, before the real one runs or behind it (memory is changed then, and nobody is told what came of it). A call that reaches an
// instance behind its trap is noted: it must be thrown away.
import { functionNames } from "../../../src/kernel/functions.ts";

/** Which call traps. */
export interface Trap {
  /** The exported function. */
  readonly name: string;
  /** Counts its calls from 1, over all instances. */
  readonly call: number;
  /** Whether the real function runs before. */
  readonly after: boolean;
}

/** Counts calls, and traps. */
export class TrapPlan {
  /** Calls of each function so far. */
  readonly counts = new Map<string, number>();
  /** Instances made so far. */
  instances = 0;
  /** The instance that has trapped; 0: none has. */
  trapped = 0;
  /** Functions that were called on it since. */
  readonly calledBehind: string[] = [];
  /** Told of each call before it is made. */
  onCall: (name: string, call: number) => void = () => {};
  /** Called when it traps. */
  onTrap: () => void = () => {};
  trap: Trap | undefined;

  constructor(trap?: Trap) {
    this.trap = trap;
  }

  /** The exports of a new instance: functions that are taken from its table count, and trap. */
  wrap(module: WebAssembly.Module, exports: WebAssembly.Exports): WebAssembly.Exports {
    const number = ++this.instances;
    const names = functionNames(module);
    const table = exports.functions as WebAssembly.Table;
    const get = (place: number): unknown => {
      const value = table.get(place) as (...args: number[]) => number;
      const call = (...args: number[]): number => this.#call(number, names[place]!, value, args);
      return Object.defineProperty(call, "length", { value: value.length });
    };
    return { ...exports, functions: { get } as WebAssembly.Table };
  }

  #call(instance: number, name: string, real: (...args: number[]) => number, args: number[]): number {
    if (instance === this.trapped) this.calledBehind.push(name);
    const count = (this.counts.get(name) ?? 0) + 1;
    this.counts.set(name, count);
    this.onCall(name, count);
    if (this.trap === undefined || this.trap.name !== name || this.trap.call !== count) return real(...args);
    if (this.trap.after) real(...args);
    this.trapped = instance;
    this.onTrap();
    throw new WebAssembly.RuntimeError("unreachable");
  }
}

/** Runs something with kernels that obey a plan. */
export async function withTraps<T>(plan: TrapPlan, run: () => Promise<T>): Promise<T> {
  const real = WebAssembly.Instance;
  const made = function (module: WebAssembly.Module, imports: WebAssembly.Imports): { exports: WebAssembly.Exports } {
    return { exports: plan.wrap(module, new real(module, imports).exports) };
  };
  WebAssembly.Instance = made as unknown as typeof WebAssembly.Instance;
  try {
    return await run();
  } finally {
    WebAssembly.Instance = real;
  }
}
