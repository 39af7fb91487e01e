// Crashes a workload at every call of its disk and its folder, and judges the images.
import type { RecoveryReport } from "../../../examples/lsm/recovery.ts";
import type { Fate } from "../disk/change.ts";
import type { MachineImage } from "../disk/sim_machine.ts";
import { seeded } from "../random.ts";
import { judge, type Looks } from "./judge.ts";
import type { LsmSubject, Phase, Segment } from "./subject.ts";

/** How much is done. */
export interface Effort {
  /** New images at a crash point, at most. */
  readonly images: number;
  /** Of so many images one is looked at before the engine is opened, one goes on, one is opened twice, one has its opening crashed; so deep. */
  readonly beforeEvery: number;
  readonly goesOnEvery: number;
  readonly twiceEvery: number;
  readonly nestedEvery: number;
  readonly nestedDepth: number;
}

/** Where a case is. `at`: call, over all machines of the workload; `image`: its number there. */
export interface Place {
  readonly at: number;
  readonly image: number;
}

/** What is told of each crash point, each image and each failure. */
export interface Audience {
  /** An image is about to be judged. */
  judging(place: Place): void;
  /** A crash point of a phase was visited. */
  point(phase: Phase): void;
  /** An image was opened. */
  judged(phase: Phase, report: RecoveryReport, looks: Looks, nested: number, known: boolean, fates: Fates): void;
  failed(what: string, place: Place): void;
}

/** What became of changes of the manifest's file in an image. */
export interface Fates {
  readonly applied: boolean;
  readonly dropped: boolean;
  /** Cut, spoilt, or growth without data. */
  readonly torn: boolean;
}

function fatesOf({ disk: { outcomes } }: MachineImage): Fates {
  const has = (is: (fate: Fate) => boolean): boolean => outcomes.some(({ fate }) => is(fate));
  return {
    applied: has((fate) => fate === "keep"),
    dropped: has((fate) => fate === "drop"),
    torn: has((fate) => fate !== "keep" && fate !== "drop"),
  };
}

/** Images known before in a row behind which a crash point has nothing new. */
const MISSES = 32;
/** Random images need no more than so many tries for each image that is wanted. */
const TRIES = 3;

/** Of an image that has failed. */
const FAILED = -1;

/** Images that were judged, by hash: how many writes they held. */
export type Seen = Map<number, number>;

function placeSeed(seed: number, at: number): number {
  return (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(at + 1, 0x85ebca6b)) >>> 0;
}

function* places(subject: LsmSubject): Generator<{ segment: Segment; moment: number; at: number }> {
  let base = 0;
  for (const segment of subject.segments) {
    const { calls } = segment.machine;
    for (let moment = 0; moment <= calls; moment++) yield { segment, moment, at: base + moment };
    base += calls + 1;
  }
}

function imagesAt({ machine }: Segment, moment: number, seed: number, at: number): Generator<MachineImage, void, void> {
  return machine.crashes(machine.moments()[moment]!, seeded(placeSeed(seed, at)));
}

/** Crashes a subject everywhere. */
export async function explore(subject: LsmSubject, seed: number, effort: Effort, seen: Seen, audience: Audience): Promise<void> {
  let number = 0;
  for (const { segment, moment, at } of places(subject)) {
    const { history, phases } = segment;
    const bounds = history.bounds(moment);
    const phase = phases[moment - 1] ?? "opening";
    let fresh = 0, misses = 0, looked = 0;
    for (const image of imagesAt(segment, moment, seed, at)) {
      looked++;
      const place = { at, image: image.index };
      const writes = seen.get(image.hash);
      if (writes !== undefined) {
        if (writes !== FAILED && (writes < bounds.least || writes > bounds.most)) {
          audience.failed(`it holds ${writes} writes, expected ${bounds.least} to ${bounds.most}`, place);
        }
        if (++misses === MISSES || looked > effort.images * TRIES) break;
        continue;
      }
      misses = 0;
      number++;
      const looks: Looks = {
        before: number % effort.beforeEvery === 0,
        goesOn: number % effort.goesOnEvery === 0,
        twice: number % effort.twiceEvery === 0,
        nested: number % effort.nestedEvery === 0 ? effort.nestedDepth : 0,
      };
      audience.judging(place);
      const { hash } = image, fates = fatesOf(image);
      try {
        const { held, report, nested, known } = await judge(image, history, bounds, looks);
        seen.set(hash, held);
        audience.judged(phase, report, looks, nested, known, fates);
      } catch (error) {
        seen.set(hash, FAILED);
        audience.failed(error instanceof Error ? error.message : String(error), place);
      }
      if (++fresh === effort.images) break;
    }
    audience.point(phase);
  }
}

/** Judges one image with everything there is; throws as it fails. */
export async function judgeAgain(subject: LsmSubject, seed: number, wanted: Place): Promise<void> {
  for (const { segment, moment, at } of places(subject)) {
    if (at !== wanted.at) continue;
    for (const image of imagesAt(segment, moment, seed, at)) {
      if (image.index < wanted.image) continue;
      await judge(image, segment.history, segment.history.bounds(moment), { before: true, goesOn: false, twice: false, nested: 3 });
      break;
    }
    for (const image of imagesAt(segment, moment, seed, at)) {
      if (image.index < wanted.image) continue;
      await judge(image, segment.history, segment.history.bounds(moment), { before: true, goesOn: true, twice: true, nested: 0 });
      return;
    }
  }
  throw new Error(`there is no image ${wanted.image} of a crash after call ${wanted.at}`);
}
