// Random operations for the model of the LSM catalog, as an edit and as the reference does them.
import type { LsmEdit, SstInput } from "../../../src/catalogs/lsm/mod.ts";
import type { Random } from "../../support/random.ts";
import { ids } from "./lsm.ts";
import { compareKeys, type Draft, type Reference } from "./reference.ts";

/** One operation, for both. */
export interface Step {
  readonly what: string;
  edit(edit: LsmEdit): LsmEdit;
  draft(draft: Draft): void;
}

/** Draws operations that have something to do with the present state. */
export class Steps {
  readonly #random: Random;
  readonly #now: () => Reference;

  constructor(random: Random, now: () => Reference) {
    this.#random = random;
    this.#now = now;
  }

  key(): Uint8Array {
    return Uint8Array.from({ length: this.#random.int(4) }, () => this.#random.int(5));
  }

  /** A table, with an id that is new, or was given out, or is in use, or was removed. */
  #sst(): SstInput {
    const random = this.#random;
    const { nextSst } = this.#now();
    const [minKey, maxKey] = [this.key(), this.key()].sort(compareKeys) as [Uint8Array, Uint8Array];
    const id = random.chance(0.8) ? Math.max(1, nextSst - random.int(6)) : random.between(1, nextSst + 3);
    // What is said of an id never changes but for its level: a table that moves is the same file.
    return { id, level: random.int(4), minKey, maxKey, sizeBytes: id * 3, entries: id, ...id % 2 === 0 ? { fileName: `${id}.sst` } : {} };
  }

  #wal(): number {
    return this.#random.between(1, this.#now().nextWal + 1);
  }

  step(): Step {
    const random = this.#random;
    switch (random.int(10)) {
      case 0: {
        const version = random.int(5);
        return { what: "setVersion", edit: (edit) => edit.setVersion(version), draft: (draft) => draft.setVersion(version) };
      }
      case 1: {
        const wal = this.#wal();
        return { what: "setActiveWal", edit: (edit) => edit.setActiveWal(wal), draft: (draft) => draft.setActiveWal(wal) };
      }
      case 2: {
        const wal = this.#wal();
        return { what: "addFrozenWal", edit: (edit) => edit.addFrozenWal(wal), draft: (draft) => draft.addFrozenWal(wal) };
      }
      case 3: {
        const wal = this.#wal();
        return { what: "removeFrozenWal", edit: (edit) => edit.removeFrozenWal(wal), draft: (draft) => draft.removeFrozenWal(wal) };
      }
      case 4: {
        const wal = random.chance(0.8) ? this.#now().nextWal : this.#wal();
        return { what: "rotateWal", edit: (edit) => edit.rotateWal(wal), draft: (draft) => draft.rotateWal(wal) };
      }
      case 5: {
        const sst = this.#sst();
        return { what: "addSst", edit: (edit) => edit.addSst(sst), draft: (draft) => draft.addSst(sst) };
      }
      case 6: {
        const id = random.between(1, this.#now().nextSst);
        return { what: "removeSst", edit: (edit) => edit.removeSst(id), draft: (draft) => draft.removeSst(id) };
      }
      case 7: {
        const lsn = random.int(1000);
        return { what: "updateLsn", edit: (edit) => edit.updateLsn(lsn), draft: (draft) => draft.updateLsn(lsn) };
      }
      case 8:
        return this.#flush();
      default:
        return this.#compaction();
    }
  }

  #flush(): Step {
    const random = this.#random;
    const { frozen, retired, active = 1 } = this.#now();
    const ssts = random.chance(0.8) ? [this.#sst()] : [];
    const wal = random.chance(0.9) && frozen.length + retired.length > 0 ? random.pick([...frozen, ...retired]) : random.pick([active, 77]);
    const lsn = random.int(1500);
    return {
      what: "flush",
      edit: (edit) => edit.flush({ sst: ssts, wal, lsn }),
      draft: (draft) => {
        for (const sst of ssts) draft.addSst(sst);
        draft.flushWal(wal);
        draft.updateLsn(lsn);
      },
    };
  }

  /** Removes some tables; adds others, or moves some of them, or both. */
  #compaction(): Step {
    const random = this.#random;
    const removed = ids(this.#now().ssts.filter(() => random.chance(0.25)));
    const moved = this.#now().ssts.filter(({ id }) => removed.includes(id) && random.chance(0.3)).map((one) => ({
      ...one,
      level: random.int(4),
    }));
    const added = Array.from({ length: random.int(3) }, () => this.#sst());
    const all = random.shuffle([...added, ...moved]);
    return {
      what: "applyCompaction",
      edit: (edit) => edit.applyCompaction({ added: all, removed }),
      draft: (draft) => {
        for (const id of removed) draft.removeSst(id);
        for (const one of all) draft.addSst(one);
      },
    };
  }
}
