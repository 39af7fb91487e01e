// A catalog within a read-write transaction.
import { failRange, failType } from "../../errors.ts";
import { readArgument } from "../../arguments.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import type { Transaction } from "../../manifest/transact/transaction.ts";
import { Draft } from "./draft.ts";
import type { Operation } from "./edit.ts";
import { LsmReader } from "./reader.ts";
import { checkNumber } from "./sst.ts";

/** So many ids at once. */
const IDS_MAX = 0x10000;

/** A read-write transaction, or INVALID_ARGUMENT. */
export function checkTransaction(txn: Transaction): Transaction {
  return readArgument("use the catalog in a transaction", "the transaction", () => {
    if (typeof txn?.put !== "function" || typeof txn.get !== "function" || typeof txn.savepoint !== "function") {
      failType("Cannot use the catalog in a transaction: no read-write transaction was given", { field: "txn" });
    }
    return txn;
  });
}

/** Stages operations into a transaction, as one step: all or, when it throws, none. */
export function stageOperations(txn: Transaction, name: string, disjoint: boolean, operations: readonly Operation[]): Draft {
  const draft = new Draft(txn, name, disjoint);
  for (const operation of operations) operation(draft);
  draft.finish();
  return draft;
}

/** How many ids to allocate. */
export function checkCount(count: number): number {
  const action = "allocate sorted table ids";
  checkNumber(action, "count", count, IDS_MAX);
  if (count === 0) failRange(`Cannot ${action}: count is 0`, { field: "count", value: count });
  return count;
}

/** Stages the allocation of ids; returns them. */
export function stageIds(txn: Transaction, name: string, count: number): number[] {
  const draft = new Draft(txn, name, true);
  const first = draft.allocateSstIds(count);
  draft.finish();
  return Array.from({ length: count }, (_, i) => first + i);
}

/**
 * A catalog as a read-write transaction sees it, with what the transaction has done to it. Made by `LsmCatalog.within`. What is read here is validated at the commit: when another commit has changed it, the transaction's
 * function runs again.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { LsmCatalog } from "@waybill/manifest/lsm";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * const catalog = await LsmCatalog.open(manifest);
 * const key = new TextEncoder().encode("a");
 * await manifest.transact((txn) => {
 *   const lsm = catalog.within(txn);
 *   if (lsm.countSsts() < 4) catalog.edit().addSst({ id: lsm.allocateSstId(), minKey: key, maxKey: key }).stage(txn);
 * });
 * console.log(catalog.countSsts()); // 1
 * ```
 */
export class LsmTransaction extends LsmReader {
  readonly #txn: Transaction;

  /** Made by `LsmCatalog.within`. */
  constructor(txn: Transaction, name: string) {
    super(name);
    this.#txn = txn;
  }

  /**
   * Where the rows are read.
   * @internal
   */
  protected override get rows(): Reader {
    return this.#txn;
  }

  /**
   * Allocates the id of a sorted table: nobody else gets it once the transaction is durable. Until then no file may have it: where the durability mode is not "sync", call `sync` of the manifest before one is made.
   */
  allocateSstId(): number {
    return stageIds(this.#txn, this.name, 1)[0]!;
  }

  /** Allocates several ids, 1 to 65,536, one after the other. */
  allocateSstIds(count: number): number[] {
    return stageIds(this.#txn, this.name, checkCount(count));
  }
}
