// Equality of records: an absent field is the same as an undefined one.

/** Whether two values are the same. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b || (a !== a && b !== b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof Uint8Array) {
    if (!(b instanceof Uint8Array) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
    return true;
  }
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!same(a[i], b[i])) return false;
    return true;
  }
  if (Array.isArray(b) || b instanceof Uint8Array) return false;
  const x = a as Record<string, unknown>, y = b as Record<string, unknown>;
  for (const name in x) if (!same(x[name], y[name])) return false;
  for (const name in y) if (y[name] !== undefined && x[name] === undefined) return false;
  return true;
}

/** A value for a message. */
export function show(value: unknown): string {
  const text = JSON.stringify(value, (_name, inner) => inner instanceof Uint8Array ? `${inner.length} bytes` : inner) ?? "nothing";
  return text.length > 700 ? `${text.slice(0, 700)}…` : text;
}

/** Throws unless both are the same. */
export function expectSame(found: unknown, wanted: unknown, what: string): void {
  if (!same(found, wanted)) throw new Error(`${what} is ${show(found)}, expected ${show(wanted)}`);
}
