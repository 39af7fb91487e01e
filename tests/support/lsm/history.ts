// Writes to an engine, in their order, with the moments at which each was begun and acknowledged: what a crash at any moment may have left of them.
//
// The engine numbers writes as this does: the state after a crash is that after some number of them, at least all that were acknowledged, at most all that were begun.

/** A write. Undefined: a deletion. */
export interface Write {
  readonly key: string;
  readonly value: string | undefined;
}

/** Numbers of the last write that an image may hold. */
export interface Bounds {
  readonly least: number;
  readonly most: number;
}

/** The writes of one machine. Moments are numbers of calls made. */
export class LsmHistory {
  readonly #writes: Write[];
  /** Of each write behind `#known`: when it was begun and acknowledged. */
  readonly #begun: number[] = [];
  readonly #acknowledged: (number | undefined)[] = [];
  readonly #known: number;
  readonly #contents = new Map<number, string>();
  readonly #state = new Map<string, string>();
  #stateOf = 0;

  /** Goes on behind writes that are durable. */
  constructor(known: readonly Write[] = []) {
    this.#writes = [...known];
    this.#known = known.length;
  }

  /** How many writes there were. */
  get length(): number {
    return this.#writes.length;
  }

  /** The first writes. */
  first(count: number): readonly Write[] {
    return this.#writes.slice(0, count);
  }

  /** Notes a write that is begun now; returns its number. */
  begin(write: Write, moment: number): number {
    this.#begun.push(moment);
    this.#acknowledged.push(undefined);
    return this.#writes.push(write);
  }

  /** Notes that a write is acknowledged now. */
  acknowledge(number: number, moment: number): void {
    this.#acknowledged[number - this.#known - 1] = moment;
  }

  /** What a crash after so many calls may have left. */
  bounds(moment: number): Bounds {
    let least = this.#known, most = this.#known;
    for (let i = 0; i < this.#begun.length; i++) {
      if (this.#begun[i]! <= moment) most = this.#known + i + 1;
      if (this.#acknowledged[i] !== undefined && this.#acknowledged[i]! <= moment) least = this.#known + i + 1;
    }
    return { least, most };
  }

  /** What is there after so many writes, as one text. */
  content(count: number): string {
    let content = this.#contents.get(count);
    if (content !== undefined) return content;
    if (count < this.#stateOf) {
      this.#state.clear();
      this.#stateOf = 0;
    }
    for (; this.#stateOf < count; this.#stateOf++) {
      const { key, value } = this.#writes[this.#stateOf]!;
      if (value === undefined) this.#state.delete(key);
      else this.#state.set(key, value);
    }
    content = textOf([...this.#state].sort(([a], [b]) => a < b ? -1 : 1));
    this.#contents.set(count, content);
    return content;
  }

  /** The value of a key after so many writes. */
  value(key: string, count: number): string | undefined {
    for (let number = count - 1; number >= 0; number--) if (this.#writes[number]!.key === key) return this.#writes[number]!.value;
    return undefined;
  }
}

/** Pairs as one text. */
export function textOf(pairs: Iterable<readonly [key: string, value: string]>): string {
  let text = "";
  for (const [key, value] of pairs) text += `${key}=${value}\n`;
  return text;
}
