// Whole blocks are replaced: by zeros, by ones, by another block of the file, by what the place once held, by a block of another file. What must come of it follows from what the blocks were and what lies there now.
//
// A page is judged in the order of docs/FORMAT.md: checksum, file, place, age. Which of them is the first that fails is worked out here from the bytes, by other code than the kernel's.
import {
  BLOCK_SIZE,
  PAGE_CRC,
  PAGE_FILE_ID,
  PAGE_NUMBER,
  REASON_CRC,
  REASON_FOREIGN,
  REASON_MISPLACED,
  REASON_STALE,
} from "../../../assembly/format.ts";
import { reasonName } from "../../../src/store/status.ts";
import type { Subject } from "./byte_case.ts";
import { checkedPages, closeQuietly, look, type Mode, type Result } from "./case.ts";
import { crc32c } from "./crc.ts";
import { Wrong } from "./interrogate.ts";
import type { Region } from "./regions.ts";

/** How every meta slot begins. */
const MAGIC = Uint8Array.of(0x57, 0x41, 0x59, 0x42, 0x49, 0x4c, 0x4c, 0x1a);

/** What lies in which block instead. */
export type Blocks = ReadonlyMap<number, Uint8Array>;

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

/** Why the page that begins at `page` is refused, from its bytes and those of the undamaged file; undefined when it is what it was. */
function reasonOf(subject: Subject, page: number): string | undefined {
  const { image } = subject.expected;
  const node = image.nodes.get(page)!;
  const [from, to] = [node.page * image.pageSize, (node.page + node.pages) * image.pageSize];
  const bytes = subject.file.bytes.subarray(from, to);
  if (equal(bytes, image.bytes.subarray(from, to))) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (crc32c(bytes.subarray(4)) !== view.getUint32(PAGE_CRC, true)) return reasonName(REASON_CRC);
  const fileId = image.state.fileId.subarray(0, 8);
  if (!equal(bytes.subarray(PAGE_FILE_ID, PAGE_FILE_ID + 8), fileId)) return reasonName(REASON_FOREIGN);
  if (view.getUint32(PAGE_NUMBER, true) !== node.page) return reasonName(REASON_MISPLACED);
  return reasonName(REASON_STALE);
}

/** What a damaged file must come to. */
interface Wanted {
  /** Opening must fail with this code. */
  readonly refused: string | undefined;
  /** Damaged pages and the reasons for which they are refused. */
  readonly pages: ReadonlyMap<number, string>;
  /** Meta slots to be repaired. */
  readonly slots: readonly number[];
  /** Journal blocks to be rebuilt, as "group/index". */
  readonly rebuilt: readonly string[];
}

function slotIsWhole(subject: Subject, slot: number): boolean {
  const at = slot * BLOCK_SIZE;
  return equal(subject.file.bytes.subarray(at, at + BLOCK_SIZE), subject.expected.image.bytes.subarray(at, at + BLOCK_SIZE));
}

function wantedOf(subject: Subject, blocks: readonly Region[]): Wanted {
  const { image } = subject.expected;
  const pages = new Map<number, string>();
  const slots: number[] = [];
  const torn = new Map<number, Region[]>();
  for (const region of blocks) {
    const at = region.block * BLOCK_SIZE;
    if (equal(subject.file.bytes.subarray(at, at + BLOCK_SIZE), image.bytes.subarray(at, at + BLOCK_SIZE))) continue;
    if (region.kind === "meta") slots.push(region.slot);
    else if (region.kind === "journal") torn.set(region.journal!.group, [...torn.get(region.journal!.group) ?? [], region]);
    else if (region.kind !== "unused") {
      const reason = reasonOf(subject, region.page);
      if (reason !== undefined) pages.set(image.nodes.get(region.page)!.page, reason);
    }
  }
  const lost = [image.newest, image.older].some((pair) => !pair.some((slot) => slotIsWhole(subject, slot)));
  const rebuilt: string[] = [];
  // Without a trace of one in any slot it is not recognised as one of ours.
  const ours = [0, 1, 2, 3].some((slot) => equal(subject.file.bytes.subarray(slot * BLOCK_SIZE, slot * BLOCK_SIZE + 8), MAGIC));
  let refused = !ours ? "NOT_A_MANIFEST" : lost ? "CORRUPT_HEADER" : undefined;
  const newest = Math.max(...subject.regions.map(({ journal }) => journal?.group ?? 0));
  for (const [group, list] of torn) {
    if (list.length === 1) rebuilt.push(`${group}/${list[0]!.journal!.index}`);
    else refused ??= group === newest ? "CUT" : "CORRUPT_JOURNAL";
  }
  return { refused, pages, slots: slots.sort(), rebuilt: rebuilt.sort() };
}

/** Makes a case; returns the outcome's name, or undefined when the blocks already held that. Throws `Wrong`. The file is left as it was before. */
export async function blockCase(subject: Subject, blocks: Blocks, mode: Mode): Promise<string | undefined> {
  const { file, expected } = subject;
  let result: Result | undefined;
  try {
    for (const [block, bytes] of blocks) file.damage(block * BLOCK_SIZE, bytes.subarray(0, BLOCK_SIZE));
    if (equal(file.bytes, expected.image.bytes)) return undefined;
    const regions = [...blocks.keys()].map((block) => subject.regions[block]!);
    const wanted = wantedOf(subject, regions);
    if (wanted.refused === "CUT") return undefined; // what is left of a torn newest group: journal_case.ts
    result = await look(file, expected, mode, new Set([...wanted.pages.keys()].flatMap((page) => damagedOf(subject, page, regions))));
    return await judge(wanted, result, mode);
  } finally {
    await closeQuietly(result?.store);
    file.reset();
  }
}

/** The damaged pages of a run, or the page. */
function damagedOf(subject: Subject, page: number, regions: readonly Region[]): number[] {
  const node = subject.expected.image.nodes.get(page)!;
  return regions.map((region) => region.page).filter((each) => each >= node.page && each < node.page + node.pages);
}

async function judge(wanted: Wanted, result: Result, mode: Mode): Promise<string> {
  const { at, named, recovery, store } = result;
  const all = (): string => JSON.stringify({ at, named, recovery, wanted: { ...wanted, pages: [...wanted.pages] } });
  if (wanted.refused !== undefined) {
    if (at !== "open" || named!.code !== wanted.refused) throw new Wrong(`opening must be refused: ${all()}`);
    return `refused, ${wanted.refused}`;
  }
  if (at === "open") {
    if (named!.code !== "CORRUPT_PAGE" || wanted.pages.get(named!.page!) !== named!.reason) throw new Wrong(`opening is refused: ${all()}`);
    return `named at opening: ${named!.reason}`;
  }
  for (const [page, reason] of result.pages) {
    if (wanted.pages.get(page) !== reason) throw new Wrong(`page ${page} is refused, ${reason}: ${all()}`);
  }
  const repaired = mode === "write" ? `${wanted.slots}` : "";
  if (`${[...recovery!.repairedSlots].sort()}` !== repaired) throw new Wrong(`the repaired slots are not ${repaired}: ${all()}`);
  const rebuilt = recovery!.rebuilt.map(({ group, block }) => `${group}/${block}`).sort();
  if (`${rebuilt}` !== `${wanted.rebuilt}` || recovery!.cut !== undefined) throw new Wrong(`the journal's report is another: ${all()}`);
  if (wanted.pages.size > 0) {
    if (result.pages.size > 0) return `named on reading: ${[...result.pages.values()].sort()[0]}`;
    // Bitmaps are not read by readers: the check names them.
    const found = await checkedPages(store!);
    for (const [page, reason] of wanted.pages) {
      if (found.get(page) !== reason) throw new Wrong(`the check names ${JSON.stringify([...found])}: ${all()}`);
    }
    return `named by the check: ${[...wanted.pages.values()][0]}`;
  }
  return wanted.slots.length > 0
    ? (mode === "write" ? "absorbed, repaired" : "absorbed")
    : wanted.rebuilt.length > 0
    ? "absorbed, rebuilt"
    : "unused";
}
