// A set of whole numbers that come and go in runs, kept as the runs.

interface Run {
  from: number;
  /** The first one behind it. */
  until: number;
}

/** A set of whole numbers. */
export class IdRanges {
  /** In order, apart from each other. */
  readonly #runs: Run[] = [];

  /** How many runs there are. */
  get runs(): number {
    return this.#runs.length;
  }

  /** The first run that ends behind an id. */
  #find(id: number): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#runs[middle]!.until <= id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Whether an id is in it. */
  has(id: number): boolean {
    const run = this.#runs[this.#find(id)];
    return run !== undefined && run.from <= id;
  }

  /** Puts `count` ids in, from `from` on. */
  add(from: number, count: number): void {
    if (count <= 0) return;
    let until = from + count;
    const at = this.#find(from - 1);
    let end = at;
    for (; end < this.#runs.length && this.#runs[end]!.from <= until; end++) {
      from = Math.min(from, this.#runs[end]!.from);
      until = Math.max(until, this.#runs[end]!.until);
    }
    this.#runs.splice(at, end - at, { from, until });
  }

  /** Takes an id out. */
  delete(id: number): void {
    const at = this.#find(id);
    const run = this.#runs[at];
    if (run === undefined || run.from > id) return;
    const parts = [{ from: run.from, until: id }, { from: id + 1, until: run.until }].filter(({ from, until }) => from < until);
    this.#runs.splice(at, 1, ...parts);
  }
}
