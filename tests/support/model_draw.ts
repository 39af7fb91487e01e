// What the transactions of the model do: tables, keys, values and changes drawn by a shape. Phases of growing and shrinking alternate.
import { randomKey } from "./model_keys.ts";
import type { Shape } from "./model_shapes.ts";
import type { Change, ModelTable, Tables } from "./model_state.ts";
import type { Value } from "./model_value.ts";
import type { Random } from "./random.ts";

const LONGEST = 16 << 20;

/** Draws what a run does. */
export class Draw {
  readonly #shape: Shape;
  readonly #random: Random;
  readonly #count: (what: string) => void;
  readonly #pageSize: number;
  readonly #totalLength: number;
  #growing = true;
  #next = 0;

  constructor(shape: Shape, random: Random, count: (what: string) => void) {
    this.#shape = shape;
    this.#random = random;
    this.#count = count;
    this.#pageSize = shape.options.pageSize ?? 4096;
    this.#totalLength = shape.lengths.reduce((sum, [weight]) => sum + weight, 0);
  }

  /** A table. */
  table(tables: Tables): ModelTable {
    return this.#random.pick([...tables.values()]);
  }

  /** A key of a table's style. */
  key(table: ModelTable): string {
    const { styles, space } = this.#shape;
    const style = styles[Number(table.name.slice(6)) % styles.length]!;
    return randomKey(this.#random, style, space, () => this.#next++);
  }

  #value(): Value {
    const random = this.#random;
    const seed = random.u32();
    let roll = random.int(this.#totalLength);
    const [, most] = this.#shape.lengths.find(([weight]) => (roll -= weight) < 0)!;
    const length = random.chance(most > LONGEST / 16 ? 0.1 : 0.02) ? most : random.int(most + 1);
    if (length === 0) this.#count("value of 0 bytes");
    if (length > this.#pageSize) this.#count("value beyond a page");
    if (length > LONGEST / 2) this.#count("value above 8 MiB");
    if (length === LONGEST) this.#count("value of 16 MiB");
    return { seed, length };
  }

  /** The changes of one transaction. */
  changes(tables: Tables): Change[] {
    const random = this.#random;
    if (random.chance(0.015)) this.#growing = !this.#growing;
    const some = Array.from({ length: random.between(1, 3) }, () => this.table(tables));
    const most = random.chance(0.1) ? this.#shape.operationsMany : this.#shape.operationsEach;
    const changes: Change[] = [];
    for (let n = random.between(1, most); n > 0; n--) {
      const table = random.pick(some);
      const { id, rows } = table;
      if (random.chance(this.#growing ? 0.78 : 0.3)) {
        changes.push({ kind: "put", table: id, key: this.key(table), value: this.#value() });
      } else if (random.chance(0.97)) {
        const key = random.chance(0.75) && rows.keys.length > 0 ? random.pick(rows.keys) : this.key(table);
        changes.push({ kind: "delete", table: id, key });
      } else {
        const from = random.int(rows.keys.length + 1);
        const key = rows.keys[from] ?? this.key(table);
        const upper = random.chance(0.9) ? rows.keys[from + random.int(60)] ?? this.key(table) : this.key(table);
        changes.push({ kind: "deleteRange", table: id, key, upper });
      }
    }
    return changes;
  }
}
