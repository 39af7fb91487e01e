// An operation of the model: how a program asks for it, and what the documentation says it does.
import type { ErrorCode, OperationBuilder } from "../../../mod.ts";
import { refuse, type State } from "./state.ts";

/** One operation of a transaction. */
export interface ModelOperation {
  /** The method: errors name it. */
  readonly name: string;
  /** Adds it to a transaction. */
  add(txn: OperationBuilder): void;
  /** When it is wrong: found behind all the other operations (its key is too long). */
  readonly found?: "late";
  /** Does it to the reference; throws a Refusal when it is not possible. */
  apply(state: State): void;
}

/** An operation whose arguments are wrong, whatever the state. */
export function wrong(name: string, code: ErrorCode, add: (txn: OperationBuilder) => void, found?: "late"): ModelOperation {
  return { name, add, apply: () => refuse(code), ...found === undefined ? {} : { found } };
}
