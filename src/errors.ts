// Errors: one shape, stable codes, and a kind that says what the caller should do.
//
// Invariants:
// - `code`, `kind`, `outcome`, `handle` and `retryable` are API; the message is not. Messages read "Cannot <action>: <state>".
// - `outcome` is "not_applied" unless something really was applied or cannot be known: a retry after "not_applied" never applies twice.
// - Nothing here holds user keys or values. `toJSON` is versioned and redacted: base names of files only, bytes as at most 32 bytes of hex.
// - Wrong arguments are TypeError or RangeError of the language with the same fields, so `isManifestError` covers every error of this package.

/** What the caller of a failed operation should do. */
export type ErrorKind =
  /** Fix the call. */
  | "usage"
  /** Read again and retry the transaction. */
  | "conflict"
  /** Retry later on the same handle. */
  | "unavailable"
  /** Ask `resolve(commitId)` before retrying. */
  | "unknown_outcome"
  /** Close, look at the device, open again. */
  | "io"
  /** Run the check; restore or salvage. */
  | "data"
  /** Fix the deployment. */
  | "config"
  /** Report it: a defect in this package. */
  | "internal";

/** Whether the failed operation changed the store. */
export type ErrorOutcome = "not_applied" | "applied" | "unknown";

/** What is left of the handle: usable, usable for reading only, or not usable (never opened, or closed). */
export type ErrorHandle = "ok" | "read_only" | "closed";

/** Stable code of an error. */
export type ErrorCode =
  | "INVALID_ARGUMENT"
  | "BAD_PARAMETER"
  | "LIMIT"
  | "TXN_CLOSED"
  | "TXN_POISONED"
  | "HANDLE_CLOSED"
  | "READ_ONLY"
  | "NOT_FOUND"
  | "EXISTS"
  | "NAME_INVALID"
  | "TABLE_UNKNOWN"
  | "TABLE_EXISTS"
  | "SCHEMA_MISMATCH"
  | "SCHEMA_TOO_NEW"
  | "ILLEGAL_TRANSITION"
  | "REFCOUNT_UNDERFLOW"
  | "CALLBACK_FAILED"
  | "CURSOR_UNKNOWN"
  | "CURSOR_TRUNCATED"
  | "ABORTED"
  | "CONFLICT"
  | "OBJECT_CONDEMNED"
  | "LOCKED"
  | "FENCED"
  | "SNAPSHOT_EXPIRED"
  | "UNAVAILABLE"
  | "TIMEOUT"
  | "NO_SPACE"
  | "QUOTA"
  | "FLUSH_FAILED"
  | "COMMIT_UNKNOWN"
  | "SYNC_FAILED"
  | "IO_READ"
  | "IO_WRITE"
  | "PERMISSION"
  | "READ_ONLY_MEDIUM"
  | "FILE_MOVED"
  | "NOT_A_REGULAR_FILE"
  | "CORRUPT_HEADER"
  | "CORRUPT_PAGE"
  | "CORRUPT_RECORD"
  | "CORRUPT_JOURNAL"
  | "CORRUPT_LOG"
  | "TRUNCATED"
  | "EMPTY_FILE"
  | "ROLLED_BACK"
  | "NOT_A_MANIFEST"
  | "FORMAT_TOO_NEW"
  | "FORMAT_TOO_OLD"
  | "UNKNOWN_FEATURE"
  | "BACKUP_INVALID"
  | "RUNTIME_UNSUPPORTED"
  | "DURABILITY_WEAK"
  | "CORE_TRAP"
  | "INVARIANT";

type CodeRow = readonly [kind: ErrorKind, retryable: boolean, handle?: ErrorHandle, outcome?: ErrorOutcome];

// code → kind, retryable, handle ("ok" unless said), outcome ("not_applied" unless said). Defaults: a call site may say otherwise.
const CODES: Readonly<Record<ErrorCode, CodeRow>> = {
  // usage
  INVALID_ARGUMENT: ["usage", false],
  BAD_PARAMETER: ["usage", false],
  LIMIT: ["usage", false],
  TXN_CLOSED: ["usage", false],
  TXN_POISONED: ["usage", false],
  HANDLE_CLOSED: ["usage", false, "closed"],
  READ_ONLY: ["usage", false],
  NOT_FOUND: ["usage", false],
  EXISTS: ["usage", false],
  NAME_INVALID: ["usage", false],
  TABLE_UNKNOWN: ["usage", false],
  TABLE_EXISTS: ["usage", false],
  SCHEMA_MISMATCH: ["usage", false],
  SCHEMA_TOO_NEW: ["usage", false],
  ILLEGAL_TRANSITION: ["usage", false],
  REFCOUNT_UNDERFLOW: ["usage", false],
  CALLBACK_FAILED: ["usage", false],
  CURSOR_UNKNOWN: ["usage", false],
  CURSOR_TRUNCATED: ["usage", false],
  ABORTED: ["usage", false],
  // conflict
  CONFLICT: ["conflict", true],
  OBJECT_CONDEMNED: ["conflict", true],
  LOCKED: ["conflict", true, "closed"],
  FENCED: ["conflict", false, "read_only"],
  SNAPSHOT_EXPIRED: ["conflict", true],
  // unavailable
  UNAVAILABLE: ["unavailable", true],
  TIMEOUT: ["unavailable", true],
  NO_SPACE: ["unavailable", true],
  QUOTA: ["unavailable", true],
  FLUSH_FAILED: ["unavailable", true],
  // unknown outcome
  COMMIT_UNKNOWN: ["unknown_outcome", false, "read_only", "unknown"],
  SYNC_FAILED: ["unknown_outcome", false, "read_only", "unknown"],
  // io
  IO_READ: ["io", false],
  IO_WRITE: ["io", false],
  PERMISSION: ["io", false],
  READ_ONLY_MEDIUM: ["io", false],
  FILE_MOVED: ["io", false, "read_only"],
  NOT_A_REGULAR_FILE: ["io", false, "closed"],
  // data
  CORRUPT_HEADER: ["data", false],
  CORRUPT_PAGE: ["data", false],
  CORRUPT_RECORD: ["data", false],
  CORRUPT_JOURNAL: ["data", false],
  CORRUPT_LOG: ["data", false],
  TRUNCATED: ["data", false],
  EMPTY_FILE: ["data", false, "closed"],
  ROLLED_BACK: ["data", false],
  NOT_A_MANIFEST: ["data", false, "closed"],
  FORMAT_TOO_NEW: ["data", false, "closed"],
  FORMAT_TOO_OLD: ["data", false, "closed"],
  UNKNOWN_FEATURE: ["data", false, "closed"],
  BACKUP_INVALID: ["data", false],
  // config
  RUNTIME_UNSUPPORTED: ["config", false, "closed"],
  DURABILITY_WEAK: ["config", false],
  // internal
  CORE_TRAP: ["internal", false, "closed", "unknown"],
  INVARIANT: ["internal", false, "closed", "unknown"],
};

/** Every code of this package, in the order of its kinds. */
export const ERROR_CODES: readonly ErrorCode[] = Object.keys(CODES) as ErrorCode[];

/** Facts about an error by name: file (base name), page, offset, length, errno, syscall, holder, limit, value, ... Never user data. */
export type ErrorDetail = Readonly<Record<string, unknown>>;

/** What a call site may say about an error beyond its code and message. */
export interface ErrorOptions {
  /** Facts about the error. */
  detail?: ErrorDetail;
  /** What caused it. */
  cause?: unknown;
  /** Overrides the outcome that the code implies. */
  outcome?: ErrorOutcome;
  /** Overrides the state of the handle that the code implies. */
  handle?: ErrorHandle;
  /** Overrides whether the same call may simply be made again. */
  retryable?: boolean;
}

/** An error as JSON: versioned, stable names, redacted. */
export interface ErrorJson {
  /** Version of this shape. */
  version: 1;
  /** Class of the error. */
  name: string;
  /** Stable code. */
  code: ErrorCode;
  /** What the caller should do. */
  kind: ErrorKind;
  /** Whether anything was applied. */
  outcome: ErrorOutcome;
  /** What is left of the handle. */
  handle: ErrorHandle;
  /** Whether the same call may simply be made again. */
  retryable: boolean;
  /** For people; may change. */
  message: string;
  /** Facts, redacted. */
  detail: Record<string, unknown>;
  /** Name and code of the cause, without its message: messages of the platform hold paths. */
  cause?: { name: string; code?: string };
}

/** The fields that every error of this package has. */
export interface ManifestErrorFields extends Error {
  /** Stable code. */
  readonly code: ErrorCode;
  /** What the caller should do. */
  readonly kind: ErrorKind;
  /** Whether the failed operation changed the store. */
  readonly outcome: ErrorOutcome;
  /** What is left of the handle. */
  readonly handle: ErrorHandle;
  /** Whether the same call may simply be made again. */
  readonly retryable: boolean;
  /** Facts about the error; never user data. */
  readonly detail: ErrorDetail;
  /** The error as redacted JSON. */
  toJSON(): ErrorJson;
}

const BRAND: unique symbol = Symbol.for("@waybill/manifest/error") as never;
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
      const text = PATHS.test(name) ? baseName(value) : value;
      return text.length > TEXT_LENGTH ? `${text.slice(0, TEXT_LENGTH)}… (${text.length} characters)` : text;
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
    if (kept !== undefined) out[key] = kept;
  }
  return out;
}

function causeOf(cause: unknown): { name: string; code?: string } {
  if (!(cause instanceof Error)) return { name: typeof cause };
  const code = (cause as { code?: unknown }).code;
  return typeof code === "string" ? { name: cause.name, code } : { name: cause.name };
}

function toJson(error: ManifestErrorFields): ErrorJson {
  const json: ErrorJson = {
    version: 1,
    name: error.name,
    code: error.code,
    kind: error.kind,
    outcome: error.outcome,
    handle: error.handle,
    retryable: error.retryable,
    message: error.message,
    detail: redact("", error.detail, JSON_DEPTH) as Record<string, unknown>,
  };
  if (error.cause !== undefined) json.cause = causeOf(error.cause);
  return json;
}

function nativeOptions(options: ErrorOptions): { cause?: unknown } {
  return options.cause === undefined ? {} : { cause: options.cause };
}

function row(code: ErrorCode): CodeRow {
  return CODES[code];
}

/** The error of a failed operation of this package; wrong arguments are {@linkcode ArgumentTypeError} and {@linkcode ArgumentRangeError}. */
export class ManifestError extends Error implements ManifestErrorFields {
  /** Always "ManifestError". */
  override readonly name: string = "ManifestError";
  /** Stable code. */
  readonly code: ErrorCode;
  /** What the caller should do. */
  readonly kind: ErrorKind;
  /** Whether the failed operation changed the store. */
  readonly outcome: ErrorOutcome;
  /** What is left of the handle. */
  readonly handle: ErrorHandle;
  /** Whether the same call may simply be made again. */
  readonly retryable: boolean;
  /** Facts about the error; never user data. */
  readonly detail: ErrorDetail;

  /** An error with the defaults of its code, which the options may override. */
  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, nativeOptions(options));
    const [kind, retryable, handle = "ok", outcome = "not_applied"] = row(code);
    this.code = code;
    this.kind = kind;
    this.outcome = options.outcome ?? outcome;
    this.handle = options.handle ?? handle;
    this.retryable = options.retryable ?? retryable;
    this.detail = options.detail ?? {};
    brand(this);
  }

  /** The error as redacted JSON. */
  toJSON(): ErrorJson {
    return toJson(this);
  }
}

/** An argument of the wrong type, or otherwise not usable: a TypeError with code INVALID_ARGUMENT unless another one is given. */
export class ArgumentTypeError extends TypeError implements ManifestErrorFields {
  /** Always "TypeError". */
  override readonly name: string = "TypeError";
  /** Stable code. */
  readonly code: ErrorCode;
  /** Always "usage". */
  readonly kind: ErrorKind = "usage";
  /** Always "not_applied". */
  readonly outcome: ErrorOutcome = "not_applied";
  /** "ok", unless it refused the opening of a handle. */
  readonly handle: ErrorHandle;
  /** Always false. */
  readonly retryable: boolean = false;
  /** Facts about the error; never user data. */
  readonly detail: ErrorDetail;

  /** A TypeError with the fields of this package. */
  constructor(message: string, options: ErrorOptions = {}, code: ErrorCode = "INVALID_ARGUMENT") {
    super(message, nativeOptions(options));
    this.code = code;
    this.handle = options.handle ?? "ok";
    this.detail = options.detail ?? {};
    brand(this);
  }

  /** The error as redacted JSON. */
  toJSON(): ErrorJson {
    return toJson(this);
  }
}

/** An argument outside its range (code INVALID_ARGUMENT) or beyond a limit of the store (code LIMIT). */
export class ArgumentRangeError extends RangeError implements ManifestErrorFields {
  /** Always "RangeError". */
  override readonly name: string = "RangeError";
  /** Stable code. */
  readonly code: ErrorCode;
  /** Always "usage". */
  readonly kind: ErrorKind = "usage";
  /** Always "not_applied". */
  readonly outcome: ErrorOutcome = "not_applied";
  /** "ok", unless it refused the opening of a handle. */
  readonly handle: ErrorHandle;
  /** Always false. */
  readonly retryable: boolean = false;
  /** Facts about the error; never user data. */
  readonly detail: ErrorDetail;

  /** A RangeError with the fields of this package. */
  constructor(message: string, options: ErrorOptions = {}, code: ErrorCode = "INVALID_ARGUMENT") {
    super(message, nativeOptions(options));
    this.code = code;
    this.handle = options.handle ?? "ok";
    this.detail = options.detail ?? {};
    brand(this);
  }

  /** The error as redacted JSON. */
  toJSON(): ErrorJson {
    return toJson(this);
  }
}

// A symbol of the global registry: `isManifestError` also knows errors of a second copy of this package in the same program.
function brand(error: Error): void {
  Object.defineProperty(error, BRAND, { value: true });
}

/** Whether a caught value is an error of this package: a ManifestError or one of the two argument errors. */
export function isManifestError(error: unknown): error is ManifestErrorFields {
  return error instanceof Error && (error as { [BRAND]?: unknown })[BRAND] === true;
}

/** Says what is left of the handle, where the caller knows better than the error's code: an opening that fails leaves none, a refresh that fails leaves it as it was. Other values pass as they are. */
export function withHandle(error: unknown, handle: ErrorHandle): unknown {
  if (isManifestError(error)) (error as { handle: ErrorHandle }).handle = handle;
  return error;
}

/** Throws a {@linkcode ManifestError}. */
export function fail(code: ErrorCode, message: string, options?: ErrorOptions): never {
  throw new ManifestError(code, message, options);
}

/** Throws a TypeError with code INVALID_ARGUMENT. */
export function failType(message: string, detail?: ErrorDetail): never {
  throw new ArgumentTypeError(message, { detail });
}

/** Throws a RangeError with code INVALID_ARGUMENT. */
export function failRange(message: string, detail?: ErrorDetail): never {
  throw new ArgumentRangeError(message, { detail });
}

/** Throws a RangeError with code LIMIT. */
export function failLimit(message: string, detail?: ErrorDetail): never {
  throw new ArgumentRangeError(message, { detail }, "LIMIT");
}

/** Throws INVARIANT unless the condition holds: for what only a defect of this package can break. */
export function invariant(condition: unknown, where: string): asserts condition {
  if (!condition) fail("INVARIANT", `Cannot continue: ${where}`);
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
