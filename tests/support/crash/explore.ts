// Crashes a workload at every call of its disk and judges the images.
//
// Images are distinct over all workloads of a process; one that comes again at a later crash point is not opened again, but what it held must satisfy what is known there. Opening a file that was created before is the
// same for all workloads that open it alike: the images of those crash points count for the first of them.
import type { RecoveryReport } from "../../../src/store/store.ts";
import type { SimDisk } from "../disk/sim_disk.ts";
import { seeded } from "../random.ts";
import type { History } from "./history.ts";
import { Judge, type Looks, type Tally, text } from "./judge.ts";
import type { Subject } from "./subject.ts";

/** How much is done. */
export interface Effort {
  /** Crash points of a disk, spread over its calls. Default: all. */
  readonly points?: number;
  /** Whether the reference looks at the first image of every state, whatever `looksEvery` says. */
  readonly everyState: boolean;
  /** New images at a crash point, at most. */
  readonly images: number;
  /** Of so many images one has its opening crashed; so deep. */
  readonly nestedEvery: number;
  readonly nestedDepth: number;
  /** Crashes at a call of an opening that repairs a half-written meta slot. */
  readonly slots: number;
  /** Of so many images one is looked at by the reference, opened for reading only, opened twice. */
  readonly looksEvery: number;
  /** Images of a lying device at each crash point, and syncs that are lost at most. */
  readonly lies: number;
  readonly lost: number;
}

/** Where a case is. */
export interface Place {
  readonly at: number;
  readonly image: number;
  /** Syncs that the device has lied about. */
  readonly lost: number;
}

/** What is told of each image and each failure. */
export interface Audience {
  /** An image is about to be judged. */
  judging?(place: Place): void;
  /** A crash point was visited, with so many images looked at. */
  point(images: number): void;
  /** An image was opened. `isNew`: it counts. */
  judged(report: RecoveryReport, isNew: boolean): void;
  lied(outcome: "newest" | "older" | "damaged"): void;
  failed(what: string, place: Place): void;
}

/** Images known before in a row behind which a crash point has nothing new. */
const MISSES = 48;
/** Random images need no more than so many tries for each image that is wanted. */
const TRIES = 3;

/** Images that were judged, by hash: the frame they held. */
export type Seen = Map<number, number>;

/** Seeds of the choices at a crash point. */
export function placeSeed(seed: number, at: number, lost: number): number {
  return (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(at + 1, 0x85ebca6b) ^ (lost << 24)) >>> 0;
}

/** Crashes a subject everywhere. `owns`: the images of its first opening count for it. */
export async function explore<S, T>(
  subject: Subject<S, T>,
  seed: number,
  effort: Effort,
  seen: Seen,
  lies: Set<number>,
  owns: boolean,
  audience: Audience,
): Promise<Tally[]> {
  const tallies: Tally[] = [];
  let base = 0;
  for (const segment of subject.segments) {
    const { disk, history, opened } = segment;
    const judge = new Judge(subject, history);
    tallies.push(judge.tally);
    const walk: Walk<S> = { segment, disk, history, judge, seed, base, effort, seen, lies, audience, confirmed: new Set(), number: 0 };
    const stride = Math.max(1, Math.ceil(disk.calls / (effort.points ?? Infinity)));
    for (let at = seed % stride; at <= disk.calls; at += stride) {
      await crashAt(walk, at, base > 0 || owns || at > opened);
      if (effort.lies > 0) await lieAt(walk, at);
    }
    base += disk.calls + 1;
  }
  return tallies;
}

type Segment = Subject<unknown, unknown>["segments"][number];

interface Walk<S> {
  readonly segment: Pick<Segment, "disk" | "opened" | "started" | "torn">;
  readonly disk: SimDisk;
  readonly history: History<S>;
  readonly judge: Judge<S>;
  readonly seed: number;
  /** Crash points of the disks before. */
  readonly base: number;
  readonly effort: Effort;
  readonly seen: Seen;
  readonly lies: Set<number>;
  readonly audience: Audience;
  /** Frames that the reference has confirmed. */
  readonly confirmed: Set<number>;
  number: number;
}

async function crashAt<S>(walk: Walk<S>, at: number, counts: boolean): Promise<void> {
  const { disk, history, judge, effort, seen, audience, confirmed } = walk;
  const bounds = history.bounds(at);
  const place = walk.base + at;
  let fresh = 0, misses = 0, looked = 0;
  for (const image of disk.crashes(at, seeded(placeSeed(walk.seed, place, 0)))) {
    looked++;
    const known = seen.get(image.hash);
    if (known !== undefined) {
      if (known < bounds.least || known > bounds.most) {
        audience.failed(`it holds ${known} commits, expected ${bounds.least} to ${bounds.most}`, {
          at: place,
          image: image.index,
          lost: 0,
        });
      }
      if (++misses === MISSES || looked > effort.images * TRIES) break;
      continue;
    }
    misses = 0;
    const number = walk.number++;
    const look = (every: number, offset: number): boolean => number % every === offset % every;
    const looks: Looks = {
      reference: look(effort.looksEvery, 0),
      readOnly: look(effort.looksEvery, 5),
      twice: look(effort.looksEvery, 10),
      nested: look(effort.nestedEvery, 3) ? effort.nestedDepth : 0,
      slots: effort.slots,
      whole: isWhole(walk.segment, at),
    };
    audience.judging?.({ at: place, image: image.index, lost: 0 });
    try {
      const { frame, report } = await judge.judge(image, bounds, looks);
      seen.set(image.hash, frame);
      audience.judged(report, counts);
      if (effort.everyState && !confirmed.has(frame)) {
        confirmed.add(frame);
        if (!looks.reference) await judge.confirm(image, frame);
      }
    } catch (error) {
      seen.set(image.hash, bounds.least);
      audience.failed(text(error), { at: place, image: image.index, lost: 0 });
    }
    if (++fresh === effort.images) break;
  }
  audience.point(looked);
}

/** Whether what is durable at a crash point is whole: what the crash before this disk has left is, when it has been opened. */
function isWhole({ torn, opened }: Walk<never>["segment"], at: number): boolean {
  return !torn || at >= opened;
}

/** Whether the file had been made durably: no sync that the device has lied about was one of its creation. */
function isCreated({ disk, opened, started }: Walk<never>["segment"], at: number, lost: number): boolean {
  const syncs = (calls: number): number => disk.log.slice(0, calls).filter(({ kind }) => kind === "sync").length;
  return started || syncs(at) - lost >= syncs(opened);
}

async function lieAt<S>(walk: Walk<S>, at: number): Promise<void> {
  const { disk, history, judge, effort, lies, audience } = walk;
  const bounds = history.bounds(at);
  const place = walk.base + at;
  for (let lost = 1; lost <= effort.lost; lost++) {
    let left = effort.lies, misses = 0;
    const created = isCreated(walk.segment, at, lost);
    for (const image of disk.crashes(at, seeded(placeSeed(walk.seed, place, lost)), lost)) {
      if (lies.has(image.hash)) {
        if (++misses === MISSES) break;
        continue;
      }
      lies.add(image.hash);
      audience.judging?.({ at: place, image: image.index, lost });
      try {
        audience.lied(await judge.judgeLie(image, { ...bounds, created }));
      } catch (error) {
        audience.failed(`the device has lied about ${lost} syncs: ${text(error)}`, { at: place, image: image.index, lost });
      }
      if (--left === 0) break;
    }
  }
}

const EVERYTHING = { reference: true, readOnly: true, twice: true, nested: 3, slots: 12 };

/** Judges one image with everything there is; throws as it fails. */
export async function judgeAgain<S, T>(subject: Subject<S, T>, seed: number, { at, image: wanted, lost }: Place): Promise<void> {
  let base = 0;
  for (const segment of subject.segments) {
    const { disk, history } = segment;
    const own = at - base;
    base += disk.calls + 1;
    if (own > disk.calls) continue;
    const judge = new Judge(subject, history);
    for (const image of disk.crashes(own, seeded(placeSeed(seed, at, lost)), lost)) {
      if (image.index < wanted) continue;
      const bounds = history.bounds(own);
      if (lost > 0) await judge.judgeLie(image, { ...bounds, created: isCreated(segment, own, lost) });
      else await judge.judge(image, bounds, { ...EVERYTHING, whole: isWhole(segment, own) });
      return;
    }
  }
  throw new Error(`there is no image ${wanted} of a crash after call ${at}`);
}
