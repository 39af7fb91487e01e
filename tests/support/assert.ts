// The part of @std/assert that the tests use, over node:assert/strict, with the same signatures.
//
// Stands in for jsr:@std/assert where JSR cannot be reached, and in the bundles for Bun and Node. Nothing here may be more lenient than the original.
import nodeAssert from "node:assert/strict";

/** Thrown by every assertion that does not hold. */
export class AssertionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error = Error> = abstract new (...args: any[]) => E;

function fail_(message: string, suffix: string | undefined): never {
  throw new AssertionError(suffix === undefined ? message : `${message}: ${suffix}`);
}

function show(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Uint8Array) {
    const head = Array.from(value.subarray(0, 64), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    return `${value.length} bytes [${head}${value.length > 64 ? " …" : ""}]`;
  }
  if (typeof value === "object" && value !== null) {
    try {
      const text = JSON.stringify(value, (_key, inner) => typeof inner === "bigint" || inner instanceof Uint8Array ? show(inner) : inner);
      return text.length > 600 ? text.slice(0, 600) + " …" : text;
    } catch {
      return String(value);
    }
  }
  return typeof value === "string" ? JSON.stringify(value) : Object.is(value, -0) ? "-0" : String(value);
}

/** Deep equality as @std/assert's `equal`: +0 and -0 are equal, NaN equals NaN, constructors must agree. */
export function equal(a: unknown, b: unknown): boolean {
  const inProgress = new Map<object, Set<unknown>>();
  function same(x: unknown, y: unknown): boolean {
    if (x === y || (x !== x && y !== y)) return true;
    if (typeof x !== "object" || typeof y !== "object" || x === null || y === null) return false;
    if (x.constructor !== y.constructor && !(plain(x) && plain(y))) return false;
    if (x instanceof Date) return same(x.getTime(), (y as Date).getTime());
    if (x instanceof RegExp || x instanceof URL) return String(x) === String(y);
    if (ArrayBuffer.isView(x) && !(x instanceof DataView)) {
      const left = x as Uint8Array, right = y as Uint8Array;
      if (left.length !== right.length) return false;
      if (x instanceof Uint8Array) return sameBytes(left, right);
      for (let i = 0; i < left.length; i++) if (!same(left[i], right[i])) return false;
      return true;
    }
    if (x instanceof ArrayBuffer) return same(new Uint8Array(x), new Uint8Array(y as ArrayBuffer));
    const seen = inProgress.get(x);
    if (seen?.has(y)) return true;
    if (seen === undefined) inProgress.set(x, new Set([y]));
    else seen.add(y);
    if (x instanceof Set) {
      const right = [...y as Set<unknown>];
      if (x.size !== right.length) return false;
      for (const item of x) {
        const index = right.findIndex((other) => same(item, other));
        if (index < 0) return false;
        right.splice(index, 1);
      }
      return true;
    }
    if (x instanceof Map) {
      const right = [...y as Map<unknown, unknown>];
      if (x.size !== right.length) return false;
      for (const [key, value] of x) {
        const index = right.findIndex(([otherKey, other]) => same(key, otherKey) && same(value, other));
        if (index < 0) return false;
        right.splice(index, 1);
      }
      return true;
    }
    if (x instanceof Error && (x.message !== (y as Error).message || x.name !== (y as Error).name)) return false;
    const left = x as Record<PropertyKey, unknown>, right = y as Record<PropertyKey, unknown>;
    const keys = new Set([...Object.keys(left), ...Object.keys(right), ...symbols(left), ...symbols(right)]);
    for (const key of keys) {
      if ((key in left) !== (key in right) || !same(left[key], right[key])) return false;
    }
    return true;
  }
  return same(a, b);
}

/** Bytes are compared often, and are never NaN. */
function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
  return true;
}

function plain(value: object): boolean {
  return value.constructor === Object || value.constructor === undefined;
}

function symbols(value: object): symbol[] {
  return Object.getOwnPropertySymbols(value).filter((key) => Object.getOwnPropertyDescriptor(value, key)!.enumerable);
}

/** Fails unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Fails unless `expr` is falsy. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is false {
  if (expr) throw new AssertionError(msg);
}

/** Fails unless the two are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  fail_(`Values are not equal\n  actual:   ${show(actual)}\n  expected: ${show(expected)}`, msg);
}

/** Fails when the two are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) fail_(`Expected actual: ${show(actual)} not to be: ${show(expected)}`, msg);
}

/** Fails unless the two are the same value (`Object.is`). */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  try {
    nodeAssert.strictEqual(actual, expected);
  } catch {
    fail_(`Values are not strictly equal\n  actual:   ${show(actual)}\n  expected: ${show(expected)}`, msg);
  }
}

/** Fails when the two are the same value (`Object.is`). */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (Object.is(actual, expected)) fail_(`Expected "actual" to not be strictly equal to: ${show(actual)}`, msg);
}

/** Fails unless the two differ by at most `tolerance` (default: 1e-7 of `expected`). */
export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, msg?: string): void {
  if (Object.is(actual, expected)) return;
  const limit = tolerance ?? (isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7);
  if (Math.abs(expected - actual) <= limit) return;
  fail_(`Expected actual: ${actual} to be close to ${expected}`, msg);
}

/** Fails when `actual` is null or undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) fail_(`Expected actual: "${actual}" to not be null or undefined`, msg);
}

/** Fails unless `actual` is an instance of `expectedType`. */
// deno-lint-ignore no-explicit-any
export function assertInstanceOf<T extends abstract new (...args: any[]) => any>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is InstanceType<T> {
  if (actual instanceof expectedType) return;
  fail_(`Expected object to be an instance of "${expectedType.name}" but was ${show(actual)}`, msg === "" ? undefined : msg);
}

/** Fails unless `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (!actual.includes(expected)) fail_(`Expected actual: ${show(actual)} to contain: ${show(expected)}`, msg);
}

/** Fails unless every element of `expected` is deeply equal to some element of `actual`. */
export function assertArrayIncludes<T>(actual: ArrayLike<T>, expected: ArrayLike<T>, msg?: string): void {
  const list = Array.from(actual);
  const missing = Array.from(expected).filter((item) => !list.some((other) => equal(item, other)));
  if (missing.length > 0) fail_(`Expected actual: ${show(list)} to include: ${show(Array.from(expected))}; missing: ${show(missing)}`, msg);
}

/** Fails unless `actual` matches. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) fail_(`Expected actual: ${show(actual)} to match: ${expected}`, msg);
}

/** Fails when `actual` matches. */
export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) fail_(`Expected actual: ${show(actual)} to not match: ${expected}`, msg);
}

/** Fails unless `actual` > `expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) fail_(`Expect ${show(actual)} > ${show(expected)}`, msg);
}

/** Fails unless `actual` ≥ `expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) fail_(`Expect ${show(actual)} >= ${show(expected)}`, msg);
}

/** Fails unless `actual` < `expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) fail_(`Expect ${show(actual)} < ${show(expected)}`, msg);
}

/** Fails unless `actual` ≤ `expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) fail_(`Expect ${show(actual)} <= ${show(expected)}`, msg);
}

function matches(actual: unknown, expected: unknown): boolean {
  const open = Array.isArray(expected) || (typeof expected === "object" && expected !== null && plain(expected));
  if (!open) return equal(actual, expected);
  if (typeof actual !== "object" || actual === null || Array.isArray(actual) !== Array.isArray(expected)) return false;
  const have = actual as Record<PropertyKey, unknown>, want = expected as Record<PropertyKey, unknown>;
  return [...Object.keys(want), ...symbols(want)].every((key) => key in have && matches(have[key], want[key]));
}

/** Fails unless `actual` has everything that `expected` has; properties beyond it are ignored. */
// deno-lint-ignore no-explicit-any
export function assertObjectMatch(actual: Record<PropertyKey, any>, expected: Record<PropertyKey, unknown>, msg?: string): void {
  if (!matches(actual, expected)) fail_(`Values do not match\n  actual:   ${show(actual)}\n  expected: ${show(expected)}`, msg);
}

/** Fails. */
export function fail(msg?: string): never {
  throw new AssertionError(msg === undefined ? "Failed assertion." : `Failed assertion: ${msg}`);
}

/** Fails: the code was not to be reached. */
export function unreachable(msg?: string): never {
  throw new AssertionError(msg === undefined ? "Unreachable." : `Unreachable: ${msg}`);
}

/** Fails unless `error` is an Error of the class whose message includes the text. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  // deno-lint-ignore no-explicit-any
  ErrorClass?: abstract new (...args: any[]) => E,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  if (!(error instanceof Error)) fail_(`Expected "error" to be an Error object, but was ${show(error)}`, msg);
  if (ErrorClass !== undefined && !(error instanceof ErrorClass)) {
    fail_(`Expected error to be instance of "${ErrorClass.name}", but was "${error.constructor.name}": ${error.message}`, msg);
  }
  const found = msgMatches === undefined ||
    (typeof msgMatches === "string" ? error.message.includes(msgMatches) : msgMatches.test(error.message));
  if (!found) fail_(`Expected error message to include ${show(String(msgMatches))}, but got ${show(error.message)}`, msg);
}

function judge(
  error: unknown,
  errorClassOrMsg: ErrorClass | string | undefined,
  msgIncludesOrMsg: string | undefined,
  msg: string | undefined,
): void {
  if (typeof errorClassOrMsg === "function") assertIsError(error, errorClassOrMsg, msgIncludesOrMsg, msg);
}

/** Fails unless `fn` throws; returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  // deno-lint-ignore no-explicit-any
  ErrorClass: abstract new (...args: any[]) => E,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(fn: () => unknown, errorClassOrMsg?: ErrorClass | string, msgIncludesOrMsg?: string, msg?: string): unknown {
  let threw = false;
  let caught: unknown;
  try {
    fn();
  } catch (error) {
    threw = true;
    caught = error;
  }
  if (!threw) fail_("Expected function to throw", typeof errorClassOrMsg === "string" ? errorClassOrMsg : msg);
  judge(caught, errorClassOrMsg, msgIncludesOrMsg, msg);
  return caught;
}

/** Fails unless the promise of `fn` rejects; resolves to what it rejected with. A synchronous throw does not count as a rejection. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  // deno-lint-ignore no-explicit-any
  ErrorClass: abstract new (...args: any[]) => E,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  errorClassOrMsg?: ErrorClass | string,
  msgIncludesOrMsg?: string,
  msg?: string,
): Promise<unknown> {
  const suffix = typeof errorClassOrMsg === "string" ? errorClassOrMsg : msg;
  let returned = false;
  let rejected = false;
  let caught: unknown;
  try {
    const promise = fn();
    returned = typeof promise === "object" && promise !== null && typeof promise.then === "function";
    await promise;
  } catch (error) {
    rejected = true;
    caught = error;
    if (!returned) fail_("Function throws when expected to reject", suffix);
  }
  if (!rejected) fail_("Expected function to reject", suffix);
  judge(caught, errorClassOrMsg, msgIncludesOrMsg, msg);
  return caught;
}
