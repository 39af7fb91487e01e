// Meta slots as they are: four slots, two generations, and which state follows. Works when nothing else does.
import { BLOCK_SIZE, META_BYTES, META_MIN_READER, META_SLOTS } from "../../assembly/format.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { isInterruptedCreation } from "../store/interrupted_creation.ts";
import { fileOfMost, judgeSlot, type Meta, slotChecksum, slotOf } from "../store/meta.ts";
import { impossible, unknownFeatures } from "../store/meta_limits.ts";
import { FRESH_LENGTHS } from "../store/opening.ts";
import type { Finding, Findings } from "./finding.ts";
import type { Source } from "./source.ts";

/** A meta slot's name: its generation's pair, and which copy it is. */
export type SlotName = "A1" | "B1" | "A2" | "B2";

const SLOT_NAMES: readonly SlotName[] = ["A1", "B1", "A2", "B2"];

/**
 * Why a slot does not count: all zero, without magic, damaged, of a newer version, of another place, of a generation of the other pair, of another file, with impossible numbers, with features that are not
 * known, behind the end of the file, or not readable.
 */
export type SlotReason =
  | "blank"
  | "magic"
  | "crc"
  | "too_new"
  | "too_old"
  | "misplaced"
  | "parity"
  | "foreign_file"
  | "bounds"
  | "unknown_feature"
  | "beyond_end"
  | "unreadable";

/** One meta slot. */
export interface SlotSummary {
  /** "A1", "B1", "A2" or "B2". */
  readonly name: SlotName;
  /** Byte offset. */
  readonly offset: number;
  /** Whether it counts. */
  readonly readable: boolean;
  /** Why it does not. */
  readonly reason?: SlotReason;
  /** Meta generation that it names. */
  readonly generation?: number;
  /** Writer epoch. */
  readonly epoch?: number;
}

/** One of the two meta generations. */
export interface GenerationSummary {
  /** "A" (even generations) or "B" (odd ones). */
  readonly pair: "A" | "B";
  /** Whether a copy counts. */
  readonly readable: boolean;
  /** Whether it is the newest one that is readable. */
  readonly newest: boolean;
  /** Its two copies. */
  readonly copies: readonly [SlotSummary, SlotSummary];
  /** Its number. */
  readonly generation?: number;
  /** Writer epoch. */
  readonly epoch?: number;
  /** Whether it was left by an orderly close. */
  readonly closed?: boolean;
  /** Last change in its tree. */
  readonly sequence?: number;
  /** Last frame in its tree. */
  readonly frame?: number;
  /** Pages of its state. */
  readonly pages?: number;
  /** First journal group behind it. */
  readonly journalGroup?: number;
  /** Newest commit time in its tree, milliseconds since 1970. */
  readonly committedAt?: number;
}

/** What the first 16 KiB say. */
export interface Header {
  /** The four slots, in file order. */
  readonly slots: readonly SlotSummary[];
  /** The generation of each pair. */
  readonly generations: readonly [GenerationSummary, GenerationSummary];
  /** What the slots hold, whether they count or not. */
  readonly contents: readonly (Meta | undefined)[];
  /** Contents of the generations that are readable: pair A, pair B. */
  readonly metas: readonly [Meta | undefined, Meta | undefined];
  /** The newest one that is readable. */
  readonly newest: Meta | undefined;
  /** The other one, when it is the one before. */
  readonly older: Meta | undefined;
  /** What is wrong. */
  readonly findings: readonly Finding[];
}

/** Looks again this often before it believes what may be a writer between two writes. */
const LOOKS = 8;

/** Reads the header; beside a writer until it stands still. */
export async function readHeader(source: Source, kernel: Kernel, pause: () => Promise<void>): Promise<Header> {
  let header = lookAtHeader(source, kernel);
  for (let look = 1; look < LOOKS && header.findings.some(({ severity }) => severity !== "info"); look++) {
    await pause();
    header = lookAtHeader(source, kernel);
  }
  return header;
}

/** Adds what is wrong with a header to the findings. */
export function reportHeader(header: Header, findings: Findings): void {
  for (const finding of header.findings) findings.add(finding);
}

/** Reads the header as it is now. */
export function lookAtHeader(source: Source, kernel: Kernel): Header {
  const size = source.size();
  const region = new Uint8Array(META_BYTES);
  const unreadable = new Set<number>();
  if (!source.take(0, region)) {
    // Slot by slot: one of them may be readable.
    for (let slot = 0; slot < META_SLOTS; slot++) if (!source.take(slot * BLOCK_SIZE, slotOf(region, slot))) unreadable.add(slot);
  }
  const checksum = slotChecksum(kernel);
  const judged = [0, 1, 2, 3].map((slot) => judgeSlot(slotOf(region, slot), slot, checksum));
  const file = fileOfMost(judged.map(({ meta, fault }) => fault === undefined ? meta : undefined));
  const counts: (Meta | undefined)[] = [];
  const slots = judged.map(({ meta, fault }, slot): SlotSummary => {
    const reason = unreadable.has(slot) ? "unreadable" : size <= slot * BLOCK_SIZE ? "beyond_end" : fault ?? reasonAgainst(meta!, file);
    counts.push(reason === undefined ? meta : undefined);
    const place = { name: SLOT_NAMES[slot]!, offset: slot * BLOCK_SIZE };
    if (meta === undefined) return { ...place, readable: false, reason };
    const { generation, epoch } = meta;
    return { ...place, readable: reason === undefined, ...reason === undefined ? {} : { reason }, generation, epoch };
  });
  const interrupted = size > 0 && isInterrupted(source, size, checksum);
  const metas = interrupted ? [undefined, undefined] as const : [newer(counts[0], counts[2]), newer(counts[1], counts[3])] as const;
  const newest = newer(metas[0], metas[1]);
  const other = newest === metas[0] ? metas[1] : metas[0];
  const older = newest !== undefined && other?.generation === newest.generation - 1 ? other : undefined;
  const generations = [0, 1].map((pair) => generationOf(pair, slots, metas[pair], newest)) as [GenerationSummary, GenerationSummary];
  const findings = interrupted ? [INTERRUPTED] : findingsOf(size, slots, counts, judged.map(({ meta }) => meta), metas, newest);
  return { slots, generations, contents: judged.map(({ meta }) => meta), metas, newest, older, findings };
}

function newer(a: Meta | undefined, b: Meta | undefined): Meta | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.generation === b.generation) return b.epoch > a.epoch ? b : a;
  return b.generation > a.generation ? b : a;
}

/** Why a slot that is whole does not count. */
function reasonAgainst(meta: Meta, file: string | undefined): SlotReason | undefined {
  if (meta.fileId !== file) return "foreign_file";
  if (unknownFeatures(meta, false) !== undefined) return "unknown_feature";
  return impossible(meta) === undefined ? undefined : "bounds";
}

function generationOf(pair: number, slots: readonly SlotSummary[], meta: Meta | undefined, newest: Meta | undefined): GenerationSummary {
  const copies = [slots[pair]!, slots[pair + 2]!] as const;
  const name = pair === 0 ? "A" : "B";
  if (meta === undefined) return { pair: name, readable: false, newest: false, copies };
  return {
    pair: name,
    readable: true,
    newest: meta === newest,
    copies,
    generation: meta.generation,
    epoch: meta.epoch,
    closed: meta.clean,
    sequence: meta.sequence,
    frame: meta.frame,
    pages: meta.pageCount,
    journalGroup: meta.group,
    committedAt: meta.committedAt,
  };
}

const REPAIR = "Open the file for writing: the copy is written again.";
const SALVAGE = "Keep a copy of the file, then salvage it into a new one.";

const INTERRUPTED: Finding = {
  severity: "error",
  code: "EMPTY_FILE",
  reason: "creation",
  message: "The creation of the file was interrupted.",
  advice: "Open it with `create`: it is made again.",
};

function findingsOf(
  size: number,
  slots: readonly SlotSummary[],
  counts: readonly (Meta | undefined)[],
  contents: readonly (Meta | undefined)[],
  metas: readonly [Meta | undefined, Meta | undefined],
  newest: Meta | undefined,
): Finding[] {
  const found: Finding[] = [];
  const error = (code: Finding["code"], reason: string, message: string, advice: string, rest: Partial<Finding> = {}): void => {
    found.push({ severity: "error", code, reason, message, advice, ...rest });
  };
  if (size === 0) {
    error("EMPTY_FILE", "empty", "The file is empty.", "Restore it, or open it with `create` if it is to be new.");
    return found;
  }
  const tooNew = slots.findIndex(({ reason }) => reason === "too_new");
  if (tooNew >= 0 && newest === undefined) {
    const view = new DataView(contents[tooNew]!.bytes.buffer);
    const needed = view.getUint16(META_MIN_READER, true);
    error("FORMAT_TOO_NEW", "format", `The file needs format version ${needed}.`, "Use a newer version of Waybill.", { expected: needed });
    return found;
  }
  if (newest === undefined && slots.some(({ reason }) => reason === "too_old")) {
    error("FORMAT_TOO_OLD", "format", "The file has a format version that is no longer read.", "Use the version of Waybill that wrote it.");
    return found;
  }
  if (newest === undefined && slots.some(({ reason }) => reason === "unknown_feature")) {
    error("UNKNOWN_FEATURE", "feature", "The file uses a feature that this version does not know.", "Use a newer version of Waybill.");
    return found;
  }
  if (newest === undefined && slots.every(({ reason }) => reason === "blank" || reason === "magic" || reason === "beyond_end")) {
    error("NOT_A_MANIFEST", "magic", "Nothing in the file says that it is a manifest.", "Check the path.");
    return found;
  }
  if (size < META_BYTES) {
    error("TRUNCATED", "length", "The file ends inside its meta slots.", SALVAGE, { expected: META_BYTES, actual: size });
  }
  for (const pair of [0, 1]) {
    const meta = metas[pair];
    if (meta === undefined) {
      const reasons = [slots[pair]!, slots[pair + 2]!].map(({ name, reason }) => `${name} ${reason}`).join(", ");
      error(
        "CORRUPT_HEADER",
        slots[pair]!.reason!,
        `No copy of meta generation ${pair === 0 ? "A" : "B"} is readable: ${reasons}.`,
        SALVAGE,
        {
          offset: slots[pair]!.offset,
        },
      );
      continue;
    }
    for (const slot of [pair, pair + 2]) {
      const { name, offset, reason } = slots[slot]!;
      const copy = counts[slot];
      if (copy === undefined) {
        const message = `Meta slot ${name} is damaged; the other copy of generation ${meta.generation} stands for it.`;
        found.push({ severity: "warning", code: "META_COPY_DAMAGED", reason: reason!, message, advice: REPAIR, offset });
      } else if (copy.generation !== meta.generation || copy.epoch !== meta.epoch) {
        const message = `Meta slot ${name} holds generation ${copy.generation}, the other copy ${meta.generation}.`;
        // A writer goes on to the next generation only behind both copies: it can be between them, or have crashed there, at the newest one alone.
        const severity = meta === newest && !meta.clean ? "info" : "warning";
        found.push({ severity, code: "META_COPY_STALE", reason: "stale", message, advice: REPAIR, offset });
      }
    }
  }
  if (newest === undefined) return found;
  const needed = newest.pageCount * 2 ** newest.pageShift;
  if (size < needed) {
    error("TRUNCATED", "length", `The file is ${size} bytes long and its state ${needed}.`, SALVAGE, { expected: needed, actual: size });
  }
  if (!newest.clean) {
    found.push({
      severity: "info",
      code: "NOT_CLOSED",
      reason: "open",
      message: "The last writer has not closed the file: it has crashed, or is at work.",
      advice: "Nothing to do: opening replays the journal.",
    });
  }
  if (size > needed && newest.clean) {
    found.push({
      severity: "info",
      code: "TRAILING_BYTES",
      reason: "length",
      message: `The file goes on for ${size - needed} bytes behind its state.`,
      advice: "Nothing to do: they mean nothing, and compacting cuts them.",
      offset: needed,
      expected: needed,
      actual: size,
    });
  }
  return found;
}

function isInterrupted(source: Source, size: number, checksum: (bytes: Uint8Array) => number): boolean {
  if (size > Math.max(...FRESH_LENGTHS)) return false;
  const whole = new Uint8Array(size);
  return source.take(0, whole) && isInterruptedCreation(whole, checksum, FRESH_LENGTHS);
}
