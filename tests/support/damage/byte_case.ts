// One byte of a file is changed; what must come of it follows from where it lies.
//
//   meta slot          absorbed; opened for writing, repaired and reported, and the next opening finds nothing to repair
//   journal, live      absorbed; the block that was rebuilt is reported
//   tree page, run     named: CORRUPT_PAGE with the page and the reason, at opening or at reading; every other row is right
//   bitmap             named when the file is opened for writing; opened for reading, everything is right and the check names it
//   not in use         everything is right and nothing is reported
import { REASON_CRC } from "../../../assembly/format.ts";
import { reasonName } from "../../../src/store/status.ts";
import { Store } from "../../../src/store/store.ts";
import { testEnvironment } from "../environment.ts";
import { isManifestError } from "../../../src/errors.ts";
import { BUDGET, caseOptions, checkedPages, closeQuietly, look, type Mode, type Result } from "./case.ts";
import { type Expected, expectedOf } from "./expected.ts";
import { FlatFile, FlatStorage } from "./flat_storage.ts";
import { Footprint } from "./footprint.ts";
import { Interrogation, Wrong } from "./interrogate.ts";
import { type Region, regionsOf } from "./regions.ts";

const CRC = reasonName(REASON_CRC);

/** A file under test. */
export class Subject {
  readonly file: FlatFile;
  readonly expected: Expected;
  readonly regions: readonly Region[];

  constructor(bytes: Uint8Array) {
    this.file = new FlatFile(bytes);
    this.expected = expectedOf(bytes);
    this.regions = regionsOf(this.expected);
  }

  /** Pages of a region's run, or its page. */
  damagedPages(region: Region): ReadonlySet<number> {
    if (region.kind !== "tree" && region.kind !== "run" && region.kind !== "bitmap") return NONE;
    return new Set([region.page]);
  }
}

const NONE: ReadonlySet<number> = new Set();

/** Patterns of the gate: a bit, all bits gone or set, a random addition. */
export const PATTERNS = ["bit", "blank", "add"] as const;
export type Pattern = (typeof PATTERNS)[number];

function scramble(value: number): number {
  let x = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** The value that a pattern gives a byte: never the one that is there. */
export function patternValue(pattern: Pattern, at: number, value: number, seed: number): number {
  const random = scramble(at * 3 + 1 + seed * 0x9e3779b9);
  if (pattern === "bit") return value ^ (1 << (random & 7));
  if (pattern === "add") return (value + 1 + random % 255) & 0xff;
  const blank = (random & 1) === 0 ? 0 : 0xff;
  return value === blank ? blank ^ 0xff : blank;
}

/** How thoroughly a case is looked at beyond reading everything. */
export interface Depth {
  /** The whole-file check is run too. */
  readonly check: boolean;
  /** Opened for writing: closed, opened again and read again. */
  readonly again: boolean;
}

/** Makes a case; returns the outcome's name. Throws `Wrong`. The file is left as it was before. */
export async function byteCase(subject: Subject, at: number, value: number, mode: Mode, depth: Depth): Promise<string> {
  const region = subject.regions[Math.floor(at / 4096)]!;
  subject.file.damageByte(at, value);
  let result: Result | undefined;
  try {
    result = await look(subject.file, subject.expected, mode, subject.damagedPages(region));
    const outcome = await judge(subject, region, result, mode, depth);
    if (mode === "write" && depth.again) await lookAgain(subject, region, result, at);
    return outcome;
  } finally {
    if (result?.store !== undefined && depth.again) await closeQuietly(result.store);
    subject.file.reset();
  }
}

/**
 * Damage that appears under an open handle: opened once on a file with one damaged byte of a page, then every other byte of it in turn. The page is never taken in, so each case reads it afresh; one that is not in use is
 * never asked for.
 */
export class OpenHandle {
  readonly #subject: Subject;
  readonly #region: Region;
  readonly #store: Store;

  private constructor(subject: Subject, region: Region, store: Store) {
    this.#subject = subject;
    this.#region = region;
    this.#store = store;
  }

  /** Opens for reading; undefined when opening needs the page. */
  static async open(subject: Subject, region: Region, at: number, value: number): Promise<OpenHandle | undefined> {
    const { file } = subject;
    if (region.kind !== "tree" && region.kind !== "run" && region.kind !== "unused") return undefined;
    file.damageByte(at, value);
    try {
      return new OpenHandle(subject, region, await Store.open(new FlatStorage(file, true), caseOptions(testEnvironment(1), "read")));
    } catch (error) {
      if (!isManifestError(error)) throw error;
      return undefined;
    } finally {
      file.reset();
    }
  }

  /** Makes a case. */
  run(at: number, value: number): string {
    const { file, expected } = this.#subject;
    file.damageByte(at, value);
    file.budget = BUDGET;
    using footprint = new Footprint();
    const { first } = new Interrogation(this.#store, expected, this.#subject.damagedPages(this.#region)).run();
    footprint.check("read");
    file.reset();
    if (this.#region.kind === "unused") {
      if (first !== undefined) throw new Wrong(`a byte that nobody uses is damaged: ${JSON.stringify(first)}`);
      return "unused, handle open";
    }
    const node = expected.image.nodes.get(this.#region.page)!;
    if (first === undefined) throw new Wrong(`page ${this.#region.page} is damaged and nobody has noticed`);
    if (first.code !== "CORRUPT_PAGE" || first.page !== node.page || !sameReason(first.reason)) {
      throw new Wrong(`page ${node.page} is damaged: ${JSON.stringify(first)}`);
    }
    return "named on reading, handle open";
  }

  /** The damage is gone: everything is right, nothing damaged was kept. */
  async end(): Promise<void> {
    this.#subject.file.reset();
    const { first } = new Interrogation(this.#store, this.#subject.expected).run();
    if (first !== undefined) throw new Wrong(`the damage is gone, and ${JSON.stringify(first)}`);
    await this.#store.close();
  }
}

async function judge(subject: Subject, region: Region, { at, named, recovery, store }: Result, mode: Mode, depth: Depth): Promise<string> {
  const all = (): string => JSON.stringify({ at, named, recovery });
  if (region.kind === "meta") {
    if (at !== "equal") throw new Wrong(`one copy of a meta generation is damaged: ${all()}`);
    const repaired = mode === "write" ? [region.slot] : [];
    if (`${recovery!.repairedSlots}` !== `${repaired}`) {
      throw new Wrong(`repaired slots are ${recovery!.repairedSlots}, expected ${repaired}`);
    }
    quiet(region, recovery!, true);
    return mode === "write" ? "absorbed, repaired" : "absorbed";
  }
  if (region.kind === "journal") {
    if (at !== "equal") throw new Wrong(`one block of a journal group is damaged: ${all()}`);
    const { group, index } = region.journal!;
    const wanted = JSON.stringify([{ group, block: index }]);
    if (JSON.stringify(recovery!.rebuilt) !== wanted) {
      throw new Wrong(`rebuilt is ${JSON.stringify(recovery!.rebuilt)}, expected ${wanted}`);
    }
    if (recovery!.cut !== undefined) throw new Wrong(`a whole group was cut: ${all()}`);
    return "absorbed, rebuilt";
  }
  if (region.kind === "unused") {
    if (at !== "equal") throw new Wrong(`a byte that nobody uses is damaged: ${all()}`);
    quiet(region, recovery!, false);
    if (depth.check && (await checkedPages(store!)).size > 0) throw new Wrong("the check finds damage where nothing is");
    return "unused";
  }
  if (named === undefined) {
    if (region.kind !== "bitmap" || mode === "write") throw new Wrong(`page ${region.page} is damaged and nobody has noticed`);
    const pages = await checkedPages(store!);
    if (pages.size !== 1 || !sameReason(pages.get(region.page))) {
      throw new Wrong(`the check names ${JSON.stringify([...pages])}, expected page ${region.page}`);
    }
    return "named by the check";
  }
  const node = subject.expected.image.nodes.get(region.page)!;
  if (named.code !== "CORRUPT_PAGE" || named.page !== node.page || !sameReason(named.reason)) {
    throw new Wrong(`page ${region.page} is damaged: ${all()}`);
  }
  if (depth.check && store !== undefined && mode === "read") {
    const pages = await checkedPages(store);
    if (!sameReason(pages.get(node.page))) throw new Wrong(`the check names ${JSON.stringify([...pages])}, expected page ${node.page}`);
  }
  return at === "open" ? "named at opening" : "named on reading";
}

function sameReason(reason: string | undefined): boolean {
  return reason === CRC;
}

/** Nothing was reported but, for a meta slot, its repair. */
function quiet(region: Region, { rebuilt, cut, repairedSlots }: NonNullable<Result["recovery"]>, repairs: boolean): void {
  if (rebuilt.length > 0 || cut !== undefined || (!repairs && repairedSlots.length > 0)) {
    throw new Wrong(`${region.label}: ${JSON.stringify({ rebuilt, cut, repairedSlots })} is reported`);
  }
}

/** What was opened for writing is closed and opened again: what was absorbed is whole now; what opening refused is as it was. */
async function lookAgain(subject: Subject, region: Region, { at, store }: Result, byte: number): Promise<void> {
  const { file, expected } = subject;
  if (store === undefined) {
    // Refused: with the byte put back, everything is there.
    file.damageByte(byte, expected.image.bytes[byte]!);
    const again = await look(file, expected, "read", NONE);
    if (again.at !== "equal") throw new Wrong(`opening refuses, and has changed the file: ${JSON.stringify(again.named)}`);
    return;
  }
  await closeQuietly(store);
  if (at !== "equal") return;
  const options = caseOptions(testEnvironment(2), "write");
  const reopened = await Store.open(new FlatStorage(file), options);
  const { clean, rebuilt, cut, repairedSlots } = reopened.recovery;
  if (!clean || rebuilt.length > 0 || cut !== undefined || repairedSlots.length > 0) {
    throw new Wrong(`${region.label}: the next opening reports ${JSON.stringify(reopened.recovery)}`);
  }
  const { first } = new Interrogation(reopened, expected).run();
  if (first !== undefined) throw new Wrong(`${region.label}: closed and opened again, ${JSON.stringify(first)}`);
  await reopened.close();
}
