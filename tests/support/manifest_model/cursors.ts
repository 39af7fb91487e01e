// The operation that moves a change cursor in a transaction, as its documentation has it.
import type { ModelOperation } from "./operation.ts";
import { refuse } from "./state.ts";

/** Its name: it is bookkeeping, in no change. */
export const ACKNOWLEDGE = "acknowledge";

export function acknowledge(id: number, next: number): ModelOperation {
  return {
    name: ACKNOWLEDGE,
    add: (txn) => txn.acknowledge(id, next),
    apply(state) {
      const row = state.cursors.get(id) ?? refuse("CURSOR_UNKNOWN");
      if (next > state.durable + 1) refuse("INVALID_ARGUMENT");
      if (next > row.next) state.cursors.set([id], { ...row, next, updatedAt: state.now });
    },
  };
}
