// Keys and values as JSON, without loss: what JSON has no word for is an object with one member that begins with a dollar sign.
//
//   bytes             { "$bytes": "00ff" }
//   64-bit integers   { "$int": "18446744073709551615" }
//   NaN, ±Infinity, −0    { "$float": "NaN" }

function tagged(tag: string, text: string): Record<string, string> {
  return { [tag]: text };
}

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** A replacer for `JSON.stringify`. Names like `__proto__` stay data: nothing is copied by name. */
export function lossless(_name: string, value: unknown): unknown {
  switch (typeof value) {
    case "bigint":
      return tagged("$int", `${value}`);
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? value : tagged("$float", Object.is(value, -0) ? "-0" : `${value}`);
    case "object":
      return value instanceof Uint8Array ? tagged("$bytes", hex(value)) : value;
    default:
      return value;
  }
}

/** A key or a value as one line of JSON. */
export function valueText(value: unknown): string {
  return JSON.stringify(value, lossless) ?? "null";
}
