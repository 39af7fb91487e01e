// Reclaiming in the model: which objects are condemned, how deleting each goes, what remains.
import type { ReclaimOptions, StoredObject } from "../../../mod.ts";
import type { Random } from "../random.ts";
import type { ObjectKey, State } from "./state.ts";

/** How deleting an object goes. */
export type Deleting = "done" | "fails before" | "fails behind";

/** What a call of `reclaim` is given. */
export interface ReclaimCall extends Pick<ReclaimOptions, "before" | "unnamedBefore" | "parallel"> {
  readonly limit: number;
}

/** Draws a call. */
export function drawCall(random: Random, now: number): ReclaimCall {
  const ago = (): number => Math.max(0, now - random.pick([-1, 0, 500, 5000, 60_000]));
  return {
    limit: random.chance(0.5) ? 1000 : random.int(6),
    parallel: random.pick([1, 2, 8]),
    ...random.chance(0.4) ? { before: ago() } : {},
    ...random.chance(0.4) ? { unnamedBefore: ago() } : {},
  };
}

/** Condemns what the call should: first what is condemned already, then what may be collected, then what was never named. Returns all of it. */
export function condemn(state: State, { limit, before, unnamedBefore }: ReclaimCall): ObjectKey[] {
  const taken = state.waiting("condemned").slice(0, limit).map(({ key }) => key);
  const take = (key: ObjectKey): void => {
    if (taken.length === limit) return;
    taken.push(key);
    state.objects.set(key, { ...state.facts(key), condemned: true });
  };
  for (const { since, key } of state.waiting("collectable")) if (before === undefined || since < before) take(key);
  if (unnamedBefore !== undefined) {
    for (const { since, key } of state.waiting("unnamed")) if (since < unnamedBefore && state.namedBy(key).length === 0) take(key);
  }
  return taken;
}

/** Takes the rows of objects that are gone, with the chunks and deltas that name them. */
export function removeObjects(state: State, gone: readonly ObjectKey[]): void {
  for (const key of gone) {
    state.note(`object ${state.facts(key).state} to none`);
    for (const row of state.namedBy(key)) {
      if (row.delta) state.deltas.delete(...row.key);
      else state.chunks.delete(...row.key);
      state.show(row.delta ? "deleteChunkDelta" : "deleteChunk", row.delta ? "chunk_delta_index" : "chunk_catalog", row.key);
    }
    state.objects.delete(...key);
  }
}

/** The key of an object that a callback was given. */
export function keyOf({ originDb, chunkId, generation, deltaId }: StoredObject): ObjectKey {
  return [originDb, chunkId, generation, deltaId ?? -1];
}
