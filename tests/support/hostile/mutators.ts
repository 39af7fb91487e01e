// What a forger changes, by name.
import {
  BITMAP_POSITION,
  BLOCK_SIZE,
  CELL_OVERFLOW,
  META_BIRTH,
  META_BITMAP,
  META_BITMAP_LEVEL,
  META_CLEAN,
  META_COMMITTED_AT,
  META_DURABILITY,
  META_EPOCH,
  META_EXTENT_COUNT,
  META_EXTENTS,
  META_FRAME,
  META_GENERATION,
  META_GROUP,
  META_JOURNAL_BLOCK,
  META_JOURNAL_EXTENT,
  META_PAGE_COUNT,
  META_ROOTS,
  META_ROOTS_LEVEL,
  META_SEQUENCE,
  META_SLOTS,
  PAGE_BITMAP,
  PAGE_BRANCH,
  PAGE_CELLS,
  PAGE_COUNT,
  PAGE_HEADER,
  PAGE_HOLES,
  PAGE_LEAF,
  PAGE_LEVEL,
  PAGE_NUMBER,
  PAGE_PREFIX,
  PAGE_RUN,
  PAGE_TYPE,
  POINTER_SIZE,
  ROOT_FLAGS,
  ROOT_LEVEL,
  ROOT_ROWS,
  ROOT_RUN_PAGES,
  RUN_LENGTH,
  SLOT_KEY,
  SLOT_OFFSET,
  SLOT_SIZE,
} from "../../../assembly/format.ts";
import type { PageNode, SlotPlace } from "../damage/image.ts";
import type { Random } from "../random.ts";
import type { Draft } from "./draft.ts";
import { JOURNAL_MUTATORS } from "./journal_mutators.ts";
import { big, other16, other32, other8 } from "./numbers.ts";
import { ROW_MUTATORS } from "./row_mutators.ts";

/** Changes a draft; false when the file has nothing of the kind. */
export type Mutator = (draft: Draft, random: Random) => boolean;

function pages(draft: Draft, ...types: number[]): PageNode[] {
  return [...new Set(draft.image.nodes.values())].filter(({ type }) => types.includes(type));
}

/** Works on a page of these types. */
function onPage(types: readonly number[], change: (draft: Draft, node: PageNode, at: number, random: Random) => void): Mutator {
  return (draft, random) => {
    const nodes = pages(draft, ...types);
    if (nodes.length === 0) return false;
    const node = random.pick(nodes);
    change(draft, node, draft.at(node), random);
    draft.touch(node);
    return true;
  };
}

/** Works on a slot of a leaf or branch page. */
function onSlot(
  types: readonly number[],
  change: (draft: Draft, node: PageNode, place: SlotPlace, random: Random, slots: readonly SlotPlace[]) => boolean | void,
): Mutator {
  return (draft, random) => {
    const nodes = pages(draft, ...types);
    if (nodes.length === 0) return false;
    const node = random.pick(nodes);
    const slots = draft.image.slots(node.page);
    if (change(draft, node, random.pick(slots), random, slots) === false) return false;
    draft.touch(node);
    return true;
  };
}

const TREE = [PAGE_LEAF, PAGE_BRANCH];
const set8 = (field: number): Mutator =>
  onPage([...TREE, PAGE_BITMAP, PAGE_RUN], ({ bytes }, _, at, random) => bytes[at + field] = other8(random, bytes[at + field]!));
const set16 = (field: number): Mutator =>
  onPage(TREE, ({ view }, _, at, random) => view.setUint16(at + field, other16(random, view.getUint16(at + field, true)), true));

/** Names another page in a pointer: itself, a page above, beside, elsewhere, none, or one that cannot be. */
function elsewhere(draft: Draft, node: PageNode, random: Random): number {
  const { image } = draft;
  const above: number[] = [];
  for (let each: PageNode | undefined = node; each !== undefined; each = each.parent) above.push(each.page);
  const all = [...image.nodes.keys()];
  switch (random.int(6)) {
    case 0:
      return random.pick(above);
    case 1:
      return random.pick(node.children.length > 0 ? node.children : [node]).page;
    case 2:
    case 3:
      return random.pick(all);
    case 4:
      return random.pick([
        0,
        1,
        3,
        4,
        image.state.pageCount - 1,
        image.state.pageCount,
        image.state.pageCount + 1,
        0x7fffffff,
        0x80000000,
        0x80000001,
        0xffffffff,
      ]);
    default:
      return random.int(image.state.pageCount + 4);
  }
}

/** A field of all four meta slots, or of the two of the newest generation. */
function onMeta(change: (draft: Draft, view: DataView, random: Random) => void): Mutator {
  return (draft, random) => {
    const chosen = random.chance(0.7) ? draft.image.newest : [0, 1, 2, 3].slice(0, META_SLOTS);
    const seed = random.u32();
    for (const slot of chosen) {
      // The copies of a generation are equal.
      change(draft, new DataView(draft.bytes.buffer, slot * BLOCK_SIZE, BLOCK_SIZE), random.fork(seed));
    }
    return true;
  };
}

const meta8 = (field: number): Mutator => onMeta((_, view, random) => view.setUint8(field, other8(random, view.getUint8(field))));
const meta16 = (field: number): Mutator =>
  onMeta((_, view, random) => view.setUint16(field, other16(random, view.getUint16(field, true)), true));
const meta32 = (field: number): Mutator =>
  onMeta((_, view, random) => view.setUint32(field, other32(random, view.getUint32(field, true)), true));
const meta64 = (field: number): Mutator =>
  onMeta((_, view, random) =>
    view.setBigUint64(field, random.chance(0.5) ? big(random) : view.getBigUint64(field, true) + BigInt(random.between(1, 5)), true)
  );

/** A record of the roots tree. */
function onRoot(change: (draft: Draft, at: number, node: PageNode, random: Random) => void): Mutator {
  return (draft, random) => {
    const leaves = pages(draft, PAGE_LEAF).filter(({ table, level }) => table === 0 && level === 0);
    const leaf = random.pick(leaves);
    const place = random.pick(draft.image.slots(leaf.page));
    change(draft, place.cell + 2 + place.rest, leaf, random);
    draft.touch(leaf);
    return true;
  };
}

/** The description of an overflow value in its cell. */
function onRun(change: (draft: Draft, at: number, leaf: PageNode, run: PageNode, random: Random) => void): Mutator {
  return (draft, random) => {
    const runs = pages(draft, PAGE_RUN);
    if (runs.length === 0) return false;
    const run = random.pick(runs);
    change(draft, run.pointers[0]!, run.parent!, run, random);
    draft.touch(run.parent!);
    return true;
  };
}

/** All of them. */
export const MUTATORS: Readonly<Record<string, Mutator>> = {
  "page type": set8(PAGE_TYPE),
  "page level": set8(PAGE_LEVEL),
  "page number": onPage(
    [...TREE, PAGE_BITMAP, PAGE_RUN],
    ({ view }, _, at, random) => view.setUint32(at + PAGE_NUMBER, other32(random, view.getUint32(at + PAGE_NUMBER, true)), true),
  ),
  "page file id": onPage(
    [...TREE, PAGE_BITMAP, PAGE_RUN],
    ({ bytes }, _, at, random) => bytes[at + 12 + random.int(8)]! ^= 1 << random.int(8),
  ),
  "page birth": onPage(
    [...TREE, PAGE_BITMAP, PAGE_RUN],
    (draft, node, _, random) => draft.bear(node, random.pick([0, 1, 2 ** 32, 2 ** 48 - 1, random.int(200)])),
  ),
  "slot count": set16(PAGE_COUNT),
  "prefix length": set16(PAGE_PREFIX),
  "cell bytes": set16(PAGE_CELLS),
  "hole bytes": set16(PAGE_HOLES),
  "prefix and slots": onPage(TREE, ({ bytes }, _, at, random) => bytes[at + PAGE_HEADER + random.int(64)] = random.int(256)),
  "slot head": onSlot(TREE, ({ view }, _, { slot }, random) => view.setUint32(slot, other32(random, view.getUint32(slot, true)), true)),
  "slot offset": onSlot(
    TREE,
    ({ view }, _, { slot }, random) => view.setUint16(slot + SLOT_OFFSET, other16(random, view.getUint16(slot + SLOT_OFFSET, true)), true),
  ),
  "slot key length": onSlot(
    TREE,
    ({ view }, _, { slot }, random) => view.setUint16(slot + SLOT_KEY, other16(random, view.getUint16(slot + SLOT_KEY, true)), true),
  ),
  "slots exchanged": onSlot(TREE, ({ bytes }, _, { slot }, random, slots) => {
    const other = random.pick(slots).slot;
    const kept = bytes.slice(slot, slot + SLOT_SIZE);
    bytes.copyWithin(slot, other, other + SLOT_SIZE);
    bytes.set(kept, other);
  }),
  "slot twice": onSlot(
    TREE,
    ({ bytes }, _, { slot }, random, slots) => void bytes.copyWithin(slot, random.pick(slots).slot, random.pick(slots).slot + SLOT_SIZE),
  ),
  "key bytes": onSlot(TREE, ({ bytes }, _, { slot, cell, fixed, rest }, random) => {
    const at = rest > 0 && random.chance(0.7) ? cell + fixed + random.int(rest) : slot + random.int(4);
    bytes[at] = other8(random, bytes[at]!);
  }),
  "value length": onSlot(
    [PAGE_LEAF],
    ({ view }, _, { cell }, random) => view.setUint16(cell, other16(random, view.getUint16(cell, true)), true),
  ),
  "value as run": onSlot([PAGE_LEAF], ({ view }, _, { cell }) => view.setUint16(cell, view.getUint16(cell, true) ^ CELL_OVERFLOW, true)),
  "value bytes": onSlot([PAGE_LEAF], ({ bytes, view }, node, { cell, rest }, random) => {
    const length = view.getUint16(cell, true) & 0x7fff;
    if (length === 0 || node.table === 0) return false;
    const at = cell + 2 + rest + random.int(Math.min(length, 4096));
    if (at >= bytes.length) return false;
    bytes[at] = other8(random, bytes[at]!);
  }),
  "child pointer": onSlot([PAGE_BRANCH], (draft, node, { cell }, random) => draft.aim(cell, node, elsewhere(draft, node, random))),
  "children exchanged": onSlot([PAGE_BRANCH], (draft, node, { cell }, random, slots) => {
    const other = random.pick(slots).cell;
    if (other === cell) return false;
    const [a, b] = [draft.view.getUint32(cell, true), draft.view.getUint32(other, true)];
    draft.aim(cell, node, b);
    draft.aim(other, node, a);
  }),
  "run pointer": onRun((draft, at, leaf, run, random) =>
    draft.aim(at, leaf, random.chance(0.5) ? elsewhere(draft, leaf, random) : run.page + random.between(-2, 2))
  ),
  "run length": onRun(({ view }, at, _leaf, _run, random) =>
    view.setUint32(at + POINTER_SIZE, other32(random, view.getUint32(at + POINTER_SIZE, true)), true)
  ),
  "run length, both": onRun((draft, at, _leaf, run, random) => {
    const length = other32(random, draft.view.getUint32(at + POINTER_SIZE, true));
    draft.view.setUint32(at + POINTER_SIZE, length, true);
    draft.view.setUint32(draft.at(run) + RUN_LENGTH, length, true);
    draft.touch(run);
  }),
  "run header": onPage([PAGE_RUN], ({ bytes }, _, at, random) => bytes[at + 4 + random.int(36)] = random.int(256)),
  "bitmap bits": onPage([PAGE_BITMAP], ({ bytes, image }, _, at, random) => {
    const kind = random.int(4);
    if (kind === 0) bytes[at + PAGE_HEADER + random.int(Math.ceil(image.state.pageCount / 8))]! ^= 1 << random.int(8);
    else if (kind === 1) bytes[at + PAGE_HEADER + random.int(4064)]! ^= 1 << random.int(8);
    else bytes.fill(kind === 2 ? 0 : 0xff, at + PAGE_HEADER, at + PAGE_HEADER + random.between(1, 4064));
  }),
  "bitmap position": onPage([PAGE_BITMAP], ({ view }, _, at, random) => view.setUint32(at + BITMAP_POSITION, other32(random, 0), true)),
  "root pointer": onRoot((draft, at, leaf, random) =>
    draft.aim(at, leaf, elsewhere(draft, random.pick([...draft.image.nodes.values()]), random))
  ),
  "root level": onRoot(({ bytes }, at, _, random) => bytes[at + ROOT_LEVEL] = other8(random, bytes[at + ROOT_LEVEL]!)),
  "root flags": onRoot(({ bytes }, at, _, random) => bytes[at + ROOT_FLAGS] = other8(random, 0)),
  "root rows": onRoot(({ view }, at, _, random) =>
    view.setBigUint64(at + ROOT_ROWS, random.chance(0.5) ? big(random) : BigInt(random.int(100)), true)
  ),
  "root run pages": onRoot(({ view }, at, _, random) =>
    view.setBigUint64(at + ROOT_RUN_PAGES, random.chance(0.5) ? big(random) : BigInt(random.int(100)), true)
  ),
  "meta page count": meta32(META_PAGE_COUNT),
  "meta roots pointer": onMeta((draft, view, random) =>
    draft.aim(view.byteOffset + META_ROOTS, undefined, elsewhere(draft, [...draft.image.nodes.values()][0]!, random))
  ),
  "meta roots level": meta8(META_ROOTS_LEVEL),
  "meta bitmap pointer": onMeta((draft, view, random) =>
    draft.aim(view.byteOffset + META_BITMAP, undefined, elsewhere(draft, [...draft.image.nodes.values()][0]!, random))
  ),
  "meta bitmap level": meta8(META_BITMAP_LEVEL),
  "meta extent count": meta16(META_EXTENT_COUNT),
  "meta extents": onMeta((_, view, random) => {
    const at = META_EXTENTS + 4 * random.int(4);
    view.setUint32(at, other32(random, view.getUint32(at, true)), true);
    if (random.chance(0.3)) view.setUint16(META_EXTENT_COUNT, random.between(1, 4), true);
  }),
  "meta sequence": meta64(META_SEQUENCE),
  "meta frame": meta64(META_FRAME),
  "meta group": meta64(META_GROUP),
  "meta generation": onMeta((_, view, random) =>
    view.setBigUint64(META_GENERATION, view.getBigUint64(META_GENERATION, true) + 2n * (big(random) >> BigInt(random.int(30))), true)
  ),
  "meta epoch": meta32(META_EPOCH),
  "meta journal extent": meta32(META_JOURNAL_EXTENT),
  "meta journal block": meta32(META_JOURNAL_BLOCK),
  "meta birth": onMeta((_, view, random) => {
    view.setUint32(META_BIRTH, other32(random, view.getUint32(META_BIRTH, true)), true);
    if (random.chance(0.3)) view.setUint16(META_BIRTH + 4, 0xffff, true);
  }),
  "meta commit time": onMeta((_, view, random) =>
    view.setFloat64(META_COMMITTED_AT, random.pick([NaN, Infinity, -Infinity, -1, -0, 2 ** 53, 2 ** 60, 1e300, 0.5]), true)
  ),
  "meta durability": meta8(META_DURABILITY),
  "meta clean": meta8(META_CLEAN),
  "page copied": (draft, random) => {
    const nodes = pages(draft, ...TREE, PAGE_BITMAP);
    const [from, to] = [random.pick(nodes), random.pick(nodes)];
    if (from === to) return false;
    // Contents of one page under the identity of another.
    const [a, b] = [draft.at(from), draft.at(to)];
    const identity = draft.bytes.slice(b + PAGE_NUMBER, b + 26);
    draft.bytes.copyWithin(b, a, a + draft.image.pageSize);
    draft.bytes.set(identity, b + PAGE_NUMBER);
    draft.touch(to);
    return true;
  },
  "page noise": onPage([...TREE, PAGE_BITMAP], ({ bytes }, _, at, random) => {
    for (let i = random.between(1, 6); i > 0; i--) bytes[at + 4 + random.int(4092)] = random.int(256);
  }),
  "two changes": (draft, random) => {
    const names = Object.keys(MUTATORS).filter((name) => name !== "two changes");
    return [0, 1].map(() => MUTATORS[random.pick(names)]!(draft, random)).some((done) => done);
  },
  ...ROW_MUTATORS,
  ...JOURNAL_MUTATORS,
};
