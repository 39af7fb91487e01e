// What an LSM catalog must say, worked out the plain way: lists that are copied for every commit and looked through from end to end.
import type { FileKind, Sst, SstInput } from "../../../src/catalogs/lsm/mod.ts";

/** A refusal that is expected, by its code. */
export class Refused extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

interface Removed {
  readonly kind: FileKind;
  readonly id: number;
  readonly removedAt: number;
  readonly sizeBytes: number;
  readonly fileName?: string;
}

/** Compares keys. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** Whether two tables have a key in common. */
function clash(a: Sst, b: Sst): boolean {
  return compareKeys(a.minKey, b.maxKey) <= 0 && compareKeys(b.minKey, a.maxKey) <= 0;
}

/** One state. */
export class Reference {
  version = 1;
  lastLsn = 0;
  active: number | undefined;
  frozen: number[] = [];
  retired: number[] = [];
  nextSst = 1;
  nextWal = 1;
  edit = 0;
  ssts: Sst[] = [];
  removed: Removed[] = [];
  /** Levels in which an overlap was let in and that were not empty since. */
  loose: number[] = [];

  clone(): Reference {
    const copy = new Reference();
    Object.assign(copy, this);
    for (const list of ["frozen", "retired", "ssts", "removed", "loose"] as const) copy[list] = [...this[list]] as never;
    return copy;
  }

  /** Runs operations as one commit: the next state, or the same one when nothing has changed. */
  commit(disjoint: boolean, operations: (draft: Draft) => void): Reference {
    const next = this.clone();
    const draft = new Draft(this, next);
    operations(draft);
    next.#settle(this, disjoint);
    const { edit: _before, ...was } = this;
    const { edit: _after, ...is } = next;
    if (canonical(was) === canonical(is)) return this;
    next.edit = this.edit + 1;
    return next;
  }

  #settle(before: Reference, disjoint: boolean): void {
    for (const level of new Set(this.ssts.map((one) => one.level))) {
      if (level === 0) continue;
      const own = this.ssts.filter((one) => one.level === level);
      const fresh = own.filter((one) => !before.ssts.some((old) => canonical(old) === canonical(one)));
      if (!fresh.some((one) => own.some((other) => other.id !== one.id && clash(one, other)))) continue;
      if (disjoint) throw new Refused("LEVEL_OVERLAP");
      if (!this.loose.includes(level)) this.loose.push(level);
    }
    this.loose = this.loose.filter((level) => this.ssts.some((one) => one.level === level)).sort((a, b) => a - b);
    for (const list of [this.frozen, this.retired]) list.sort((a, b) => a - b);
    this.ssts.sort((a, b) => a.id - b.id);
    this.removed.sort((a, b) => a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : a.id - b.id);
  }

  /** Whether it names a file. */
  names(kind: FileKind, id: number): boolean {
    if (kind === "sst") return this.ssts.some((one) => one.id === id);
    return this.active === id || this.frozen.includes(id) || this.retired.includes(id);
  }

  /** Whether it names nothing, and nothing that was removed is left. */
  get empty(): boolean {
    return this.active === undefined && this.frozen.length + this.retired.length + this.ssts.length + this.removed.length === 0;
  }

  /** Ids of tables with room for a key of a range, in order. */
  overlapping(from: Uint8Array | undefined, to: Uint8Array | undefined, levels?: readonly number[]): number[] {
    return this.ssts.filter(({ level, minKey, maxKey }) =>
      (levels === undefined || levels.includes(level)) && (to === undefined || compareKeys(minKey, to) <= 0) &&
      (from === undefined || compareKeys(maxKey, from) >= 0)
    ).map(({ id }) => id);
  }

  /** As `stateOf` of a catalog. */
  state(): Record<string, unknown> {
    const levels = [...new Set(this.ssts.map((one) => one.level))].sort((a, b) => a - b).map((level) => {
      const own = this.ssts.filter((one) => one.level === level);
      const sum = (field: "sizeBytes" | "entries"): number => own.reduce((total, one) => total + one[field], 0);
      const overlapping = level === 0 || this.loose.includes(level);
      return { level, ssts: own.length, sizeBytes: sum("sizeBytes"), entries: sum("entries"), overlapping };
    });
    return {
      version: this.version,
      lastLsn: this.lastLsn,
      activeWal: this.active ?? 0,
      frozenWals: this.frozen,
      retiredWals: this.retired,
      nextSstId: this.nextSst,
      nextWalId: this.nextWal,
      ssts: this.ssts,
      levels,
      obsolete: this.removed,
    };
  }
}

/** A value as text: equal for what is equal, whatever the order of its fields. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part) => {
    if (part instanceof Uint8Array) return [...part];
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => a < b ? -1 : 1));
  });
}

/** A commit in the making. */
export class Draft {
  readonly #before: Reference;
  readonly #next: Reference;

  constructor(before: Reference, next: Reference) {
    this.#before = before;
    this.#next = next;
  }

  setVersion(version: number): void {
    this.#next.version = version;
  }

  updateLsn(lsn: number): void {
    this.#next.lastLsn = Math.max(this.#next.lastLsn, lsn);
  }

  allocate(count: number): number[] {
    const first = this.#next.nextSst;
    this.#next.nextSst += count;
    return Array.from({ length: count }, (_, i) => first + i);
  }

  addSst(input: SstInput): void {
    const next = this.#next;
    if (next.ssts.some(({ id }) => id === input.id)) return;
    this.#revive("sst", input.id);
    next.ssts.push({ level: 0, sizeBytes: 0, entries: 0, ...input });
    next.nextSst = Math.max(next.nextSst, input.id + 1);
  }

  removeSst(id: number): void {
    const next = this.#next;
    const one = next.ssts.find((sst) => sst.id === id);
    if (one === undefined) return;
    next.ssts = next.ssts.filter((sst) => sst.id !== id);
    this.#remove("sst", id, one.sizeBytes, one.fileName);
  }

  setActiveWal(wal: number): void {
    const next = this.#next;
    this.#revive("wal", wal);
    next.frozen = next.frozen.filter((one) => one !== wal);
    next.retired = next.retired.filter((one) => one !== wal);
    if (next.active !== undefined && next.active !== wal && !next.frozen.includes(next.active)) next.retired.push(next.active);
    next.active = wal;
    next.nextWal = Math.max(next.nextWal, wal + 1);
  }

  rotateWal(wal: number): void {
    const { active } = this.#next;
    if (active === wal) throw new Refused("INVALID_ARGUMENT");
    if (active !== undefined) this.addFrozenWal(active);
    this.setActiveWal(wal);
  }

  addFrozenWal(wal: number): void {
    const next = this.#next;
    this.#revive("wal", wal);
    next.retired = next.retired.filter((one) => one !== wal);
    if (!next.frozen.includes(wal)) next.frozen.push(wal);
    next.nextWal = Math.max(next.nextWal, wal + 1);
  }

  removeFrozenWal(wal: number): void {
    if (this.#next.frozen.includes(wal)) this.#dropWal(wal);
  }

  flushWal(wal: number): void {
    if (this.#next.active === wal) throw new Refused("INVALID_ARGUMENT");
    if (this.#next.frozen.includes(wal) || this.#next.retired.includes(wal)) this.#dropWal(wal);
  }

  forget(kind: FileKind, id: number): void {
    this.#next.removed = this.#next.removed.filter((one) => one.kind !== kind || one.id !== id);
  }

  #dropWal(wal: number): void {
    const next = this.#next;
    next.frozen = next.frozen.filter((one) => one !== wal);
    next.retired = next.retired.filter((one) => one !== wal);
    if (next.active !== wal) this.#remove("wal", wal, 0, undefined);
  }

  #remove(kind: FileKind, id: number, sizeBytes: number, fileName: string | undefined): void {
    this.#next.removed.push({ kind, id, removedAt: this.#before.edit + 1, sizeBytes, ...fileName === undefined ? {} : { fileName } });
  }

  /** What was removed before this commit must not be named again; what it has removed itself comes back. */
  #revive(kind: FileKind, id: number): void {
    if (this.#before.removed.some((one) => one.kind === kind && one.id === id)) throw new Refused("OBJECT_CONDEMNED");
    this.#next.removed = this.#next.removed.filter((one) => one.kind !== kind || one.id !== id);
  }
}
