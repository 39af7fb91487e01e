// Which objects backups need, and which backups need one.
//
// Memory: every object once, by its name; numbers of backups are kept for lists and pieces only, as ranges. So it grows with the objects that there are, not with files times backups: who needs the object of a file is told by the lists that name it.
import { type ObjectName, objectText, parseObject } from "./names.ts";

/** Numbers that were added in ascending order, as ranges. */
export class Ranges {
  readonly #ends: [from: number, to: number][] = [];

  /** How many there are. */
  get length(): number {
    return this.#ends.length;
  }

  /** Adds a number that is not less than the last one. */
  add(number: number): void {
    const last = this.#ends.at(-1);
    if (last !== undefined && number <= last[1] + 1) last[1] = Math.max(last[1], number);
    else this.#ends.push([number, number]);
  }

  *[Symbol.iterator](): Generator<number> {
    for (const [from, to] of this.#ends) for (let number = from; number <= to; number++) yield number;
  }
}

/** The objects that backups need. */
export class Needs {
  readonly #all = new Set<string>();
  readonly #lists = new Map<string, Ranges>();
  readonly #pieces = new Map<string, Ranges>();

  /** How many objects. */
  get size(): number {
    return this.#all.size;
  }

  /** How many names and ranges are kept. */
  get kept(): number {
    const count = (of: Map<string, Ranges>): number => [...of.values()].reduce((sum, { length }) => sum + length, 0);
    return this.#all.size + count(this.#lists) + count(this.#pieces);
  }

  /** A backup, one behind the other, needs a list. */
  list(name: ObjectName, backup: number): void {
    this.#add(this.#lists, objectText(name), backup);
  }

  /** A backup, one behind the other, needs a piece of its manifest. */
  piece(name: ObjectName, backup: number): void {
    this.#add(this.#pieces, objectText(name), backup);
  }

  /** A list needs the object of a file. */
  file(name: ObjectName): void {
    this.#all.add(objectText(name));
  }

  #add(to: Map<string, Ranges>, text: string, backup: number): void {
    this.#all.add(text);
    let ranges = to.get(text);
    if (ranges === undefined) to.set(text, ranges = new Ranges());
    ranges.add(backup);
  }

  /** Whether somebody needs an object. */
  has(text: string): boolean {
    return this.#all.has(text);
  }

  /** Every object that is needed. */
  *objects(): Generator<ObjectName> {
    for (const text of this.#all) yield parseObject(text)!;
  }

  /** Every list. */
  *lists(): Generator<[name: ObjectName, backups: Ranges]> {
    for (const [text, backups] of this.#lists) yield [parseObject(text)!, backups];
  }

  /** Backups that need an object as a list, or as a piece. */
  *of(text: string): Generator<number> {
    yield* this.#lists.get(text) ?? [];
    yield* this.#pieces.get(text) ?? [];
  }
}
