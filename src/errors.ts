// Errors: one shape, stable codes, and a kind that says what the caller should do.
//
// Invariants:
// - `code`, `kind`, `outcome`, `handle` and `retryable` are API; the message is not. Messages read "Cannot <action>: <state>".
// - `outcome` is "not_applied" unless something really was applied or cannot be known: a retry after "not_applied" never applies twice.
// - Nothing here holds user keys or values. `toJSON` is versioned and redacted: base names of files only, bytes as at most 32 bytes of hex.
// - `op` is what the message says could not be done.
// - Wrong arguments are TypeError or RangeError of the language with the same fields, so `isManifestError` covers every error of this package.

import { type CodeRow, CODES, type ErrorCode, type ErrorHandle, type ErrorKind, type ErrorOutcome } from "./errors/codes.ts";
import { baseName, operationIn, toJson } from "./errors/json.ts";

export { baseName };
export type { ErrorCode, ErrorHandle, ErrorKind, ErrorOutcome };

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
  /** What could not be done. */
  op: string;
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
  /** What could not be done, as in the message: "open", "commit", "read", "reclaim"; docs/errors.md lists them. */
  readonly op: string;
  /** Facts about the error; never user data. */
  readonly detail: ErrorDetail;
  /** The error as redacted JSON. */
  toJSON(): ErrorJson;
}

const BRAND: unique symbol = Symbol.for("@waybill/manifest/error") as never;
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

  /** What could not be done. */
  get op(): string {
    return operationIn(this.message);
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

  /** What could not be done. */
  get op(): string {
    return operationIn(this.message);
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

  /** What could not be done. */
  get op(): string {
    return operationIn(this.message);
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
  try {
    return error instanceof Error && (error as { [BRAND]?: unknown })[BRAND] === true;
  } catch {
    return false; // a proxy that does not let itself be looked at
  }
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
