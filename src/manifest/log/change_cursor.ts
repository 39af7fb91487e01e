// Change cursors: how far each named consumer has come, kept in the file.
//
// Registering, acknowledging and unregistering are journalled but are no changes themselves. A cursor stands at `next`: everything before it is done. It sees durable changes only.
import { type OptionNames, takeOptions } from "../../arguments.ts";
import { fail, failRange, failType } from "../../errors.ts";
import type { CommitRequest, Staged, View } from "../../store/store.ts";
import type { Change } from "./change.ts";
import type { ManifestCore } from "../core.ts";
import { unknownCursor } from "./cursor_index.ts";
import { checkCursorId, checkSequence, stageAcknowledge } from "./cursor_moves.ts";
import { Range } from "../read/range.ts";
import type { Staging } from "../write/staging.ts";
import { type CursorRecord, cursors } from "../tables/cursors.ts";
import { meta, NEXT_CURSOR_ID } from "../tables/meta.ts";

/** Where a new cursor starts: at the oldest change that is kept, behind the newest one, or at a sequence. */
export type CursorStart = "oldest" | "latest" | number;

/** How to register a change cursor. */
export interface CursorOptions {
  /** Where a new one starts; nothing for one that exists. Default "oldest". */
  start?: CursorStart;
  /**
   * The log is not kept for it further back than this many changes: beyond that it loses the oldest ones, is told so with CURSOR_TRUNCATED, and may go on by acknowledging `oldestSequence`. For one that exists it is
   * replaced; Infinity takes it away. Default: none, or what it has.
   */
  maxLag?: number;
}

/** A change cursor, and where the log stands. */
export interface ChangeCursor {
  /** Its id; never reused. */
  readonly id: number;
  /** Its name. */
  readonly name: string;
  /** Every change before this one is done: the next to be fetched. */
  readonly nextSequence: number;
  /** The newest durable change, 0 when there never was one. */
  readonly latestSequence: number;
  /** The oldest change that is kept; latest + 1 when none is. */
  readonly oldestSequence: number;
  /** The log is kept for at most so many changes before the newest; undefined: without limit. */
  readonly maxLag?: number;
  /** Changes that it was asked to start at and that are no longer kept: they are not delivered. */
  readonly gap?: { readonly first: number; readonly last: number };
}

/** A page of changes. */
export interface ChangePage {
  /** The cursor. */
  readonly cursorId: number;
  /** The changes, in order. Empty when the cursor is up to date. */
  readonly changes: readonly Change[];
  /** Give this to `acknowledgeChanges` when they are done. */
  readonly nextSequence: number;
  /** The newest durable change. */
  readonly latestSequence: number;
  /** The oldest change that is kept. */
  readonly oldestSequence: number;
}

const NAME_MAX = 255;
const PAGE_MAX = 1 << 20;

/** A page size, or an error. */
export function checkPageSize(size: unknown): number {
  if (typeof size !== "number") failType("Cannot fetch changes: the page size is not a number", { field: "pageSize" });
  if (!Number.isInteger(size) || size < 1 || size > PAGE_MAX) {
    failRange(`Cannot fetch changes: the page size is not a whole number from 1 to ${PAGE_MAX}`, { field: "pageSize" });
  }
  return size;
}

/** A cursor's name, or an error. */
export function checkCursorName(name: unknown): string {
  if (typeof name !== "string" || name === "" || name.length > NAME_MAX) {
    failType(`Cannot register a change cursor: its name is not text of 1 to ${NAME_MAX} characters`, { field: "name" });
  }
  return name;
}

/** The names of a cursor's options. */
export const CURSOR_OPTIONS: OptionNames<CursorOptions> = { start: true, maxLag: true };

/** Options of a cursor, or an error; `names` are those that are allowed beside its own. */
export function checkCursorOptions<T extends CursorOptions>(options: T, names: OptionNames<T>, action: string): T {
  const taken = takeOptions(options, names, action);
  const { start, maxLag } = taken;
  if (start !== undefined && start !== "oldest" && start !== "latest") checkSequence(start, "start");
  if (maxLag !== undefined && maxLag !== Infinity && checkSequence(maxLag, "maxLag") === 0) {
    failRange("Cannot use a change cursor: maxLag is 0", { field: "maxLag" });
  }
  return taken;
}

/** A request of the store for one of the three. */
class CursorRequest implements CommitRequest {
  readonly change = false;
  readonly #staging: Staging;
  readonly #apply: (staging: Staging) => void;

  constructor(staging: Staging, apply: (staging: Staging) => void) {
    this.#staging = staging;
    this.#apply = apply;
  }

  stage(): Staged {
    const staging = this.#staging;
    staging.begin(false);
    this.#apply(staging);
    return staging.finish(undefined);
  }
}

/** Stages a new cursor, or another `maxLag` of the one that has the name. Returns the changes that it was to start at and that are gone. */
function stageRegister(staging: Staging, name: string, { start = "oldest", maxLag }: CursorOptions): ChangeCursor["gap"] {
  const { log, store: { newest } } = staging;
  const put = (id: number, row: CursorRecord): void => {
    staging.put(staging.bind(cursors), [id], row, 0, true);
    log.cursors.stage(id, row);
  };
  const limit = maxLag === Infinity ? undefined : maxLag;
  for (const [id, row] of log.cursors.pending()) {
    if (row.name !== name) continue;
    if (maxLag !== undefined && row.maxLag !== limit) put(id, { ...row, maxLag: limit });
    return undefined;
  }
  const counter = staging.reader(meta).get([NEXT_CURSOR_ID]) as { number?: number } | undefined;
  const id = counter?.number ?? 1;
  const end = newest.sequence + 1;
  let next = end;
  let gap: ChangeCursor["gap"];
  if (start !== "latest") {
    const oldest = log.oldest(newest);
    next = start === "oldest" ? oldest : Math.min(Math.max(start, oldest), end);
    if (typeof start === "number" && Math.max(start, 1) < oldest) gap = { first: Math.max(start, 1), last: oldest - 1 };
  }
  const now = staging.now;
  put(id, { name, next, createdAt: now, updatedAt: now, maxLag: limit });
  staging.put(staging.bind(meta), [NEXT_CURSOR_ID], { number: id + 1 }, 0, true);
  return gap;
}

/** The change cursors of one manifest. */
export class ChangeCursors {
  readonly #core: ManifestCore;

  constructor(core: ManifestCore) {
    this.#core = core;
  }

  #state(id: number, row: CursorRecord, oldestSequence: number): ChangeCursor {
    const { name, next: nextSequence, maxLag } = row;
    const latestSequence = this.#core.log.latest;
    return { id, name, nextSequence, latestSequence, oldestSequence, ...maxLag === undefined ? {} : { maxLag } };
  }

  #row(view: View, id: number): CursorRecord {
    return this.#core.reader(view, cursors).get([id]) as CursorRecord | undefined ?? unknownCursor(id);
  }

  /** All cursors of a state. */
  list(view: View): ChangeCursor[] {
    const oldest = this.#core.log.oldest(view);
    const source = { reader: this.#core.reader(view, cursors), release: () => {} };
    const rows = new Range<[[number], CursorRecord]>(() => source, {}, "entries").toArray();
    return rows.map(([[id], row]) => this.#state(id, row, oldest));
  }

  /** The newest durable cursor of a name. */
  named(name: string): ChangeCursor | undefined {
    return this.list(this.#core.published()).find((cursor) => cursor.name === name);
  }

  #commit(apply: (staging: Staging) => void): Promise<unknown> {
    return this.#core.store.commit(new CursorRequest(this.#core.staging, apply));
  }

  /** Registers a cursor, or returns the one of that name where it stands. */
  async register(name: string, options: CursorOptions): Promise<ChangeCursor> {
    checkCursorName(name);
    const taken = checkCursorOptions(options, CURSOR_OPTIONS, "register a change cursor");
    const { maxLag } = taken;
    const known = this.named(name);
    if (known !== undefined && (maxLag === undefined || (known.maxLag ?? Infinity) === maxLag)) return known;
    let gap: ChangeCursor["gap"];
    await this.#commit((staging) => void (gap = stageRegister(staging, name, taken)));
    const cursor = this.named(name) ??
      fail("CURSOR_UNKNOWN", `Cannot register change cursor "${name}": it was unregistered meanwhile`, { detail: { cursor: name } });
    return gap === undefined ? cursor : { ...cursor, gap };
  }

  /** Everything before `next` is done. */
  async acknowledge(id: number, next: number): Promise<ChangeCursor> {
    checkCursorId(id);
    checkSequence(next, "nextSequence");
    if (next > this.#row(this.#core.published(), id).next) await this.move(id, next);
    const view = this.#core.published();
    return this.#state(id, this.#row(view, id), this.#core.log.oldest(view));
  }

  /** The same without looking at the cursor before and after. */
  async move(id: number, next: number): Promise<void> {
    await this.#commit((staging) => {
      stageAcknowledge(staging, id, next);
      staging.log.settle(staging);
    });
  }

  /** Ends a cursor. */
  async unregister(id: number): Promise<void> {
    checkCursorId(id);
    await this.#commit((staging) => {
      staging.log.cursors.need(id);
      staging.delete(staging.bind(cursors), [id], 0, true);
      staging.log.cursors.stage(id, null);
      staging.log.settle(staging);
    });
  }

  /** Changes from a sequence on, for a cursor that has come so far; CURSOR_TRUNCATED when they are gone. */
  pageFrom(cursorId: number | undefined, next: number, size: number): Change[] {
    const { log, records } = this.#core;
    const view = this.#core.published();
    const oldestSequence = log.oldest(view);
    if (next < oldestSequence) {
      const who = cursorId === undefined ? "the next one" : `cursor ${cursorId}`;
      fail("CURSOR_TRUNCATED", `Cannot fetch changes: ${who} stands at ${next} and the log begins at ${oldestSequence}`, {
        detail: { cursorId, nextSequence: next, oldestSequence, latestSequence: log.latest },
      });
    }
    return records.read(view, next, size);
  }

  /** The next changes of a cursor. */
  page(cursorId: number, size: number): ChangePage {
    checkCursorId(cursorId);
    checkPageSize(size);
    const { log } = this.#core;
    const view = this.#core.published();
    const { next } = this.#row(view, cursorId);
    const latestSequence = log.latest;
    const oldestSequence = log.oldest(view);
    const changes = this.pageFrom(cursorId, next, size);
    const nextSequence = changes.length === 0 ? next : changes[changes.length - 1]!.sequence + 1;
    return { cursorId, changes, nextSequence, latestSequence, oldestSequence };
  }
}
