// Change cursors: how far each named consumer has come, kept in the file.
//
// Registering, acknowledging and unregistering are journalled but are no changes themselves. A cursor stands at `next`: everything before it is done. It sees durable changes only.
import { fail, failRange, failType } from "../errors.ts";
import type { CommitRequest, Staged, View } from "../store/store.ts";
import type { Change } from "./change.ts";
import type { ManifestCore } from "./core.ts";
import { Range } from "./range.ts";
import type { Staging } from "./staging.ts";
import { type CursorRecord, cursors } from "./tables/cursors.ts";
import { meta, NEXT_CURSOR_ID } from "./tables/meta.ts";

/** Where a new cursor starts: at the oldest change that is kept, behind the newest one, or at a sequence. */
export type CursorStart = "oldest" | "latest" | number;

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

function checkId(id: unknown): number {
  if (typeof id !== "number") failType("Cannot use a change cursor: its id is not a number", { field: "cursorId" });
  if (!Number.isSafeInteger(id) || id < 0) {
    failRange("Cannot use a change cursor: its id is not a whole number from 0 on", { field: "cursorId" });
  }
  return id;
}

function checkSequence(sequence: unknown, field: string): number {
  if (typeof sequence !== "number") failType(`Cannot use a change cursor: ${field} is not a number`, { field });
  if (!Number.isSafeInteger(sequence) || sequence < 0) {
    failRange(`Cannot use a change cursor: ${field} is not a whole number from 0 on`, { field });
  }
  return sequence;
}

function unknown(id: number): never {
  fail("CURSOR_UNKNOWN", `Cannot use change cursor ${id}: there is none`, { detail: { cursorId: id } });
}

function all(staging: Staging): [number, CursorRecord][] {
  const source = { reader: staging.reader(cursors), release: () => {} };
  return new Range<[[number], CursorRecord]>(() => source, {}, "entries").toArray().map(([[id], row]) => [id, row]);
}

/** A request of the store for one of the three. */
abstract class CursorRequest implements CommitRequest {
  readonly change = false;
  protected readonly core: ManifestCore;

  constructor(core: ManifestCore) {
    this.core = core;
  }

  stage(): Staged {
    const { staging } = this.core;
    staging.begin(false);
    this.apply(staging);
    return staging.finish(undefined);
  }

  protected abstract apply(staging: Staging): void;

  /** Truncates what all cursors but `but` have done, and `own` has. */
  protected truncate(staging: Staging, but: number, own: number): void {
    let slowest = own;
    for (const [id, { next }] of all(staging)) if (id !== but) slowest = Math.min(slowest, next);
    if (slowest === Infinity) this.core.log.release();
    else this.core.log.truncate(staging, slowest);
  }
}

class Register extends CursorRequest {
  readonly #name: string;
  readonly #start: CursorStart;
  gap: ChangeCursor["gap"];

  constructor(core: ManifestCore, name: string, start: CursorStart) {
    super(core);
    this.#name = name;
    this.#start = start;
  }

  protected override apply(staging: Staging): void {
    if (all(staging).some(([, row]) => row.name === this.#name)) return; // another call was first
    const newest = this.core.store.newest;
    const counter = staging.reader(meta).get([NEXT_CURSOR_ID]) as { number?: number } | undefined;
    const id = counter?.number ?? 1;
    const end = newest.sequence + 1;
    let next = end;
    if (this.#start !== "latest") {
      const oldest = this.core.log.oldest(newest);
      next = this.#start === "oldest" ? oldest : Math.min(Math.max(this.#start, oldest), end);
      if (typeof this.#start === "number" && Math.max(this.#start, 1) < oldest) {
        this.gap = { first: Math.max(this.#start, 1), last: oldest - 1 };
      }
    }
    const now = staging.now;
    staging.put(staging.bind(cursors), [id], { name: this.#name, next, createdAt: now, updatedAt: now }, 0, true);
    staging.put(staging.bind(meta), [NEXT_CURSOR_ID], { number: id + 1 }, 0, true);
  }
}

class Acknowledge extends CursorRequest {
  readonly #id: number;
  readonly #next: number;

  constructor(core: ManifestCore, id: number, next: number) {
    super(core);
    this.#id = id;
    this.#next = next;
  }

  protected override apply(staging: Staging): void {
    const row = staging.reader(cursors).get([this.#id]) as CursorRecord | undefined ?? unknown(this.#id);
    if (this.#next <= row.next) return;
    staging.put(staging.bind(cursors), [this.#id], { ...row, next: this.#next, updatedAt: staging.now }, 0, true);
    this.truncate(staging, this.#id, this.#next);
  }
}

class Unregister extends CursorRequest {
  readonly #id: number;

  constructor(core: ManifestCore, id: number) {
    super(core);
    this.#id = id;
  }

  protected override apply(staging: Staging): void {
    if (!staging.reader(cursors).find([this.#id])) unknown(this.#id);
    staging.delete(staging.bind(cursors), [this.#id], 0, true);
    this.truncate(staging, this.#id, Infinity);
  }
}

/** The change cursors of one manifest. */
export class ChangeCursors {
  readonly #core: ManifestCore;

  constructor(core: ManifestCore) {
    this.#core = core;
  }

  #state(view: View, id: number, row: CursorRecord): ChangeCursor {
    const { log } = this.#core;
    return { id, name: row.name, nextSequence: row.next, latestSequence: log.latest, oldestSequence: log.oldest(view) };
  }

  #row(view: View, id: number): CursorRecord {
    return this.#core.reader(view, cursors).get([id]) as CursorRecord | undefined ?? unknown(id);
  }

  /** All cursors of a state. */
  list(view: View): ChangeCursor[] {
    const source = { reader: this.#core.reader(view, cursors), release: () => {} };
    const rows = new Range<[[number], CursorRecord]>(() => source, {}, "entries").toArray();
    return rows.map(([[id], row]) => this.#state(view, id, row));
  }

  #named(name: string): ChangeCursor | undefined {
    return this.list(this.#core.published()).find((cursor) => cursor.name === name);
  }

  /** Registers a cursor, or returns the one of that name where it stands. */
  async register(name: string, start: CursorStart): Promise<ChangeCursor> {
    if (typeof name !== "string" || name === "" || name.length > NAME_MAX) {
      failType(`Cannot register a change cursor: its name is not text of 1 to ${NAME_MAX} characters`, { field: "name" });
    }
    if (start !== "oldest" && start !== "latest") checkSequence(start, "start");
    const known = this.#named(name);
    if (known !== undefined) return known;
    const request = new Register(this.#core, name, start);
    await this.#core.store.commit(request);
    const cursor = this.#named(name) ?? fail("CURSOR_UNKNOWN", `Cannot register change cursor "${name}": it was unregistered meanwhile`);
    return request.gap === undefined ? cursor : { ...cursor, gap: request.gap };
  }

  /** Everything before `next` is done. */
  async acknowledge(id: number, next: number): Promise<ChangeCursor> {
    checkId(id);
    checkSequence(next, "nextSequence");
    const row = this.#row(this.#core.published(), id);
    const { latest } = this.#core.log;
    if (next > latest + 1) {
      failRange(`Cannot acknowledge changes before ${next}: the newest is ${latest}`, {
        field: "nextSequence",
        nextSequence: next,
        latestSequence: latest,
      });
    }
    if (next > row.next) await this.#core.store.commit(new Acknowledge(this.#core, id, next));
    const view = this.#core.published();
    return this.#state(view, id, this.#row(view, id));
  }

  /** Ends a cursor. */
  async unregister(id: number): Promise<void> {
    checkId(id);
    await this.#core.store.commit(new Unregister(this.#core, id));
  }

  /** The next changes of a cursor. */
  page(id: number, size: number): ChangePage {
    checkId(id);
    if (typeof size !== "number") failType("Cannot fetch changes: the page size is not a number", { field: "pageSize" });
    if (!Number.isInteger(size) || size < 1 || size > PAGE_MAX) {
      failRange(`Cannot fetch changes: the page size is not a whole number from 1 to ${PAGE_MAX}`, { field: "pageSize" });
    }
    const { log, changes } = this.#core;
    const view = this.#core.published();
    const { next } = this.#row(view, id);
    const oldestSequence = log.oldest(view);
    const latestSequence = log.latest;
    if (next < oldestSequence) {
      fail("CURSOR_TRUNCATED", `Cannot fetch changes of cursor ${id}: it stands at ${next} and the log begins at ${oldestSequence}`, {
        detail: { cursorId: id, nextSequence: next, oldestSequence, latestSequence },
      });
    }
    view.tables(); // read now: the records below must not be disturbed by it
    const tables = new Map();
    const page: Change[] = [];
    log.read(view, next, size, (sequence, at, length) => page.push(changes.decode(view, tables, sequence, at, length)));
    const nextSequence = page.length === 0 ? next : page[page.length - 1]!.sequence + 1;
    return { cursorId: id, changes: page, nextSequence, latestSequence, oldestSequence };
  }
}
