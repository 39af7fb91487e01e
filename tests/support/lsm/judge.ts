// Opens an image of a crash and judges it: nothing that the catalog names is missing or damaged, the engine opens without help and holds every acknowledged write and none that was not begun, and no other file is left.
//
// What the engine does follows from the rows that the manifest shows and from the files beside it. Of many images only the manifest's file differs, in what no row comes of: each of these is opened as a manifest, and where an image with the same
// rows and files was judged before, what the engine has made of that one counts for both.
//
// For a share of the images more is done: the engine goes on with writes, flushes and compactions; it is opened a second time; the opening itself is crashed at each of its calls.
import type { Manifest, Table } from "@waybill/manifest";
import { listCatalogs, LsmCatalog, lsmObsolete, lsmSsts, lsmStates, lsmWals } from "@waybill/manifest/lsm";
import type { MachineImage, RecoveringMachine } from "../disk/sim_machine.ts";
import type { SimFolder } from "../disk/sim_folder.ts";
import { recycling } from "../kernel_pool.ts";
import { seeded } from "../random.ts";
import { bytesOf, checkExact, checkNamed, contentOf, type Opened, openManifest, SMALL } from "./engines.ts";
import { Engine } from "../../../examples/lsm/engine.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import type { RecoveryReport } from "../../../examples/lsm/recovery.ts";
import { type Bounds, LsmHistory } from "./history.ts";

/** What is done beyond opening and comparing. */
export interface Looks {
  /** Holds what the catalog names against the files before the engine may touch any. Else only what it has made of them: but it refuses to open when something is missing. */
  readonly before: boolean;
  /** Goes on with the engine. */
  readonly goesOn: boolean;
  /** Opens it a second time, without and with a close in between. */
  readonly twice: boolean;
  /** Crashes within the opening, so deep. */
  readonly nested: number;
}

/** What came of an image. */
export interface Verdict {
  /** Number of the last write that it held. */
  readonly held: number;
  readonly report: RecoveryReport;
  /** Images of crashes within the opening. */
  readonly nested: number;
  /** Whether the engine was not opened, because an image with the same rows and files was judged before. */
  readonly known: boolean;
}

/** What came of images of a history, by their rows and files. */
const known = new WeakMap<LsmHistory, Map<string, Verdict>>();

/** Rows of a catalog. */
const TABLES = [lsmSsts, lsmWals, lsmObsolete, lsmStates] as readonly Table<readonly [name: string, ...unknown[]], unknown>[];

/** Rows and files, as far as an engine can see them; undefined where there is no catalog yet. */
function keyOf(manifest: Manifest, tree: number): string | undefined {
  if (listCatalogs(manifest).length === 0) return undefined;
  const { damagedSlots, damagedGroups } = manifest.recovery;
  const damaged = [damagedSlots, damagedGroups];
  const rows = TABLES.map((table) => manifest.range(table).toArray());
  return JSON.stringify(
    [tree, damaged, manifest.latestChangeSequence(), rows],
    (_, value) => value instanceof Uint8Array ? [...value] : value,
  );
}

const NONE: Looks = { before: false, goesOn: false, twice: false, nested: 0 };

/** Judges an image; throws with what is wrong. */
export function judge(image: MachineImage, history: LsmHistory, bounds: Bounds, looks: Looks): Promise<Verdict> {
  return recycling(() => judgeOne(image, history, bounds, looks));
}

async function judgeOne(image: MachineImage, history: LsmHistory, bounds: Bounds, looks: Looks): Promise<Verdict> {
  const machine = image.open({ recording: looks.nested > 0 });
  const manifest = await openManifest(machine.storage, { cacheBytes: 0 });
  let verdicts = known.get(history);
  if (verdicts === undefined) known.set(history, verdicts = new Map());
  const plain = !looks.before && !looks.goesOn && !looks.twice && looks.nested === 0;
  const key = keyOf(manifest, image.tree.hash());
  const before = plain && key !== undefined ? verdicts.get(key) : undefined;
  if (before !== undefined) {
    checkBounds(before.held, bounds);
    return before;
  }
  const opened = { manifest, engine: await openOn(manifest, machine.folder, looks.before) };
  const { engine } = opened;
  const held = engine.lastLsn;
  checkBounds(held, bounds);
  await checkContent(opened, machine, history, held);
  const moments = machine.moments();
  if (looks.goesOn) await goOn(opened, machine, history, held);
  if (looks.twice) {
    // As after a crash at its end, then after a close.
    const second = await open(machine.reopen(), machine.folder);
    const count = second.engine.lastLsn;
    if (!looks.goesOn) await checkContent(second, machine, history, held);
    await second.engine.close();
    await second.manifest.close();
    const third = await open(machine.reopen(), machine.folder);
    if (third.engine.lastLsn !== count) throw new Error("closed in order and opened again, it holds other writes");
    checkExact(third.engine.catalog, machine.folder.live());
  }
  let nested = 0;
  if (looks.nested > 0) {
    const random = seeded(image.hash | 0);
    for (let at = 1; at < moments.length; at++) {
      let left = at % 2 === 0 ? 0 : random.int(8);
      for (const deeper of machine.crashes(moments[at]!, random)) {
        if (left-- > 0) continue;
        try {
          const deep = (at >>> 1) % 4 === 0 ? looks.nested - 1 : 0;
          nested += 1 + (await judge(deeper, history, { least: held, most: held }, { ...NONE, nested: deep })).nested;
        } catch (error) {
          throw new Error(`crashed again after call ${at} of its opening: ${error instanceof Error ? error.message : error}`, {
            cause: error,
          });
        }
        break;
      }
    }
  }
  const verdict: Verdict = { held, report: engine.recovery, nested, known: false };
  if (key !== undefined) verdicts.set(key, { ...verdict, nested: 0, known: true });
  return verdict;
}

function checkBounds(held: number, { least, most }: Bounds): void {
  if (held < least) throw new Error(`it holds ${held} writes, and ${least} were acknowledged`);
  if (held > most) throw new Error(`it holds ${held} writes, and ${most} were begun`);
}

async function openOn(manifest: Manifest, folder: SimFolder, look = false): Promise<Engine> {
  if (look && listCatalogs(manifest).length > 0) checkNamed(await LsmCatalog.open(manifest), folder.live());
  return await Engine.open({ ...SMALL, automatic: false, manifest, folder });
}

async function open(storage: Storage, folder: SimFolder): Promise<Opened> {
  const manifest = await openManifest(storage, { cacheBytes: 0 });
  return { manifest, engine: await openOn(manifest, folder) };
}

async function checkContent({ engine }: Opened, { folder }: RecoveringMachine, history: LsmHistory, count: number): Promise<void> {
  const content = await contentOf(engine);
  if (content !== history.content(count)) {
    throw new Error(`it is not the state after ${count} writes: ${difference(content, history.content(count))}`);
  }
  checkExact(engine.catalog, folder.live());
}

/** Writes, flushes and compacts as if nothing had been; what was there before must not come back, nor what is new be lost. */
async function goOn(opened: Opened, machine: RecoveringMachine, history: LsmHistory, held: number): Promise<void> {
  const { engine } = opened;
  const longer = new LsmHistory(history.first(held));
  const random = seeded(held);
  for (let round = 0; round < 2; round++) {
    for (let n = 0; n < 6; n++) {
      const key = `key ${String(random.int(40)).padStart(2, "0")}`;
      const value = random.chance(0.3) ? undefined : `again ${n}`;
      longer.begin({ key, value }, 0);
      await (value === undefined ? engine.delete(bytesOf(key)) : engine.put(bytesOf(key), bytesOf(value)));
    }
    await engine.flush();
  }
  await engine.compact({ all: true });
  if (engine.lastLsn !== longer.length) throw new Error(`it goes on to write ${engine.lastLsn}, not ${longer.length}`);
  await checkContent(opened, machine, longer, longer.length);
}

function difference(found: string, wanted: string): string {
  const theirs = new Set(wanted.split("\n")), ours = new Set(found.split("\n"));
  const clip = (line: string): string => line.length > 40 ? `${line.slice(0, 40)}…` : line;
  const extra = [...ours].filter((line) => !theirs.has(line)).map(clip), missing = [...theirs].filter((line) => !ours.has(line)).map(clip);
  return `too much: ${extra.slice(0, 3).join(", ") || "nothing"}; missing: ${missing.slice(0, 3).join(", ") || "nothing"}`;
}
