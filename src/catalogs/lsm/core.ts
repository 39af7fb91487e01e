// What all handles on one catalog of one open manifest share: which files this process has named, what is behind the last checkpoint; and, with other manifests over the same bytes, who holds which versions.
import type { Manifest } from "../../manifest/manifest.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import { DirtyWatch } from "./dirty.ts";
import { type Holders, holdersOf } from "./holders.ts";
import { IdRanges } from "./id_ranges.ts";
import { stateOf } from "./reader.ts";
import { type FileKind, lsmLevels, lsmObsolete, lsmWals } from "./tables.ts";

/** Whether a catalog names no file at all, and none that was removed and is still there. */
export function namesNothing(reader: Reader, name: string): boolean {
  const prefix = [name] as const;
  return stateOf(reader, name).activeWal === undefined && reader.count(lsmLevels, { prefix }) === 0 &&
    reader.count(lsmWals, { prefix }) === 0 && reader.count(lsmObsolete, { prefix }) === 0;
}

/** What the handles share. */
export class LsmCore {
  /** Versions that are held in this process. */
  readonly holders: Holders;
  /** The next ids when this process opened the catalog: a file below that no state names is nobody's. */
  readonly floor: Readonly<Record<FileKind, number>>;
  /** Whether the catalog named nothing then. */
  readonly wasEmpty: boolean;
  /** Files that this process has named since: whoever wrote them is done. */
  readonly named: Readonly<Record<FileKind, IdRanges>> = { sst: new IdRanges(), wal: new IdRanges() };
  /** What is behind the last checkpoint. */
  readonly dirty: DirtyWatch;

  /** Looks at the catalog as it is. */
  constructor(manifest: Manifest, name: string) {
    const { nextSstId, nextWalId, edit } = stateOf(manifest, name);
    this.floor = { sst: nextSstId, wal: nextWalId };
    this.wasEmpty = namesNothing(manifest, name);
    this.dirty = new DirtyWatch(manifest, name);
    this.holders = holdersOf(manifest, name);
    if (!manifest.readOnly) this.holders.enter(manifest, edit);
  }
}

const cores = new WeakMap<Manifest, Map<string, LsmCore>>();

/** What the handles on a catalog share: made by the first one. */
export function coreOf(manifest: Manifest, name: string): LsmCore {
  let byName = cores.get(manifest);
  if (byName === undefined) cores.set(manifest, byName = new Map());
  let core = byName.get(name);
  if (core === undefined) byName.set(name, core = new LsmCore(manifest, name));
  return core;
}
