// The change log of the reference: every change since the oldest that may be asked for, and how a consumer must see it.
import type { AnyTable, Change, ChangePage, Manifest } from "../../../mod.ts";
import { expectSame, same, show } from "./same.ts";
import type { Shown, State } from "./state.ts";
import { type Bounds, within } from "./user_rows.ts";

/** A change as it must be shown. */
export interface ModelChange {
  readonly sequence: number;
  /** Undefined: nobody knows. */
  commitId: string | undefined;
  readonly committedAt: number;
  readonly origin: string | undefined;
  readonly generations: Readonly<Record<number, number>>;
  readonly shown: readonly Shown[];
  /** Its operations came in an order that is not known. */
  readonly unordered: boolean;
}

/** The change log of the reference. */
export class ModelLog {
  /** Operations seen as bytes, because their table has been dropped. */
  unreadable = 0;
  #first = 1;
  #changes: ModelChange[] = [];

  get length(): number {
    return this.#changes.length;
  }

  push(change: ModelChange): void {
    if (change.sequence !== this.#first + this.#changes.length) throw new Error(`the reference has a gap at ${change.sequence}`);
    this.#changes.push(change);
  }

  /** Forgets what the manifest no longer keeps. */
  truncate(oldest: number): void {
    if (oldest <= this.#first) return;
    this.#changes.splice(0, oldest - this.#first);
    this.#first = oldest;
  }

  /** Takes back what a crash has taken. */
  fall(sequence: number): void {
    this.#changes.splice(Math.max(0, sequence - this.#first + 1));
  }

  at(sequence: number): ModelChange {
    return this.#changes[sequence - this.#first] ?? fail(`change ${sequence} is not known`);
  }

  /** Compares a page of changes, the first of which must be `next`. Returns the next one behind it. */
  compare(manifest: Manifest, state: State, page: ChangePage, next: number, size: number): number {
    const latest = state.sequence;
    if (page.latestSequence !== latest) throw new Error(`a page says that ${page.latestSequence} is the newest change, expected ${latest}`);
    const wanted = Math.min(size, latest - next + 1);
    if (page.changes.length !== wanted) throw new Error(`a page from ${next} on has ${page.changes.length} changes, expected ${wanted}`);
    page.changes.forEach((change, i) => this.#compare(manifest, state, change, this.at(next + i)));
    if (page.nextSequence !== next + wanted) throw new Error(`a page goes on at ${page.nextSequence}, expected ${next + wanted}`);
    return page.nextSequence;
  }

  #compare(manifest: Manifest, state: State, found: Change, wanted: ModelChange): void {
    const what = `change ${wanted.sequence}`;
    expectSame(found.sequence, wanted.sequence, "the sequence of a change");
    if (wanted.commitId !== undefined) expectSame(found.commitId, wanted.commitId, `the commit id of ${what}`);
    expectSame(found.committedAt, wanted.committedAt, `the time of ${what}`);
    expectSame(found.origin, wanted.origin, `the origin of ${what}`);
    expectSame(found.generations, wanted.generations, `the generations of ${what}`);
    const { operations } = found;
    for (const { op } of operations) if (op === "unreadable") this.unreadable++;
    if (operations.length !== wanted.shown.length) {
      throw new Error(`${what} has the operations ${show(operations)}, expected ${show(wanted.shown)}`);
    }
    if (wanted.unordered) {
      const left = [...wanted.shown];
      for (const operation of operations) {
        const at = left.findIndex((one) => sameOperation(manifest, state, operation, one));
        if (at < 0) throw new Error(`${what} has the operation ${show(operation)}, expected one of ${show(left)}`);
        left.splice(at, 1);
      }
      return;
    }
    operations.forEach((operation, i) => {
      if (sameOperation(manifest, state, operation, wanted.shown[i]!)) return;
      throw new Error(`operation ${i} of ${what} is ${show(operation)}, expected ${show(wanted.shown[i])}`);
    });
  }
}

function fail(reason: string): never {
  throw new Error(reason);
}

function sameOperation(manifest: Manifest, state: State, found: Change["operations"][number], wanted: Shown): boolean {
  const { op, table, key, value, incarnation } = wanted;
  const there = incarnation === undefined ? undefined : state.userTables.get(table);
  if (incarnation !== undefined && there?.incarnation !== incarnation) return found.op === "unreadable" && found.effect === op;
  if (found.op === "unreadable" || found.op !== op || found.table !== table) return false;
  if (found.op !== "deleteRange") return same(found.key, key) && ("value" in found ? same(found.value, value) : value === undefined);
  // Positions are compared by what lies between them now.
  const { from, until } = found;
  const rows = there!.rows.sorted().map((row) => row.key).filter((one) => within(one, key as Bounds));
  return same(manifest.keys(there!.definition.table as AnyTable, { from, until }).toArray(), rows);
}
