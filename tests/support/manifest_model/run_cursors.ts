// The change log and its cursors: registered, fetched from, moved, ended; what the log must hold and what it may have forgotten.
import { RunBase } from "./run_base.ts";
import { compareTableNames, compareTables } from "./compare.ts";
import { expectSame } from "./same.ts";

/** The log may be longer than what it keeps by so many changes. */
const LOG_SLACK = 70;
/** Deletes so many changes at a time: a log that is longer shrinks in steps. */
const LOG_STEP = 4000;

/** Cursors. */
export abstract class RunCursors extends RunBase {
  protected oldest = 1;
  /** The log was cut so far for cursors that have done it. */
  protected cut = 1;

  protected cursorIds(): number[] {
    return this.state.cursors.all().map(({ key }) => key[0] as number);
  }

  protected async registerOrEnd(): Promise<void> {
    const ids = this.cursorIds();
    if (ids.length > 0 && this.random.chance(ids.length > 3 ? 0.8 : 0.4)) return await this.unregister(this.random.pick(ids));
    await this.register(`consumer ${this.random.int(6)}`);
  }

  protected async register(name: string): Promise<number> {
    const random = this.random;
    const { oldest, latest } = this.compareLogBounds();
    const start = random.pick(["oldest", "latest", random.int(latest + 3)] as const);
    const maxLag = random.chance(0.3) ? random.pick([2, 10, 60, Infinity]) : undefined;
    const there = this.state.cursors.all().find(({ value }) => value.name === name);
    const found = await this.finish(this.manifest.registerChangeCursor(name, { start, ...maxLag === undefined ? {} : { maxLag } }));
    const limit = maxLag === Infinity ? undefined : maxLag ?? there?.value.maxLag;
    const common = { name, latestSequence: latest, oldestSequence: oldest, maxLag: limit };
    if (there !== undefined) {
      expectSame(found, { ...common, id: there.key[0], nextSequence: there.value.next }, "a cursor that was there");
      this.state.cursors.set(there.key, { ...there.value, maxLag: limit });
      this.count("cursor registered again");
      return found.id;
    }
    const id = this.state.meta.get("next_cursor_id")?.number ?? 1;
    const next = start === "oldest" ? oldest : start === "latest" ? latest + 1 : Math.min(Math.max(start, oldest), latest + 1);
    const gap = typeof start === "number" && Math.max(start, 1) < oldest ? { first: Math.max(start, 1), last: oldest - 1 } : undefined;
    expectSame(found, { ...common, id, nextSequence: next, gap }, `a new cursor from ${start}`);
    this.state.begin(this.clock.time);
    this.state.cursors.set([id], { name, next, createdAt: this.clock.time, updatedAt: this.clock.time, maxLag: limit });
    this.state.meta.set(["next_cursor_id"], { number: id + 1 });
    this.compareTouched([...this.state.undo]);
    this.count(gap === undefined ? `cursor from ${typeof start === "number" ? "a sequence" : start}` : "cursor with a gap");
    return id;
  }

  protected async unregister(id: number): Promise<void> {
    this.compareLogBounds();
    await this.finish(this.manifest.unregisterChangeCursor(id));
    this.state.begin(this.clock.time);
    this.state.cursors.delete(id);
    this.compareTouched([...this.state.undo]);
    this.slowest = [];
    this.changesAlone = 0;
    this.cut = this.oldest;
    this.count("cursor ended");
    await this.refuses("CURSOR_UNKNOWN", () => this.manifest.fetchChangePage(id));
    await this.refuses("CURSOR_UNKNOWN", () => this.manifest.acknowledgeChanges(id, 1));
    await this.refuses("CURSOR_UNKNOWN", () => this.manifest.unregisterChangeCursor(id));
  }

  /** A page of changes of some cursor. */
  protected async fetch(): Promise<void> {
    const ids = this.cursorIds();
    if (ids.length === 0) return;
    await this.page(this.random.pick(ids), this.random.pick([1, 3, 20, 100]));
  }

  protected async page(id: number, size: number): Promise<number> {
    const { oldest } = this.compareLogBounds();
    let { next } = this.state.cursors.get(id)!;
    if (next < oldest) {
      // It has lost changes to its maxLag: it is told so until it goes on behind them.
      await this.refuses("CURSOR_TRUNCATED", () => this.manifest.fetchChangePage(id, size));
      await this.acknowledgeUpTo(id, next = oldest);
    }
    const page = await this.finish(this.manifest.fetchChangePage(id, size));
    expectSame(page.cursorId, id, "the cursor of a page");
    this.reads++;
    return this.log.compare(this.manifest, this.state, page, next, size);
  }

  protected async acknowledge(): Promise<void> {
    const random = this.random;
    const ids = this.cursorIds();
    if (ids.length === 0) return;
    const id = random.pick(ids);
    const row = this.state.cursors.get(id)!;
    const latest = this.state.sequence;
    if (random.chance(0.1)) {
      return await this.refuses("INVALID_ARGUMENT", () => this.manifest.acknowledgeChanges(id, latest + 2 + random.int(3)));
    }
    const size = random.pick([1, 10, 100, 1000]);
    const to = random.chance(0.1) ? random.int(row.next + 1) : random.chance(0.3) ? latest + 1 : await this.page(id, size);
    await this.acknowledgeUpTo(id, to);
    this.count(to > row.next ? "acknowledge" : "acknowledge that goes back");
  }

  protected async acknowledgeUpTo(id: number, to: number): Promise<void> {
    const latest = this.state.sequence;
    const row = this.state.cursors.get(id)!;
    const found = await this.finish(this.manifest.acknowledgeChanges(id, to));
    const next = Math.max(row.next, to);
    this.state.begin(this.clock.time);
    if (to > row.next) this.state.cursors.set([id], { ...row, next, updatedAt: this.clock.time });
    expectSame(
      { ...found, oldestSequence: 0 },
      { id, name: row.name, nextSequence: next, latestSequence: latest, oldestSequence: 0, maxLag: row.maxLag },
      "an acknowledge",
    );
    this.compareTouched([...this.state.undo]);
    expectSame(this.manifest.latestChangeSequence(), latest, "the newest change behind an acknowledge");
    if (to > row.next) this.slowest.push({ at: latest, next: Math.min(...this.state.cursors.all().map(({ value }) => value.next)) });
    this.compareLogBounds();
  }

  /** The log holds what it must, and not much more. */
  protected compareLogBounds(): { oldest: number; latest: number } {
    const { latest, oldest } = this.manifest.stats().changes;
    expectSame(latest, this.state.sequence, "the newest change");
    if (oldest < this.oldest) throw new Error(`the log begins at ${oldest} again, behind ${this.oldest}`);
    const { changes = 1024, bytes = 1 << 20 } = this.shape.options.logRetention ?? {};
    const keep = Math.max(1, changes);
    const cursors = this.state.cursors.all();
    if (cursors.length > 0) {
      const slowest = Math.min(...cursors.map(({ value: { next, maxLag } }) => Math.max(next, latest - (maxLag ?? latest))));
      // What one has lost to a maxLag that it had stays lost.
      if (oldest > Math.max(slowest, this.oldest)) throw new Error(`the log begins at ${oldest} and a cursor stands at ${slowest}`);
      const due = this.slowest.filter(({ at }) => latest - at >= LOG_SLACK);
      for (const { next } of due) {
        if (oldest < next && latest - oldest < LOG_STEP) {
          throw new Error(`the log begins at ${oldest}, and all cursors have come to ${next}`);
        }
      }
      if (due.length > 0) this.count("log cut for cursors");
      this.slowest = this.slowest.filter(({ at }) => latest - at < LOG_SLACK);
      this.changesAlone = 0;
      this.cut = oldest;
    } else {
      if (oldest > Math.max(this.cut, latest)) throw new Error("the newest change is gone");
      if (bytes > 1 << 20 && oldest > Math.max(this.cut, latest - keep + 1)) {
        throw new Error(`the log begins at ${oldest}, and the newest ${keep} changes up to ${latest} are to be kept`);
      }
      if (this.changesAlone > LOG_SLACK && latest - oldest + 1 > keep + LOG_SLACK && latest - oldest < LOG_STEP) {
        throw new Error(`the log has ${latest - oldest + 1} changes, and the newest ${keep} are to be kept`);
      }
      if (oldest > this.oldest) this.count("log cut by retention");
    }
    this.oldest = oldest;
    this.log.truncate(oldest);
    return { oldest, latest };
  }

  /** Everything that the log holds for some cursor; without one, one is registered for it. */
  protected async compareLog(): Promise<void> {
    this.compareLogBounds();
    const ids = this.cursorIds();
    const id = ids.length === 0 ? await this.register("comparer") : this.random.pick(ids);
    const { next } = this.state.cursors.get(id)!;
    const size = Math.max(1, this.state.sequence - next + 1);
    await this.page(id, size);
    if (ids.length === 0) await this.unregister(id);
  }

  protected override async compareAll(): Promise<void> {
    compareTables(this.manifest, this.state, this.random);
    compareTableNames(this.manifest, this.state);
    await this.compareLog();
    this.reads++;
    this.count("comparison of everything");
  }
}
