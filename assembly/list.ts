// Growable arrays of fixed-size entries in linear memory.
//
// A list is a 16-byte header {address, count, room in entries, entry size} at a static place. Entries move when the list grows: never hold
// an entry's address across a push.
import { allocate, resize } from "./mem";

@inline
export function listAt(list: usize): usize {
  return <usize> load<u32>(list);
}

@inline
export function listCount(list: usize): u32 {
  return load<u32>(list, 4);
}

@inline
export function listSetCount(list: usize, count: u32): void {
  store<u32>(list, count, 4);
}

/** Address of entry `index`, unchecked. */
@inline
export function listEntry(list: usize, index: u32): usize {
  return <usize> load<u32>(list) + <usize> (index * load<u32>(list, 12));
}

export function listInit(list: usize, entrySize: u32): void {
  store<u32>(list, 0);
  store<u32>(list, 0, 4);
  store<u32>(list, 0, 8);
  store<u32>(list, entrySize, 12);
}

/** Makes room for `more` entries; false when memory is exhausted (the list is unchanged). */
export function listReserve(list: usize, more: u32): bool {
  const count = load<u32>(list, 4);
  const room = load<u32>(list, 8);
  if (count + more <= room) return true;
  const size = load<u32>(list, 12);
  const want = max<u32>(max<u32>(16, room << 1), count + more);
  const old = <usize> load<u32>(list);
  const moved = old ? resize(old, room * size, want * size, count * size) : allocate(want * size);
  if (!moved) return false;
  store<u32>(list, <u32> moved);
  store<u32>(list, want, 8);
  return true;
}

/** Appends an entry and returns its address (contents undefined); traps when memory is exhausted. */
export function listPush(list: usize): usize {
  assert(listReserve(list, 1));
  const count = load<u32>(list, 4);
  store<u32>(list, count + 1, 4);
  return listEntry(list, count);
}
