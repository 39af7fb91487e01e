// Looks over a store's shoulder while a workload runs: dumps the state after every frame, and notes when each was handed over and when it was acknowledged.
//
// The state before a transaction is dumped when its turn has come to be staged: then it is the state after the frame before, also inside a group that has no receipt yet. Every transaction passes through the
// committer, those of compaction and of tables included, so that is where this listens; whoever is not being watched is not touched.
import { Committer } from "../../../src/store/commit.ts";
import { Store } from "../../../src/store/store.ts";
import type { CommitRequest } from "../../../src/store/types.ts";
import { dumpState } from "./dump.ts";
import type { Confirm, History } from "./history.ts";

/** A store that is being watched. */
interface Watch {
  commit<R>(request: CommitRequest, commit: () => Promise<R>): Promise<R>;
}

/** The store that was opened last; its committer is the next one that nobody knows. */
let newest: Watch | undefined;
const watches = new WeakMap<Committer, Watch>();

const original = Committer.prototype.commit;
Committer.prototype.commit = function (request, registry) {
  let watch = watches.get(this);
  if (watch === undefined && newest !== undefined) {
    watches.set(this, watch = newest);
    newest = undefined;
  }
  const commit = (): ReturnType<typeof original> => original.call(this, request, registry);
  return watch === undefined ? commit() : watch.commit(request, commit);
};

/** What is to be said of the commit that is handed over next. */
export interface Expected<S> {
  /** What the reference says of the state behind it. */
  readonly confirm: Confirm<S>;
  /** Called with the frame that it gets. */
  onFrame(frame: number): void;
}

/** Watches the stores of one disk, one after the other. */
export class Recorder<S> {
  readonly #history: History<S>;
  readonly #calls: () => number;
  /** Of the commit that is handed over next. */
  expected: Expected<S> | undefined;
  #store: Store | undefined;

  constructor(history: History<S>, calls: () => number) {
    this.#history = history;
    this.#calls = calls;
  }

  /** Dumps the newest applied state. */
  look(store: Store): void {
    const { newest, kernel } = store;
    this.#history.state(newest.frame, () => dumpState(kernel, newest));
  }

  /** Everything applied by now is known to be durable. */
  durable(store: Store): void {
    this.look(store);
    this.#history.acknowledged(this.#calls(), store.newest.frame);
  }

  /** Ends watching: what the store still does is lost. */
  end(): void {
    this.#store = undefined;
    newest = undefined;
  }

  #attach(store: Store): void {
    this.#store = store;
    this.#history.opened(this.#calls(), store.newest.frame);
    this.durable(store);
    newest = { commit: (request, commit) => this.#store === store ? this.#commit(store, request, commit) : commit() };
  }

  async #commit<R>(store: Store, request: CommitRequest, commit: () => Promise<R>): Promise<R> {
    const { expected } = this;
    this.expected = undefined;
    const stage = request.stage.bind(request);
    let frame = 0;
    request.stage = () => {
      if (this.#store !== store) return stage();
      this.look(store);
      const staged = stage();
      frame = store.newest.frame + 1;
      this.#history.submitted(this.#calls(), frame);
      if (expected !== undefined) {
        this.#history.reference(frame, expected.confirm);
        expected.onFrame(frame);
      }
      return staged;
    };
    const receipt = await commit();
    if (this.#store === store && store.options.durability === "sync") {
      this.#history.acknowledged(this.#calls(), Math.min(frame, store.newest.frame));
    }
    return receipt;
  }

  /** Watches the store that `open` opens. */
  async opening(open: () => Promise<unknown>): Promise<Store> {
    const openStore = Store.open;
    Store.open = async (storage, options) => {
      const store = await openStore.call(Store, storage, options);
      this.#attach(store);
      return store;
    };
    try {
      await open();
    } finally {
      Store.open = openStore;
    }
    return this.#store!;
  }
}
