// Linear memory for the kernel's own structures: power-of-two blocks, reused by size class.
//
// No garbage collector and no `new`: every module asks here. A block is at least 16 bytes and 16-byte aligned; a freed one goes to its
// class's list and comes back from there. Blocks are not zeroed. Memory grows in steps of 1 MiB and never shrinks.

let top: usize = 0;
/** Heads of the free lists, one per power of two. */
const classes = memory.data(32 * 4, 8);

/** The class (power of two) whose blocks hold `size` bytes. */
function classOf(size: u32): u32 {
  return size <= 16 ? 4 : 32 - <u32> clz<u32>(size - 1);
}

/** The size a block of `size` bytes really has. */
export function roomOf(size: u32): u32 {
  return (<u32> 1) << classOf(size);
}

/** A block of at least `size` bytes, or 0 when memory cannot grow. Its contents are undefined. */
export function allocate(size: u32): usize {
  const c = classOf(size);
  if (c > 30) return 0;
  const head = classes + (<usize> c << 2);
  const block = <usize> load<u32>(head);
  if (block) {
    store<u32>(head, load<u32>(block));
    return block;
  }
  if (!top) top = (__heap_base + 15) & ~(<usize> 15);
  const at = top;
  const end = <u64> at + (<u64> 1 << c);
  const have = <u64> memory.size() << 16;
  if (end > have) {
    const step: u64 = 1 << 20;
    const want = <i32> ((max<u64>(end - have, step) + 65535) >> 16);
    if (memory.grow(want) < 0 && memory.grow(<i32> ((end - have + 65535) >> 16)) < 0) return 0;
  }
  top = <usize> end;
  return at;
}

/** Gives a block back; `size` is what it was asked for with. */
export function release(block: usize, size: u32): void {
  if (!block) return;
  const head = classes + (<usize> classOf(size) << 2);
  store<u32>(block, load<u32>(head));
  store<u32>(head, <u32> block);
}

/** Moves a block to one of at least `size` bytes, keeping `keep` bytes; 0 when memory cannot grow (the old one stays valid). */
export function resize(block: usize, oldSize: u32, size: u32, keep: u32): usize {
  if (block && roomOf(oldSize) >= size) return block;
  const moved = allocate(size);
  if (!moved) return 0;
  if (block) {
    memory.copy(moved, block, keep);
    release(block, oldSize);
  }
  return moved;
}

/** `size` bytes (a multiple of 16) that are never given back, at an address that is `offset` modulo 64; 0 when memory cannot grow. */
export function allocateForever(size: u32, offset: u32): usize {
  if (!top) top = (__heap_base + 15) & ~(<usize> 15);
  const at = ((top - offset + 63) & ~(<usize> 63)) + offset;
  const end = <u64> at + size;
  const have = <u64> memory.size() << 16;
  if (end > have) {
    const step: u64 = 1 << 20;
    const want = <i32> ((max<u64>(end - have, step) + 65535) >> 16);
    if (memory.grow(want) < 0 && memory.grow(<i32> ((end - have + 65535) >> 16)) < 0) return 0;
  }
  top = (<usize> end + 15) & ~(<usize> 15);
  return at;
}
