// Errors as JSON: versioned, redacted, bounded.
//
// Invariants: no name of a directory, no bytes beyond 32 in hex, nothing whose name speaks of a secret; a text is cut at 256 characters, a list at 32 items; of a cause only its name and code, because messages of
// the platform hold paths.
import type { ErrorJson, ManifestErrorFields } from "../errors.ts";

const HEX_BYTES = 32;
const TEXT_LENGTH = 256;
const JSON_DEPTH = 4;
const JSON_ITEMS = 32;
const SECRET = /secret|token|password|credential|authorization|signature|accesskey/i;
const PATHS = /^(file|path|directory)$/i;

function redact(name: string, value: unknown, depth: number): unknown {
  if (SECRET.test(name)) return "[redacted]";
  switch (typeof value) {
    case "string": {
      return clip(PATHS.test(name) ? baseName(value) : value);
    }
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "bigint":
      return value.toString();
    case "boolean":
      return value;
    case "object":
      break;
    default:
      return undefined;
  }
  if (value === null) return null;
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    const hex = Array.from(bytes.subarray(0, HEX_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join("");
    return bytes.length > HEX_BYTES ? `${hex}… (${bytes.length} bytes)` : hex;
  }
  if (value instanceof Error) return causeOf(value);
  if (depth === 0) return "[…]";
  if (Array.isArray(value)) return value.slice(0, JSON_ITEMS).map((item) => redact(name, item, depth - 1));
  const out: Record<string, unknown> = {};
  for (const key of Object.keys(value).slice(0, JSON_ITEMS)) {
    const kept = redact(key, (value as Record<string, unknown>)[key], depth - 1);
    // Defined, never assigned: a field named __proto__ is a field like any other.
    if (kept !== undefined) Object.defineProperty(out, key, { value: kept, enumerable: true, writable: true, configurable: true });
  }
  return out;
}

/** A text of at most 256 characters and how long it was. */
function clip(text: string): string {
  return text.length > TEXT_LENGTH ? `${text.slice(0, TEXT_LENGTH)}… (${text.length} characters)` : text;
}

function causeOf(cause: unknown): { name: string; code?: string } {
  if (!(cause instanceof Error)) return { name: typeof cause };
  const code = (cause as { code?: unknown }).code;
  const name = clip(String(cause.name));
  return typeof code === "string" ? { name, code: clip(code) } : { name };
}

/** The error as JSON. */
export function toJson(error: ManifestErrorFields): ErrorJson {
  const json: ErrorJson = {
    version: 1,
    name: error.name,
    code: error.code,
    kind: error.kind,
    outcome: error.outcome,
    handle: error.handle,
    retryable: error.retryable,
    op: error.op,
    message: error.message,
    detail: redact("", error.detail, JSON_DEPTH) as Record<string, unknown>,
  };
  if (error.cause !== undefined) json.cause = causeOf(error.cause);
  return json;
}

const ARTICLES = /\b(?:an?|the) /g;
const LOOSE_END = / (?:of|from|before|for|to|in)$/;

/** What a message says could not be done: the words behind "Cannot" up to the first name, number or colon, without articles. */
export function operationIn(message: string): string {
  const words = /^Cannot ([a-z -]*[a-z])/.exec(message)?.[1] ?? "";
  return words.replace(ARTICLES, "").replace(LOOSE_END, "");
}

/** The last part of a path, for messages and details: directories of the user stay out of both. */
export function baseName(path: string): string {
  let end = path.length;
  while (end > 1 && isSeparator(path.charCodeAt(end - 1))) end--;
  let start = end;
  while (start > 0 && !isSeparator(path.charCodeAt(start - 1))) start--;
  return path.slice(start, end);
}

function isSeparator(unit: number): boolean {
  return unit === 0x2f || unit === 0x5c;
}
