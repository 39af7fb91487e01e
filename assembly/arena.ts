// The arena: where the host lays out operations, keys and values for the kernel.
//
// Offsets count from its start, because it moves when it grows.
import { allocate, resize } from "./mem";

/** Start of the arena. */
export let arenaBase: usize = 0;
let room: u32 = 0;

/** Makes the arena at least `bytes` long, keeping its contents; its address, or 0 when memory is exhausted. */
export function arena(bytes: u32): usize {
  if (bytes > 1 << 30) return 0;
  if (bytes <= room) return arenaBase;
  const want = max<u32>(65536, bytes);
  const moved = arenaBase ? resize(arenaBase, room, want, room) : allocate(want);
  if (!moved) return 0;
  arenaBase = moved;
  room = want;
  return moved;
}
