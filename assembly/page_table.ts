// The page table: which frame holds the page of a place.
//
// Open addressing with linear probing; at most half full, because it has twice as many entries as there are frames. Place 0 is never a page.
import { allocate } from "./mem";

let table: usize = 0; // {place u32, frame u32}
let tableMask: u32 = 0;
let tableShift: u32 = 0;

/** Takes memory for so many frames; false when there is none. */
export function tableInit(frames: u32): bool {
  let bits: u32 = 4;
  while ((<u32> 1 << bits) < frames * 2) bits++;
  tableMask = (<u32> 1 << bits) - 1;
  tableShift = 32 - bits;
  table = allocate(8 << bits);
  if (!table) return false;
  memory.fill(table, 0, 8 << bits);
  return true;
}

@inline
function bucket(place: u32): u32 {
  return (place * 0x9e3779b1) >> tableShift;
}

@inline
export function lookup(place: u32): usize {
  let i = bucket(place);
  while (true) {
    const at = table + (<usize> i << 3);
    const p = load<u32>(at);
    if (p == place) return <usize> load<u32>(at, 4);
    if (!p) return 0;
    i = (i + 1) & tableMask;
  }
}

export function tableInsert(place: u32, frame: usize): void {
  let i = bucket(place);
  while (true) {
    const at = table + (<usize> i << 3);
    const p = load<u32>(at);
    if (!p || p == place) {
      store<u32>(at, place);
      store<u32>(at, <u32> frame, 4);
      return;
    }
    i = (i + 1) & tableMask;
  }
}

export function tableRemove(place: u32): void {
  let i = bucket(place);
  while (true) {
    const p = load<u32>(table + (<usize> i << 3));
    if (!p) return;
    if (p == place) break;
    i = (i + 1) & tableMask;
  }
  // Close the gap: move back every entry whose probe path crosses it.
  let gap = i;
  while (true) {
    i = (i + 1) & tableMask;
    const at = table + (<usize> i << 3);
    const p = load<u32>(at);
    if (!p) break;
    const home = bucket(p);
    if (((i - home) & tableMask) >= ((i - gap) & tableMask)) {
      store<u64>(table + (<usize> gap << 3), load<u64>(at));
      gap = i;
    }
  }
  store<u64>(table + (<usize> gap << 3), 0);
}
