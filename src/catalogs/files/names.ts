// Kinds, names, labels, owners and paths: what is taken.
//
// Names of entries are keys and never become paths; paths go through `checkRelativePath`, and are shorter than a folder allows because they are keys.
import { readArgument } from "../../arguments.ts";
import { ArgumentTypeError, fail, failLimit, failRange, failType } from "../../errors.ts";
import type { Transaction } from "../../manifest/transact/transaction.ts";
import { isWellFormed } from "../../schema/text.ts";
import { checkRelativePath } from "../../storage/relative_path.ts";

/** The predefined kinds of files: main data, and indexes over vectors, places, text, time and columns. */
export const FILE_KINDS = ["data", "vector", "spatial", "text", "timestamp", "column"] as const;

/** A kind of files: a predefined one, or any other text of up to 64 bytes. */
// deno-lint-ignore ban-types
export type FileKind = typeof FILE_KINDS[number] | (string & {});

const KIND_BYTES = 64;
const NAME_BYTES = 512;
const LABEL_BYTES = 255;
const OWNER_BYTES = 128;
const PATH_BYTES = 720;
const PARALLEL_MOST = 1024;
// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;
const encoder = new TextEncoder();

function checkText(value: unknown, what: string, most: number, action: string): string {
  if (typeof value !== "string") throw new ArgumentTypeError(`Cannot ${action}: ${what} is not a string`, {}, "NAME_INVALID");
  const length = encoder.encode(value).length;
  if (length < 1 || length > most || CONTROL.test(value) || !isWellFormed(value)) {
    throw new ArgumentTypeError(
      `Cannot ${action}: ${what} is not 1 to ${most} bytes of text without control characters`,
      { detail: { length } },
      "NAME_INVALID",
    );
  }
  return value;
}

/** A kind, or NAME_INVALID. */
export function checkKind(kind: unknown, action: string): string {
  return checkText(kind, "the kind", KIND_BYTES, action);
}

/** A name of an entry, or NAME_INVALID. */
export function checkName(name: unknown, action: string): string {
  return checkText(name, "the name", NAME_BYTES, action);
}

/** A label, or NAME_INVALID. */
export function checkLabel(label: unknown, action: string): string {
  return checkText(label, "the label", LABEL_BYTES, action);
}

/** The owner of a pin, or NAME_INVALID. */
export function checkOwner(owner: unknown, action: string): string {
  return checkText(owner, "the owner", OWNER_BYTES, action);
}

/** A path of a file to store, or NAME_INVALID, LIMIT. */
export function checkPath(path: unknown, action: string): string {
  checkRelativePath(path as string, action);
  const length = encoder.encode(path as string).length;
  if (length > PATH_BYTES) failLimit(`Cannot ${action}: a path is longer than ${PATH_BYTES} bytes`, { length, limit: PATH_BYTES });
  return path as string;
}

/** A whole number from `least` on, or INVALID_ARGUMENT. */
export function checkWhole(value: unknown, field: string, least: number, action: string): number {
  if (typeof value !== "number") failType(`Cannot ${action}: ${field} is not a number`, { field });
  if (!Number.isSafeInteger(value) || value < least) {
    failRange(`Cannot ${action}: ${field} is not a whole number from ${least} on`, { field, value });
  }
  return value;
}

/** How much is done at once: a whole number from 1 to 1024, or INVALID_ARGUMENT. */
export function checkParallel(value: unknown, action: string): number {
  if (checkWhole(value, "parallel", 1, action) > PARALLEL_MOST) {
    failRange(`Cannot ${action}: parallel is above ${PARALLEL_MOST}`, { field: "parallel", value, limit: PARALLEL_MOST });
  }
  return value as number;
}

/** A function or nothing, or INVALID_ARGUMENT. */
export function checkFunction<F>(value: F | undefined, field: string, action: string): F | undefined {
  if (value !== undefined && typeof value !== "function") failType(`Cannot ${action}: ${field} is not a function`, { field });
  return value;
}

/** A read-write transaction, or INVALID_ARGUMENT. */
export function checkTransaction(txn: Transaction, action: string): Transaction {
  return readArgument(action, "the transaction", () => {
    if (typeof txn?.put !== "function" || typeof txn.get !== "function" || typeof txn.savepoint !== "function") {
      failType(`Cannot ${action}: no read-write transaction was given`, { field: "txn" });
    }
    return txn;
  });
}

/** Throws NOT_FOUND for a version. */
export function failVersion(action: string, catalog: string, version: number): never {
  fail("NOT_FOUND", `Cannot ${action}: there is no version ${version}`, { detail: { catalog, version } });
}
