// A seeded plan of work on a store: the same steps on every runtime and cache, and the rows that they must leave.
//
// The plan is made before anything runs and depends on the seed alone, so a process that did not do the work can tell what the file has to hold.
import { type Random, seeded } from "./random.ts";

/** A value by the seed and length of its bytes. */
export interface PlannedValue {
  readonly seed: number;
  readonly length: number;
}

/** One operation of a transaction. */
export type PlannedOp =
  | { readonly kind: "put"; readonly table: string; readonly key: string; readonly value: PlannedValue }
  | { readonly kind: "delete"; readonly table: string; readonly key: string }
  | { readonly kind: "deleteRange"; readonly table: string; readonly key: string; readonly to: string };

/** A chunk that a step puts and lists. */
export interface PlannedChunk {
  readonly id: number;
  readonly generation: number;
}

/** One step; `together` issues all its transactions in one turn. */
export type Step =
  | { readonly kind: "commit"; readonly ops: readonly PlannedOp[] }
  | { readonly kind: "publish"; readonly db: number; readonly snapshot: number; readonly chunks: readonly PlannedChunk[] }
  | { readonly kind: "unpublish"; readonly db: number; readonly snapshot: number }
  | { readonly kind: "together"; readonly transactions: readonly (readonly PlannedOp[])[] }
  | { readonly kind: "create"; readonly table: string }
  | { readonly kind: "drop"; readonly table: string }
  | { readonly kind: "hold" | "release" | "checkpoint" | "compact" | "check" | "reopen" };

/** Rows by key. */
export type Rows = Map<string, PlannedValue>;

/** What to do and what must be there afterwards. */
export interface Plan {
  readonly seed: number;
  readonly pageSize: number;
  readonly cacheBytes: number;
  readonly steps: readonly Step[];
  readonly tables: ReadonlyMap<string, Rows>;
  /** Snapshots that are published at the end: "db/snapshot" → its chunks. */
  readonly snapshots: ReadonlyMap<string, readonly PlannedChunk[]>;
  /** Transactions that are changes. */
  readonly sequence: number;
}

/** What a plan may contain. */
export interface PlanShape {
  readonly steps: number;
  readonly keys: number;
  /** Largest long value; one in `longEvery` is long. */
  readonly longest: number;
  readonly longEvery: number;
  /** Only commits, table steps and checkpoints, one after each step: no checkpoint begins by itself. */
  readonly explicit?: boolean;
}

/** The bytes of a planned value. */
export function valueBytes({ seed, length }: PlannedValue): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(length);
  let x = (seed | 1) >>> 0;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    out[i] = x >>> 24;
  }
  return out;
}

/** Whether bytes are those of a planned value. */
export function isValue(bytes: Uint8Array | undefined, { seed, length }: PlannedValue): boolean {
  if (bytes === undefined || bytes.length !== length) return false;
  let x = (seed | 1) >>> 0;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    if (bytes[i] !== x >>> 24) return false;
  }
  return true;
}

class Planner {
  readonly tables = new Map<string, Rows>();
  readonly snapshots = new Map<string, readonly PlannedChunk[]>();
  readonly steps: Step[] = [];
  /** The first three put the databases. */
  sequence = 3;
  #published = 0;
  #names = 0;
  #held = 0;
  readonly #random: Random;
  readonly #shape: PlanShape;

  constructor(random: Random, shape: PlanShape) {
    this.#random = random;
    this.#shape = shape;
  }

  #key(): string {
    const n = this.#random.int(this.#shape.keys);
    return n % 3 === 0 ? `shared/prefix/${n}` : n % 3 === 1 ? `${n}` : `k${n}${"-".repeat(n % 200)}`;
  }

  #value(): PlannedValue {
    const { longest, longEvery } = this.#shape;
    const random = this.#random;
    const length = random.int(longEvery) === 0 ? random.int(longest) : random.chance(0.1) ? 0 : random.int(random.chance(0.1) ? 2000 : 160);
    return { seed: random.u32(), length };
  }

  #transaction(): PlannedOp[] {
    const random = this.#random;
    const ops: PlannedOp[] = [];
    this.sequence++;
    for (let i = random.chance(0.1) ? random.between(20, 150) : random.between(1, 6); i > 0; i--) {
      const [table, rows] = random.pick([...this.tables]);
      const key = this.#key();
      if (random.chance(0.75)) {
        const value = this.#value();
        rows.set(key, value);
        ops.push({ kind: "put", table, key, value });
      } else if (random.chance(0.95)) {
        rows.delete(key);
        ops.push({ kind: "delete", table, key });
      } else {
        const other = this.#key();
        const [from, to] = key < other ? [key, other] : [other, key];
        for (const each of [...rows.keys()]) if (each >= from && each < to) rows.delete(each);
        ops.push({ kind: "deleteRange", table, key: from, to });
      }
    }
    return ops;
  }

  #create(): void {
    const table = `table ${this.#names++}`;
    this.tables.set(table, new Map());
    this.steps.push({ kind: "create", table });
  }

  #drop(): void {
    if (this.tables.size < 2) return;
    const table = this.#random.pick([...this.tables.keys()]);
    this.tables.delete(table);
    this.steps.push({ kind: "drop", table });
  }

  #together(): void {
    const transactions = Array.from({ length: this.#random.between(2, 50) }, () => this.#transaction());
    this.steps.push({ kind: "together", transactions });
  }

  #catalog(): void {
    const random = this.#random;
    this.sequence++;
    if (this.snapshots.size > 0 && random.chance(0.4)) {
      const name = random.pick([...this.snapshots.keys()]);
      const [db, snapshot] = name.split("/").map(Number) as [number, number];
      this.snapshots.delete(name);
      this.steps.push({ kind: "unpublish", db, snapshot });
      return;
    }
    const db = random.between(1, 3);
    const ids = random.shuffle(Array.from({ length: 60 }, (_, id) => id)).slice(0, random.between(1, 40));
    const planned = ids.map((id): PlannedChunk => ({ id, generation: random.int(4) }));
    const snapshot = ++this.#published;
    this.snapshots.set(`${db}/${snapshot}`, planned);
    this.steps.push({ kind: "publish", db, snapshot, chunks: planned });
  }

  #plain(kind: "hold" | "release" | "checkpoint" | "compact" | "check" | "reopen"): void {
    if (kind === "hold") {
      if (this.#held === 4) return;
      this.#held++;
    }
    if (kind === "release") {
      if (this.#held === 0) return;
      this.#held--;
    }
    if (kind === "reopen") this.#held = 0;
    this.steps.push({ kind });
  }

  make(): void {
    const random = this.#random;
    const explicit = this.#shape.explicit ?? false;
    this.#create();
    this.#create();
    while (this.steps.length < this.#shape.steps) {
      const roll = random.int(1000);
      if (roll < 550) this.steps.push({ kind: "commit", ops: this.#transaction() });
      else if (roll < 720) this.#together();
      else if (roll < 760) this.#catalog();
      else if (roll < 800) this.#create();
      else if (roll < 830) this.#drop();
      else if (roll < 880) this.#plain("checkpoint");
      else if (explicit) continue;
      else if (roll < 910) this.#plain("hold");
      else if (roll < 945) this.#plain("release");
      else if (roll < 970) this.#plain("reopen");
      else if (roll < 990) this.#plain("compact");
      else this.#plain("check");
      if (explicit) this.steps.push({ kind: "checkpoint" });
    }
    this.steps.push({ kind: "checkpoint" });
  }
}

/** The plan of a seed. */
export function makePlan(seed: number, shape: PlanShape = { steps: 90, keys: 900, longest: 60_000, longEvery: 60 }): Plan {
  const random = seeded(seed);
  const pageSize = random.pick([4096, 4096, 4096, 16384, 65536]);
  const cacheBytes = pageSize * random.pick([64, 100, 256]);
  const planner = new Planner(random.fork(1), shape);
  planner.make();
  return {
    seed,
    pageSize,
    cacheBytes,
    steps: planner.steps,
    tables: planner.tables,
    snapshots: planner.snapshots,
    sequence: planner.sequence,
  };
}
