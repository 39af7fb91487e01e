// What a case makes the process take: linear memories of kernels, buffers of JavaScript, and the heap.
//
// Buffers are counted when they are asked for, by their constructors: one that is gone again when somebody looks, or that no memory was ever given to, counts too. Whatever else a store makes is
// measured in the heap, while the store is open. Nothing is taken off for what was given back: the limit holds for all that a case has asked for.
import { getHeapStatistics } from "node:v8";
import "../kernel_pool.ts"; // puts itself in place of the constructor that is watched
import { Wrong } from "./interrogate.ts";

/** Most that a case may take. */
export const MEMORY = 64 << 20;
/** Buffers from this size on are shown with the place that asks for them. */
const LARGE = 1 << 20;

type Constructor = new (...args: unknown[]) => object;

/** A constructor that is watched while a case is under way. */
interface Watched {
  readonly owner: Record<string, Constructor>;
  readonly name: string;
  readonly real: Constructor;
  readonly watched: Constructor;
}

const ARRAYS = [
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigUint64Array,
  BigInt64Array,
];
let active: Footprint | undefined;

function watch(owner: object, name: string, before: (args: unknown[]) => void, behind: (made: object) => void = () => {}): Watched {
  const from = owner as Record<string, Constructor>;
  const real = from[name]!;
  // No proxy: a case makes hundreds of views, and a proxy costs each of them a microsecond.
  const watched = function (this: object, ...args: unknown[]): object {
    before(args);
    const made = (new.target as unknown) === watched ? new real(...args) : Reflect.construct(real, args, new.target!) as object;
    behind(made);
    return made;
  } as unknown as Constructor;
  Object.setPrototypeOf(watched, real);
  Object.defineProperty(watched, "name", { value: name });
  watched.prototype = real.prototype;
  return { owner: from, name, real, watched };
}

const WATCHED: readonly Watched[] = [
  ...ARRAYS.map(({ name, BYTES_PER_ELEMENT }) =>
    watch(globalThis, name, ([what]) => {
      // A view of a buffer takes nothing.
      const length = typeof what === "object" && what !== null ? (what as ArrayLike<unknown>).length ?? 0 : Number(what ?? 0);
      active?.request(length * BYTES_PER_ELEMENT);
    })
  ),
  watch(globalThis, "ArrayBuffer", ([length, options]) => {
    active?.request(Number((options as { maxByteLength?: number } | undefined)?.maxByteLength ?? length ?? 0));
  }),
  watch(WebAssembly, "Instance", () => {}, (made) => active?.instance(made as WebAssembly.Instance)),
];

/** Counts from its construction until it is disposed of; one at a time. */
export class Footprint implements Disposable {
  #requested = 0;
  #largest = 0;
  /** Where the largest buffer was asked for. */
  #place = "";
  readonly #memories: WebAssembly.Memory[] = [];
  readonly #heap = heap();

  readonly #limit: number;

  constructor(limit = MEMORY) {
    this.#limit = limit;
    if (active !== undefined) throw new Error("Cannot count: another case is under way");
    install(this);
  }

  /** A buffer is asked for. */
  request(bytes: number): void {
    this.#requested += bytes;
    if (bytes <= this.#largest) return;
    this.#largest = bytes;
    if (bytes >= LARGE) this.#place = new Error(`a buffer of ${mib(bytes)}`).stack ?? "";
  }

  /** A kernel was made. */
  instance({ exports: { memory } }: WebAssembly.Instance): void {
    if (memory instanceof WebAssembly.Memory) this.#memories.push(memory);
  }

  /** Throws when the case has taken too much so far. */
  check(where: string): void {
    const linear = this.#memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
    const grown = heap() - this.#heap; // below zero when garbage of earlier cases was collected
    // V8 counts linear memory as external.
    if (Math.max(this.#requested + linear, grown) <= this.#limit) return;
    throw new Wrong(
      `${where}: ${mib(linear)} of linear memory, buffers of ${mib(this.#requested)} asked for, a heap that is ${
        mib(grown)
      } larger. ${this.#place}`,
    );
  }

  [Symbol.dispose](): void {
    install(undefined);
  }
}

function install(footprint: Footprint | undefined): void {
  active = footprint;
  for (const { owner, name, real, watched } of WATCHED) owner[name] = footprint === undefined ? real : watched;
}

// JavaScriptCore counts the memories of kernels that nobody uses any more, until it collects them: there buffers and living kernels alone are counted.
function heap(): number {
  if ("Bun" in globalThis) return 0;
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + (external_memory ?? 0);
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
