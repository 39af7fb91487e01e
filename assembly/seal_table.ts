// The seal table: what is known about the pages that recent freezes placed.
//
// A branch page copied while a checkpoint is sealing may point to a page whose checksum did not exist yet. Until every such branch has been
// sealed or is dead, the checksum is found here, by place. While a frozen page still lies at a spill place, the entry says where.
// One table per freeze; the newest that knows a place is right, because a place is given again only when nothing can reach its old page.
import { listCount, listEntry, listInit, listPush, listSetCount } from "./list";
import { allocate, release } from "./mem";

// Entry, 16 bytes: place, checksum, spill place (0 = none), state.
export const SEAL_CRC: usize = 4;
export const SEAL_SPILL: usize = 8;
export const SEAL_STATE: usize = 12;
export const SEAL_OPEN: u32 = 0;
export const SEAL_DONE: u32 = 1;

// A table, 20 bytes: entries address, bits, count, and the versions it serves: those after `from` and up to `to`.
const tables = memory.data(16, 8);
const T_BITS: usize = 4;
const T_COUNT: usize = 8;
const T_FROM: usize = 12;
const T_TO: usize = 16;
const OPEN_END: u32 = 0xffffffff;
/** Version frozen by the freeze before the newest. */
let lastFrozen: u32 = 0;

export function sealTablesInit(): void {
  listInit(tables, 20);
}

@inline
function hash(place: u32, bits: u32): u32 {
  return (place * 0x9e3779b1) >> (32 - bits);
}

/** Starts the table of a freeze of version `frozen`; false when memory is exhausted. */
export function sealTableNew(frozen: u32): bool {
  const bits: u32 = 8;
  const at = allocate(16 << bits);
  if (!at) return false;
  memory.fill(at, 0, 16 << bits);
  const n = listCount(tables);
  if (n) store<u32>(listEntry(tables, n - 1), frozen, T_TO);
  const t = listPush(tables);
  store<u32>(t, <u32> at);
  store<u32>(t, bits, T_BITS);
  store<u32>(t, 0, T_COUNT);
  store<u32>(t, lastFrozen, T_FROM);
  store<u32>(t, OPEN_END, T_TO);
  lastFrozen = frozen;
  return true;
}

export function sealTables(): u32 {
  return listCount(tables);
}

/** First and last version that table `i` serves; the newest table serves all that come. */
export function sealTableFrom(i: u32): u32 {
  return load<u32>(listEntry(tables, i), T_FROM) + 1;
}

export function sealTableTo(i: u32): u32 {
  return load<u32>(listEntry(tables, i), T_TO);
}

/** Forgets table `i`. */
export function sealTableDrop(i: u32): void {
  const t = listEntry(tables, i);
  release(<usize> load<u32>(t), 16 << load<u32>(t, T_BITS));
  const n = listCount(tables);
  memory.copy(t, t + 20, (n - i - 1) * 20);
  listSetCount(tables, n - 1);
}

/** Entry of a place, or 0. Valid until the next insertion. */
export function sealEntry(place: u32): usize {
  for (let i = listCount(tables); i > 0; i--) {
    const t = listEntry(tables, i - 1);
    const bits = load<u32>(t, T_BITS);
    const mask = (<u32> 1 << bits) - 1;
    const entries = <usize> load<u32>(t);
    let h = hash(place, bits);
    while (true) {
      const e = entries + (<usize> h << 4);
      const p = load<u32>(e);
      if (p == place) return e;
      if (!p) break;
      h = (h + 1) & mask;
    }
  }
  return 0;
}

/** An entry whose page lies at a spill place below `limit`, or 0. */
export function sealSpilledBelow(limit: u32): usize {
  for (let i = listCount(tables); i > 0; i--) {
    const t = listEntry(tables, i - 1);
    const end = <u32> 1 << load<u32>(t, T_BITS);
    for (let k: u32 = 0; k < end; k++) {
      const e = <usize> load<u32>(t) + (<usize> k << 4);
      const spill = load<u32>(e, SEAL_SPILL);
      if (load<u32>(e) && spill && spill < limit) return e;
    }
  }
  return 0;
}

/** Adds a place to the newest table (page 0 is never a tree page) and returns its entry. */
export function sealInsert(place: u32): usize {
  const t = listEntry(tables, listCount(tables) - 1);
  let bits = load<u32>(t, T_BITS);
  let entries = <usize> load<u32>(t);
  const used = load<u32>(t, T_COUNT);
  if (used * 2 >= <u32> 1 << bits) {
    const wider = allocate(32 << bits);
    assert(wider != 0);
    memory.fill(wider, 0, 32 << bits);
    for (let i: u32 = 0; i < <u32> 1 << bits; i++) {
      const e = entries + (<usize> i << 4);
      if (load<u32>(e)) memory.copy(vacant(wider, bits + 1, load<u32>(e)), e, 16);
    }
    release(entries, 16 << bits);
    entries = wider;
    bits++;
    store<u32>(t, <u32> entries);
    store<u32>(t, bits, T_BITS);
  }
  store<u32>(t, used + 1, T_COUNT);
  const e = vacant(entries, bits, place);
  store<u32>(e, place);
  store<u32>(e, 0, SEAL_CRC);
  store<u32>(e, 0, SEAL_SPILL);
  store<u32>(e, SEAL_OPEN, SEAL_STATE);
  return e;
}

function vacant(entries: usize, bits: u32, place: u32): usize {
  const mask = (<u32> 1 << bits) - 1;
  let h = hash(place, bits);
  while (true) {
    const e = entries + (<usize> h << 4);
    if (!load<u32>(e)) return e;
    h = (h + 1) & mask;
  }
}
