// Opens an image of a crash and judges it: it opens without help, holds every acknowledged frame and none that was never handed over, and is, row by row, the state after that frame.
//
// Every image is opened for writing and compared whole with the recorded state, and what opening reports with the image. What costs more is done for a share of them: the independent reference and the deep check for
// the first image of each state and some others, a read-only opening that must not write, a second opening behind the first, crashes within the opening itself. Within an opening that repairs a half-written meta slot
// and writes over pages which that slot may name, it is crashed always.
import { META_BYTES } from "../../../assembly/format.ts";
import { isManifestError } from "../../../mod.ts";
import type { RecoveryReport } from "../../../src/store/store.ts";
import { Store, type StoreOptions } from "../../../src/store/store.ts";
import type { CallLog } from "../disk/call_log.ts";
import type { CrashImage } from "../disk/crash.ts";
import { planFates } from "../disk/fates.ts";
import type { ImageStorage } from "../disk/image_storage.ts";
import { recycling } from "../kernel_pool.ts";
import { testEnvironment } from "../environment.ts";
import { type Random, seeded } from "../random.ts";
import { dumpState, hasState } from "./dump.ts";
import type { Confirm, History } from "./history.ts";
import { checkReport, hasWholeJournal } from "./reported.ts";
import { hasHalfSlot, overwrites, slotImages, staleSlots } from "./slots.ts";

/** What is looked at beyond opening and comparing. */
export interface Looks {
  /** The reference and the deep check. */
  readonly reference: boolean;
  /** Opening for reading only. */
  readonly readOnly: boolean;
  /** Opening a second time, without and with a close in between. */
  readonly twice: boolean;
  /** Crashes within the opening, and within the openings behind those, so deep. */
  readonly nested: number;
  /** Crashes at each call of an opening at which no sync covers what it has written over meta slots, where one was half written. */
  readonly slots: number;
  /** Whether what a sync covers is whole: nothing else is left of an earlier crash. */
  readonly whole: boolean;
}

/** Nothing. */
const NONE: Looks = { reference: false, readOnly: false, twice: false, nested: 0, slots: 0, whole: false };

/** What came of an image. */
export interface Verdict {
  /** The frame that it held. */
  readonly frame: number;
  readonly report: RecoveryReport;
  /** Images of crashes within the opening that were opened, and calls at which it was crashed. */
  readonly nested: number;
  readonly nestedPoints: number;
}

/** Counts, for the report. */
export interface Tally {
  /** Openings that were crashed. */
  openings: number;
  nested: number;
  nestedPoints: number;
  /** Crashes of openings that had a half-written meta slot to repair. */
  slots: number;
  readOnly: number;
  twice: number;
  references: number;
}

/** Who knows how to open what a workload has left. */
export interface Examiner<S> {
  readonly options: StoreOptions;
  examine(storage: ImageStorage, options: StoreOptions, confirm: Confirm<S>): Promise<void>;
}

/** Frames that an image may hold. */
export interface Bounds {
  readonly least: number;
  readonly most: number;
}

/** Judges images of one history. */
export class Judge<S> {
  readonly tally: Tally = { openings: 0, nested: 0, nestedPoints: 0, slots: 0, readOnly: 0, twice: 0, references: 0 };
  readonly #examiner: Examiner<S>;
  readonly #history: History<S>;
  readonly #options: StoreOptions;
  /** Meta slots of the image that is being opened. */
  readonly #region = new Uint8Array(META_BYTES);

  constructor(examiner: Examiner<S>, history: History<S>) {
    this.#examiner = examiner;
    this.#history = history;
    this.#options = { ...examiner.options, create: true, cacheBytes: 0 };
  }

  #open(storage: ImageStorage, readOnly = false): Promise<Store> {
    const cacheBytes = readOnly ? 8 << 20 : 0; // what is replayed has to stay in memory
    return Store.open(storage, { ...this.#options, cacheBytes, create: !readOnly, readOnly, environment: testEnvironment(1) });
  }

  /** An open store is in the state after its frame, and that lies within bounds. */
  #compare(store: Store, { least, most }: Bounds): number {
    const { newest, kernel } = store;
    const { frame } = newest;
    if (frame < least) throw new Error(`it holds ${frame} commits, and ${least} were acknowledged`);
    if (frame > most) throw new Error(`it holds ${frame} commits, and ${most} were handed over`);
    const dump = this.#history.dump(frame);
    if (dump === undefined) throw new Error(`the state after ${frame} commits was not recorded`);
    if (!hasState(kernel, newest, dump)) {
      throw new Error(`it is not the state after ${frame} commits: ${difference(dumpState(kernel, newest), dump)}`);
    }
    if (store.durableFrame !== frame) throw new Error(`it says that ${store.durableFrame} commits are durable, and holds ${frame}`);
    return frame;
  }

  /** Judges an image; throws with what is wrong. */
  judge(image: CrashImage, bounds: Bounds, looks: Looks): Promise<Verdict> {
    return recycling(() => this.#judge(image, bounds, looks));
  }

  async #judge(image: CrashImage, bounds: Bounds, looks: Looks): Promise<Verdict> {
    if (looks.readOnly) await this.#readOnly(image, bounds);
    const storage = image.open();
    const half = hasHalfSlot(image.outcomes);
    storage.recording = looks.nested > 0 || (half && looks.slots > 0);
    this.#region.fill(0, storage.read(0, this.#region));
    const store = await this.#open(storage);
    const frame = this.#compare(store, bounds);
    const { recovery: report } = store;
    checkReport(report, staleSlots(this.#region, looks.whole && !half), looks.whole && hasWholeJournal(image.outcomes));
    const { calls } = storage.log;
    storage.close();
    const exactly = { least: frame, most: frame };
    if (looks.twice) await this.#again(image, exactly);
    if (looks.reference) await this.confirm(image, frame);
    // Nobody has seen what an opening that did not come to its end had found. It may have made a half-written slot whole, of a generation with more in it: that has its pages still, and nothing may be lost.
    const within = { least: frame, most: bounds.most };
    if (half && looks.slots > 0) await this.#crashRepair(image, storage.log, report, within, looks.slots);
    let nested = 0, nestedPoints = 0;
    if (looks.nested > 0) {
      this.tally.openings++;
      const random = seeded(image.hash | 0);
      for (let at = 1; at <= calls.length; at++) {
        nestedPoints++;
        const deeper = nestedImage(image, storage.log, at, random);
        if (deeper === undefined) continue;
        nested++;
        const inner = nested % 3 === 0 ? looks.nested - 1 : 0;
        await this.#judgeWithin(deeper, at, within, { ...NONE, nested: inner });
      }
      this.tally.nested += nested;
      this.tally.nestedPoints += nestedPoints;
    }
    return { frame, report, nested, nestedPoints };
  }

  /** Judges what a crash behind a call of an opening has left. */
  async #judgeWithin(deeper: CrashImage, at: number, within: Bounds, looks: Looks): Promise<void> {
    try {
      await this.judge(deeper, within, looks);
    } catch (error) {
      throw new Error(`crashed again after call ${at} of its opening: ${text(error)}`, { cause: error });
    }
  }

  /**
   * Crashes an opening wherever a meta slot that was half written might come back, if that is of a generation whose pages the opening may have written over: a first copy, which the second one has put back.
   */
  async #crashRepair(image: CrashImage, log: CallLog, { repairedSlots }: RecoveryReport, within: Bounds, most: number): Promise<void> {
    if (!repairedSlots.some((slot) => slot < 2) || !overwrites(image, log)) return;
    const random = seeded(~image.hash | 0);
    for (let at = 1; at <= log.calls.length; at++) {
      for (const deeper of slotImages(image, log, at, most, random)) {
        await this.#judgeWithin(deeper, at, within, NONE);
        this.tally.slots++;
      }
    }
  }

  /** Opened for reading only, nothing is written and the state is the same. An interrupted creation cannot be read. */
  async #readOnly(image: CrashImage, bounds: Bounds): Promise<void> {
    const before = image.bytes();
    const storage = image.open({ readOnly: true });
    try {
      this.#compare(await this.#open(storage, true), bounds);
    } catch (error) {
      if (!isManifestError(error) || error.code !== "EMPTY_FILE" || bounds.least > 0) throw error;
    } finally {
      storage.close();
    }
    const after = image.bytes();
    if (storage.calls > 0 || !equal(before, after)) {
      throw new Error("opened for reading only, it was written");
    }
    this.tally.readOnly++;
  }

  /** What the first opening has left is opened again, as behind a crash at its end, then closed in order, then opened a third time. */
  async #again(image: CrashImage, exactly: Bounds): Promise<void> {
    const second = await this.#open(image.open());
    this.#compare(second, exactly);
    await second.close();
    const storage = image.open();
    const third = await this.#open(storage);
    this.#compare(third, exactly);
    if (!third.recovery.clean) throw new Error("closed in order and opened again, it says that it was not");
    storage.close();
    this.tally.twice++;
  }

  /** Opens an image as the workload does, and lets the reference and the deep check look at it. */
  confirm(image: CrashImage, frame: number): Promise<void> {
    return recycling(() => this.#confirm(image, frame));
  }

  async #confirm(image: CrashImage, frame: number): Promise<void> {
    const confirm = this.#history.confirm(frame);
    image.again();
    try {
      await this.#examiner.examine(image.open(), this.#options, confirm ?? (() => {}));
    } catch (error) {
      throw new Error(`it is not what the reference holds after ${frame} commits: ${text(error)}`, { cause: error });
    }
    if (confirm !== undefined) this.tally.references++;
  }

  /**
   * Judges an image of a device that has lied about syncs: it may hold any state of before, or be found damaged, when it is opened or when it is read; never anything else. Of a creation that nothing was
   * acknowledged by, or that it has lied about too, there may be too little left to be known as ours.
   */
  judgeLie(image: CrashImage, bounds: Bounds & { readonly created: boolean }): Promise<"newest" | "older" | "damaged"> {
    return recycling(() => this.#judgeLie(image, bounds));
  }

  async #judgeLie(
    image: CrashImage,
    { least: acknowledged, most, created }: Bounds & { readonly created: boolean },
  ): Promise<"newest" | "older" | "damaged"> {
    const storage = image.open();
    try {
      const store = await this.#open(storage);
      const frame = this.#compare(store, { least: 0, most });
      return frame === most ? "newest" : "older";
    } catch (error) {
      if (isManifestError(error) && error.kind === "data" && (error.code !== "NOT_A_MANIFEST" || acknowledged === 0 || !created)) {
        return "damaged";
      }
      throw error;
    } finally {
      storage.close();
    }
  }
}

/** An image for each change that an opening makes: all it has written by then, or, by turns, some part of what no sync covers. */
function nestedImage(image: CrashImage, log: CallLog, at: number, random: Random): CrashImage | undefined {
  if (log.calls[at - 1]!.kind === "sync" && at < log.calls.length) return undefined; // everything kept, as before the sync
  const { changes, build } = image.crash(log, at);
  let left = changes.length === 0 || at % 2 === 0 ? 0 : 1 + random.int(16);
  for (const fates of planFates(changes, { sector: 512, garbage: true }, random)) if (left-- <= 0) return build(0, fates);
  return undefined;
}

function equal(a: Uint8Array<ArrayBuffer>, b: Uint8Array<ArrayBuffer>): boolean {
  if (a.length !== b.length) return false;
  const words = a.length >>> 2;
  const x = new Uint32Array(a.buffer, 0, words), y = new Uint32Array(b.buffer, 0, words);
  for (let i = 0; i < words; i++) if (x[i] !== y[i]) return false;
  for (let i = words * 4; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** What an error says. */
export function text(error: unknown): string {
  if (isManifestError(error)) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

function difference(found: Uint32Array, wanted: Uint32Array): string {
  const at = found.findIndex((word, i) => word !== wanted[i]);
  return `${found.length} words, expected ${wanted.length}; word ${at} is the first that differs`;
}
