// Keys of the model, in styles that give trees different shapes.
import type { Random } from "./random.ts";

/** How the keys of a table look. */
export type KeyStyle = "numbers" | "paths" | "short" | "groups" | "long" | "growing";

function bigEndian(n: number): string {
  return String.fromCharCode(n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255);
}

/** Key `n` of a style. Different numbers may give equal keys. */
export function keyOf(style: KeyStyle, n: number): string {
  switch (style) {
    case "numbers": // two integers
      return bigEndian(n % 7) + bigEndian(n);
    case "paths":
      return `path/to/${n % 13}/some/${(n * 7919) % 10007}/file-${n}.txt`;
    case "short": // the empty key, and prefixes of one another
      return String(n).repeat(1 + (n % 4)).slice(0, n % 9);
    case "groups": { // separators as long as keys: deep trees
      const group = n % 101;
      return String.fromCharCode(group).repeat(400 + (group * 17) % 622) + String.fromCharCode((n >>> 8) & 255, n & 255);
    }
    case "long": { // sharing little or much
      const length = 1 + (n * 31) % 1020;
      const at = n % length;
      const fill = String.fromCharCode(n % 3);
      return fill.repeat(at) + String.fromCharCode(n & 255) + fill.repeat(length - at) + String.fromCharCode((n >>> 8) & 255);
    }
    case "growing":
      return `log/${String(n).padStart(10, "0")}`;
  }
}

/** A random key among `space`; `next` is what a growing table puts next. */
export function randomKey(random: Random, style: KeyStyle, space: number, next: () => number): string {
  if (style === "growing" && random.chance(0.6)) return keyOf(style, next());
  return keyOf(style, random.int(space));
}

/** The bytes of a key. */
export function keyBytes(key: string): Uint8Array {
  const out = new Uint8Array(key.length);
  for (let i = 0; i < key.length; i++) out[i] = key.charCodeAt(i);
  return out;
}

/** Whether bytes are those of a key. */
export function isKey(bytes: Uint8Array, key: string): boolean {
  if (bytes.length !== key.length) return false;
  for (let i = 0; i < key.length; i++) if (bytes[i] !== key.charCodeAt(i)) return false;
  return true;
}
