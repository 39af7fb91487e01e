// Wake-ups within one process, by the identity of a storage: a handle that writes tells those that read the same bytes.
//
// The hub hangs on the global object under a symbol of the global registry, so that two copies of this package in one program share it. It carries no data: whoever is woken reads the
// storage.

const KEY: symbol = Symbol.for("@waybill/manifest/wake-ups");

type Listeners = Map<string, Set<() => void>>;

function hub(): Listeners {
  const host = globalThis as unknown as Record<symbol, Listeners | undefined>;
  return host[KEY] ??= new Map();
}

/** Calls back after each wake-up of an identity; returns what ends it. */
export function onWakeUp(identity: string, listener: () => void): () => void {
  const all = hub();
  let listeners = all.get(identity);
  if (listeners === undefined) all.set(identity, listeners = new Set());
  listeners.add(listener);
  return () => {
    const now = all.get(identity);
    if (now?.delete(listener) === true && now.size === 0) all.delete(identity);
  };
}

/** Wakes those who read this storage. A listener must not throw. */
export function wakeUp(identity: string): void {
  const listeners = hub().get(identity);
  if (listeners !== undefined) { for (const listener of [...listeners]) listener(); }
}
