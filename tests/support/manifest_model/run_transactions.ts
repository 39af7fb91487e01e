// Transactions alone, together and with nothing in them; read-write transactions; what became of each.
import type { Transaction } from "../../../mod.ts";
import { compareList, compareTables, compareTouched } from "./compare.ts";
import { putDb } from "./databases.ts";
import type { Undo } from "./rows.ts";
import { fail } from "./run_base.ts";
import { RunObjects } from "./run_objects.ts";
import { expectSame } from "./same.ts";
import type { State } from "./state.ts";
import { ModelTransaction } from "./transaction.ts";

/** Transactions. */
export abstract class RunTransactions extends RunObjects {
  protected async commitOne(): Promise<void> {
    const transaction = this.drawTransaction();
    await this.finish(this.issue(transaction));
    this.compareTouched(transaction.touched);
  }

  /** Several transactions at once; readers and an acknowledge come in between. */
  protected async commitGroup(): Promise<void> {
    const random = this.random;
    this.draw.alone = false;
    const states = random.chance(0.25) ? [this.state.copy()] : undefined;
    const issued: Promise<unknown>[] = [];
    const touched: Undo = [];
    for (let n = random.between(2, random.chance(0.1) ? 40 : 8); n > 0; n--) {
      const transaction = this.drawTransaction();
      touched.push(...transaction.touched);
      issued.push(this.issue(transaction));
      if (transaction.sequence > 0) states?.push(this.state.copy());
      if (random.chance(0.3)) await this.ticks(20);
      if (states !== undefined && random.chance(0.3)) this.compareBetween(states);
      if (random.chance(0.02)) issued.push(this.manifest.checkpoint());
    }
    this.draw.alone = this.syncs;
    await this.finish(Promise.all(issued));
    this.compareTouched(touched);
    this.count("group of transactions");
  }

  /** What is durable while others are on their way: one of the states. */
  protected compareBetween(states: readonly State[]): void {
    using view = this.manifest.read();
    const state = states.find(({ sequence }) => sequence === view.sequence) ?? fail(`a reader sees change ${view.sequence}`);
    compareTables(view, state, this.random);
    this.count("read between commits");
  }

  /** A transaction without operations. */
  protected async commitNothing(): Promise<void> {
    const txn = this.manifest.begin();
    if (this.random.chance(0.5)) txn.bumpGeneration(1, 0).adjustRefcount({ originDb: 1, chunkId: 1, generation: 1 }, 0);
    const receipt = await this.finish(txn.commit());
    const generations = Object.fromEntries(this.state.generations.all().map(({ key, value }) => [key[0], value.generation]));
    expectSame([receipt.sequence, receipt.generations], [0, generations], "the receipt of nothing");
    expectSame(this.manifest.latestChangeSequence(), this.state.sequence, "the newest change behind nothing");
    this.count("commit of nothing");
  }

  /** What commits have become, by their id. */
  protected async resolve(): Promise<void> {
    for (let n = 3; n > 0 && this.ids.length > 0; n--) {
      const { id, sequence } = this.random.pick(this.ids);
      const found = await this.finish(this.manifest.resolve(id));
      if (found.state === "expired") this.count("resolve expired");
      else if (sequence === undefined) expectSame(found, { state: "not_applied" }, `what became of ${id}`);
      else expectSame({ ...found, frame: 0 }, { state: "applied", sequence, frame: 0 }, `what became of ${id}`);
      this.count(`resolve ${found.state}`);
    }
    const abandoned = this.manifest.begin();
    if (this.random.chance(0.3)) this.remember(abandoned.commitId, undefined);
  }

  // ---- read-write transactions ------------------------------------------------------------------------------

  /** A read-write transaction: it reads the state and its own operations over it, goes back to savepoints, may fail, be given up, or meet another one. */
  protected async transact(): Promise<void> {
    const { random, state } = this;
    const way = random.pick(["commits", "commits", "commits", "reads", "throws", "gives up", "conflicts"] as const);
    const origin = random.chance(0.2) ? random.letters(3) : undefined;
    const alone = this.draw.alone;
    this.draw.alone = false;
    let made: ModelTransaction | undefined;
    let met = false;
    const collect = (txn: Transaction): void => {
      for (let n = random.int(3); n > 0; n--, this.reads++) compareList(txn, state, random);
      this.draw.begin(state);
      const one = made = ModelTransaction.within(txn, state, this.clock.time, origin);
      if (way === "reads") return;
      for (let n = random.between(1, this.shape.most); n > 0; n--) this.#operate(one, txn);
      if (random.chance(0.3)) this.#mark(one, txn);
      if (way === "throws") throw new Error("the function has thrown");
      if (way === "gives up") txn.rollback();
    };
    const result = this.finish(this.manifest.transact(async (txn) => {
      expectSame(txn.attempt, way === "conflicts" && met ? 2 : 1, "the attempt of a transaction");
      if (way === "conflicts" && txn.attempt === 1) met = await this.#meet(txn);
      if (!met || txn.attempt === 2) collect(txn);
    }, origin === undefined ? {} : { origin }));
    if (way === "throws") {
      await this.refuses("CALLBACK_FAILED", () => result);
      made!.giveUp(state);
    } else if (way === "gives up") {
      expectSame((await result).receipt.sequence, 0, "the sequence of a transaction that was given up");
      made!.giveUp(state);
    } else {
      await result.catch(() => {});
      made!.end(state);
      this.made(made!);
      this.issued(made!, await made!.settled(result.then(({ receipt }) => receipt)));
    }
    this.draw.alone = alone;
    this.compareTouched(made!.touched);
    this.count(`transact ${way}`);
  }

  /** One more operation; what it has done can be read at once. */
  #operate(one: ModelTransaction, txn: Transaction): void {
    const { random, state } = this;
    one.add(state, random.int(200) < this.shape.wrong ? this.draw.wrong(state) : this.draw.operation(state));
    if (one.rejection !== undefined || !random.chance(0.3)) return;
    compareTouched(txn, state, state.undo.filter(({ rows }) => rows !== state.objects));
    this.count("read of own operations");
  }

  /** Operations behind a savepoint, which may all be forgotten. */
  #mark(one: ModelTransaction, txn: Transaction): void {
    const savepoint = txn.savepoint();
    const back = one.mark(this.state);
    for (let n = this.random.between(1, 4); n > 0; n--) this.#operate(one, txn);
    if (this.random.chance(0.3)) return txn.release(savepoint);
    txn.rollbackTo(savepoint);
    back();
    this.count("rollback to a savepoint");
  }

  /** Something is read that another commit changes before this one's. Returns whether it has. */
  async #meet(txn: Transaction): Promise<boolean> {
    const { random, state } = this;
    const db = state.databases.size === 0 ? 1 : random.pick(state.databases.all()).key[0] as number;
    expectSame(txn.getDb(db), state.databases.get(db), `database ${db} in a transaction`);
    const other = ModelTransaction.make(this.manifest, state, random, this.clock.time, 1, () => putDb(db, { name: random.letters(8) }));
    await this.issue(this.made(other));
    if (other.rejection !== undefined) return false;
    txn.bumpGeneration(1);
    return true;
  }
}
