// From the kernel's status codes to errors.
import {
  CORRUPT_JOURNAL,
  CORRUPT_PAGE,
  CORRUPT_RECORD,
  CTRL_ERROR_A,
  CTRL_ERROR_B,
  CTRL_ERROR_FIELD,
  CTRL_ERROR_OP,
  CTRL_ERROR_PAGE,
  CTRL_ERROR_REASON,
  FIELD_LENGTH,
  FIELD_NAN,
  FIELD_RANGE,
  FIELD_TYPE,
  FIELD_UTF8,
  INVALID_FIELD,
  KEY_TOO_LONG,
  OUT_OF_MEMORY,
  OUT_OF_SPACE,
  REASON_BOUNDS,
  REASON_COUNT,
  REASON_CRC,
  REASON_CYCLE,
  REASON_DEPTH,
  REASON_DUPLICATE,
  REASON_FOREIGN,
  REASON_LEAK,
  REASON_MISPLACED,
  REASON_ORDER,
  REASON_STALE,
  REASON_TYPE,
  VALUE_TOO_LONG,
} from "../../assembly/format.ts";
import { ArgumentRangeError, ArgumentTypeError, ManifestError, type ManifestErrorFields } from "../errors.ts";
import type { Kernel } from "../kernel/kernel.ts";

const REASONS: Readonly<Record<number, string>> = {
  [REASON_CRC]: "its checksum does not match",
  [REASON_STALE]: "it is an older state than its parent names",
  [REASON_MISPLACED]: "it belongs to another place",
  [REASON_TYPE]: "it is of another type or level",
  [REASON_ORDER]: "its keys are out of order",
  [REASON_BOUNDS]: "it points outside itself or the file",
  [REASON_CYCLE]: "it is its own ancestor",
  [REASON_DEPTH]: "the tree is too deep",
  [REASON_DUPLICATE]: "it is reachable twice",
  [REASON_FOREIGN]: "it belongs to another file",
  [REASON_LEAK]: "it is marked as used but nothing reaches it",
  [REASON_COUNT]: "a count does not match",
};

const FIELDS: Readonly<Record<number, string>> = {
  [FIELD_RANGE]: "is out of range",
  [FIELD_TYPE]: "has the wrong type",
  [FIELD_NAN]: "is not a number",
  [FIELD_LENGTH]: "has the wrong length",
  [FIELD_UTF8]: "is not well-formed text",
};

/** Why a page is damaged: stable names, as docs/errors.md lists them. The last two are findings of the check only. */
export const PAGE_REASONS = {
  crc: REASON_CRC,
  stale: REASON_STALE,
  misplaced: REASON_MISPLACED,
  type: REASON_TYPE,
  order: REASON_ORDER,
  bounds: REASON_BOUNDS,
  cycle: REASON_CYCLE,
  depth: REASON_DEPTH,
  duplicate: REASON_DUPLICATE,
  foreign_file: REASON_FOREIGN,
  leak: REASON_LEAK,
  count: REASON_COUNT,
} as const;

/** The name of a reason why a page is damaged. */
export type PageReason = keyof typeof PAGE_REASONS;

const NAMES: ReadonlyMap<number, PageReason> = new Map(Object.entries(PAGE_REASONS).map(([name, reason]) => [reason, name as PageReason]));

/** The stable name of a reason. */
export function reasonName(reason: number): PageReason | "unknown" {
  return NAMES.get(reason) ?? "unknown";
}

/** The reason of a damaged page in words. */
export function reasonText(reason: number): string {
  return REASONS[reason] ?? `reason ${reason}`;
}

/** The error of a page that is damaged for a reason that the host has found. */
export function pageError(page: number, reason: number, action: string): ManifestError {
  return new ManifestError("CORRUPT_PAGE", `Cannot ${action}: page ${page} is damaged, ${reasonText(reason)}`, {
    detail: { page, reason: reasonName(reason) },
  });
}

/** The error that a status other than success stands for; the control block says more. */
export function statusError(kernel: Kernel, status: number, action: string): ManifestErrorFields {
  const a = kernel.word(CTRL_ERROR_A);
  const reason = kernel.word(CTRL_ERROR_REASON);
  switch (status) {
    case CORRUPT_PAGE: {
      const page = kernel.word(CTRL_ERROR_PAGE);
      const detail = { page, reason: reasonName(reason), expected: a, actual: kernel.word(CTRL_ERROR_B) };
      return new ManifestError("CORRUPT_PAGE", `Cannot ${action}: page ${page} is damaged, ${reasonText(reason)}`, { detail });
    }
    case CORRUPT_RECORD:
      return new ManifestError("CORRUPT_RECORD", `Cannot ${action}: a stored record does not decode`, {
        detail: { field: kernel.word(CTRL_ERROR_FIELD) },
      });
    case CORRUPT_JOURNAL:
      return new ManifestError("CORRUPT_JOURNAL", `Cannot ${action}: a journal group does not parse`);
    case KEY_TOO_LONG:
      return new ArgumentRangeError(`Cannot ${action}: the key is longer than 1024 encoded bytes`, {
        detail: { operation: kernel.word(CTRL_ERROR_OP), length: a, limit: 1024 },
      }, "LIMIT");
    case VALUE_TOO_LONG:
      return new ArgumentRangeError(`Cannot ${action}: the value or transaction is too long`, {
        detail: { operation: kernel.word(CTRL_ERROR_OP), length: a },
      }, "LIMIT");
    case INVALID_FIELD: {
      const field = kernel.word(CTRL_ERROR_FIELD);
      const detail = { operation: kernel.word(CTRL_ERROR_OP), field, reason };
      const message = `Cannot ${action}: field ${field} ${FIELDS[reason] ?? "is not valid"}`;
      return reason === FIELD_RANGE || reason === FIELD_LENGTH
        ? new ArgumentRangeError(message, { detail })
        : new ArgumentTypeError(message, { detail });
    }
    case OUT_OF_MEMORY:
      return new ManifestError("UNAVAILABLE", `Cannot ${action}: the kernel's memory cannot grow`, {
        detail: { memoryBytes: kernel.memoryBytes },
      });
    case OUT_OF_SPACE:
      return new ManifestError("NO_SPACE", `Cannot ${action}: the file has no page numbers left`, { retryable: false });
    default:
      return new ManifestError("INVARIANT", `Cannot ${action}: the engine found a defect in itself`, { detail: { status, where: a } });
  }
}
