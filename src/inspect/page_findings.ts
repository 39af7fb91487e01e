// Findings about pages: from what the kernel's walk has kept to what a user reads.
import {
  CTRL_CHECK_FINDINGS,
  CTRL_CHECK_KEPT,
  FINDING_ACTUAL,
  FINDING_EXPECTED,
  FINDING_PAGE,
  FINDING_PATH,
  FINDING_REASON,
  FINDING_SEVERITY,
  FINDING_TABLE,
  FINDING_WORDS,
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
  REASON_OVERLAP,
  REASON_STALE,
  REASON_TYPE,
  REASON_UNMARKED,
  REASON_UNREADABLE,
  SEVERITY_ERROR,
} from "../../assembly/format.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Finding } from "./finding.ts";

/** Reasons: a stable word, and what it says of "page n". */
const REASONS: Readonly<Record<number, readonly [word: string, text: string]>> = {
  [REASON_CRC]: ["crc", "does not have the checksum in its header"],
  [REASON_STALE]: ["stale", "is whole, but of another time than its pointer says"],
  [REASON_MISPLACED]: ["misplaced", "belongs to another place"],
  [REASON_TYPE]: ["type", "is of another kind or level than its place asks for"],
  [REASON_ORDER]: ["order", "has keys out of order"],
  [REASON_BOUNDS]: ["bounds", "names something outside itself or the file"],
  [REASON_CYCLE]: ["cycle", "is its own ancestor"],
  [REASON_DEPTH]: ["depth", "has an impossible level"],
  [REASON_DUPLICATE]: ["duplicate", "is reached twice"],
  [REASON_FOREIGN]: ["foreign_file", "belongs to another file"],
  [REASON_LEAK]: ["leak", "is in use and reached by nothing"],
  [REASON_COUNT]: ["count", "does not hold as many as its parent says"],
  [REASON_UNREADABLE]: ["unreadable", "cannot be read"],
  [REASON_UNMARKED]: ["unmarked", "is reached and not marked as in use"],
  [REASON_OVERLAP]: ["overlap", "has cells that share bytes"],
};

/** The stable word for a reason. */
export function reasonWord(reason: number): string {
  return REASONS[reason]?.[0] ?? `reason_${reason}`;
}

const SALVAGE = "Keep a copy of the file, then salvage it into a new one.";

/** Takes findings from a kernel as its walk makes them. */
export class PageFindings {
  /** Findings that are damage, kept or not. */
  readonly damaged: Set<number> = new Set();
  readonly #kernel: Kernel;
  readonly #pageSize: number;
  readonly #nameOf: (table: number) => string;
  readonly #why: (page: number) => "io" | "end" | undefined;
  /** Findings taken of this walk. */
  errors = 0;
  warnings = 0;
  #taken = 0;

  /** `why` tells whether a page that could not be read lies behind the end of the file. */
  constructor(
    kernel: Kernel,
    pageSize: number,
    nameOf: (table: number) => string,
    why: (page: number) => "io" | "end" | undefined,
  ) {
    this.#kernel = kernel;
    this.#pageSize = pageSize;
    this.#nameOf = nameOf;
    this.#why = why;
  }

  /** Forgets that any were taken: another walk begins. */
  restart(): void {
    this.#taken = 0;
    this.errors = 0;
    this.warnings = 0;
  }

  /** The findings since the last call. */
  take(): Finding[] {
    const kernel = this.#kernel;
    kernel.exports.checkFindings();
    const kept = kernel.word(CTRL_CHECK_KEPT);
    const found: Finding[] = [];
    const first = kernel.word(CTRL_CHECK_FINDINGS) >>> 2;
    for (; this.#taken < kept; this.#taken++) {
      const at = first + this.#taken * FINDING_WORDS;
      found.push(this.#finding(kernel.u32.slice(at, at + FINDING_WORDS)));
    }
    return found;
  }

  #finding(words: Uint32Array): Finding {
    const page = words[FINDING_PAGE]!;
    const table = words[FINDING_TABLE]!;
    const reason = words[FINDING_REASON]!;
    const path = [...words.subarray(FINDING_PATH + 1, FINDING_PATH + 1 + words[FINDING_PATH]!)];
    const end = reason === REASON_UNREADABLE && this.#why(page) === "end";
    const [word, text] = end ? ["beyond_end", "lies behind the end of the file"] : REASONS[reason] ?? [reasonWord(reason), "is damaged"];
    const place = {
      page,
      offset: page * this.#pageSize,
      ...path.length > 0 ? { path } : {},
      ...table === 0 ? {} : { table: this.#nameOf(table) },
      expected: words[FINDING_EXPECTED]!,
      actual: words[FINDING_ACTUAL]!,
    };
    if (words[FINDING_SEVERITY] !== SEVERITY_ERROR) {
      this.warnings++;
      const message = `${place.actual} pages from page ${page} on are in use and reached by nothing.`;
      const advice = "Nothing is lost but space: salvage into a new file gives it back.";
      return { severity: "warning", code: "PAGES_LEAKED", reason: word, message, advice, ...place };
    }
    this.errors++;
    this.damaged.add(page);
    const code = reason === REASON_UNREADABLE && !end ? "IO_READ" : "CORRUPT_PAGE";
    const where = table === 0 ? "" : ` of table ${place.table}`;
    return { severity: "error", code, reason: word, message: `Page ${page}${where} ${text}.`, advice: SALVAGE, ...place };
  }
}
