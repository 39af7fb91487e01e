// The engine's own error. Errors of the manifest and of the folder pass as they are.

/** What went wrong. */
export type LsmErrorCode =
  /** A file is missing, or not what was written. */
  | "DAMAGED"
  /** A write or a background job has failed: what is acknowledged is safe, open the engine again to go on. */
  | "FAILED"
  /** The engine is closed. */
  | "CLOSED";

/** An error of the engine. */
export class LsmError extends Error {
  /** What went wrong. */
  readonly code: LsmErrorCode;

  /** An error with a message for people. */
  constructor(code: LsmErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "LsmError";
    this.code = code;
  }
}
