// Writer claims within one process, by identity: the same storage cannot be opened for writing twice, whatever names lead to it.
//
// The registry hangs on the global object under a symbol of the global registry, so that two copies of this package in one program share it.
import { fail } from "../errors.ts";
import type { LockHolder } from "./storage.ts";

const KEY: symbol = Symbol.for("@waybill/manifest/writers");

function claims(): Map<string, LockHolder> {
  const host = globalThis as unknown as Record<symbol, Map<string, LockHolder> | undefined>;
  return host[KEY] ??= new Map();
}

/** Claims an identity for one writer and returns what gives it back; throws LOCKED when this process holds it already. */
export function claimIdentity(identity: string, name: string, holder: LockHolder): () => void {
  const held = claims();
  const other = held.get(identity);
  if (other !== undefined) {
    fail("LOCKED", `Cannot lock "${name}": this process already has it open for writing`, {
      detail: { file: name, holder: other, sameProcess: true },
    });
  }
  held.set(identity, holder);
  return () => {
    if (held.get(identity) === holder) held.delete(identity);
  };
}
