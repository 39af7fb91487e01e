// Rows of the engine's and the manifest's tables, forged: schemas, change records, commit ids, cursors, records.
import {
  BODY_EFFECTS,
  BODY_EXTRA,
  BODY_FLAGS,
  BODY_HEADER,
  BODY_VERSION,
  CELL_OVERFLOW,
  PAGE_LEAF,
  SLOT_KEY,
} from "../../../assembly/format.ts";
import type { PageNode, SlotPlace } from "../damage/image.ts";
import type { Random } from "../random.ts";
import type { Draft } from "./draft.ts";
import type { Mutator } from "./mutators.ts";
import { other32, other8 } from "./numbers.ts";

/** A row that lies in its leaf: where its value is and how long. */
function onRow(
  tables: (table: number) => boolean,
  change: (draft: Draft, at: number, length: number, random: Random, place: SlotPlace) => boolean | void,
): Mutator {
  return (draft, random) => {
    const leaves = [...new Set(draft.image.nodes.values())].filter(({ type, table }: PageNode) =>
      type === PAGE_LEAF && table !== 0 && tables(table)
    );
    if (leaves.length === 0) return false;
    const leaf = random.pick(leaves);
    const place = random.pick(draft.image.slots(leaf.page));
    const length = draft.view.getUint16(place.cell, true);
    if (length & CELL_OVERFLOW || length === 0) return false;
    if (change(draft, place.cell + 2 + place.rest, length, random, place) === false) return false;
    draft.touch(leaf);
    return true;
  };
}

const is = (wanted: number) => (table: number): boolean => table === wanted;
const user = (table: number): boolean => table >= 16;

/** What is wrong with text in a schema, or in a record. */
const BYTES: readonly (readonly number[])[] = [
  [0xc0, 0x80],
  [0xed, 0xa0, 0x80],
  [0xf5, 0x80, 0x80, 0x80],
  [0xff],
  [0x80],
  [0xe2, 0x28, 0xa1],
  [0x00],
  [0x22],
  [0x5b, 0x5b, 0x5b],
  [0x7b],
];

/** Their mutators. */
export const ROW_MUTATORS: Readonly<Record<string, Mutator>> = {
  "registry id": onRow(is(1), ({ view }, at, length, random) => {
    if (length < 8 && length !== 4) return false;
    view.setUint32(at, random.pick([0, 1, 2, 3, 4, 15, 16, 17, 0x80000010, 0xffffffff, other32(random, view.getUint32(at, true))]), true);
  }),
  "registry schema": onRow(is(1), ({ bytes }, at, length, random) => {
    if (length < 12) return false;
    for (let i = random.between(1, 4); i > 0; i--) {
      const place = at + 8 + random.int(length - 8);
      if (random.chance(0.3)) bytes.set(random.pick(BYTES).slice(0, at + length - place), place);
      else bytes[place] = random.pick([0x22, 0x5b, 0x5d, 0x7b, 0x7d, 0x2c, 0x30, 0x39, 0x2d, 0x65, 0x5c, 0, random.int(256)]);
    }
  }),
  "change record header": onRow(is(2), ({ bytes, view }, at, length, random) => {
    if (length < BODY_HEADER) return false;
    const field = random.pick([BODY_FLAGS, BODY_VERSION, BODY_EFFECTS, BODY_EXTRA, 20]);
    if (field >= 20) view.setUint32(at + field, other32(random, view.getUint32(at + field, true)), true);
    else bytes[at + field] = other8(random, bytes[at + field]!);
  }),
  "change record effects": onRow(is(2), ({ bytes }, at, length, random) => {
    if (length <= BODY_HEADER) return false;
    for (let i = random.between(1, 3); i > 0; i--) {
      bytes[at + BODY_HEADER + random.int(Math.min(length - BODY_HEADER, random.chance(0.6) ? 16 : length))] = random.pick([
        0,
        1,
        0x7f,
        0x80,
        0xff,
        random.int(256),
      ]);
    }
  }),
  "change key": onRow(is(2), ({ bytes }, _at, _length, random, { slot, cell, fixed, rest }) => {
    const at = rest > 0 ? cell + fixed + random.int(rest) : slot + random.int(4);
    bytes[at] = other8(random, bytes[at]!);
  }),
  "commit row": onRow(is(3), ({ bytes }, at, length, random) => void (bytes[at + random.int(length)] = random.int(256))),
  "record bytes": onRow(user, ({ bytes }, at, length, random) => {
    for (let i = random.between(1, 4); i > 0; i--) {
      const place = at + random.int(length);
      if (random.chance(0.4)) bytes.set(random.pick(BYTES).slice(0, at + length - place), place);
      else bytes[place] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.int(256)]);
    }
  }),
  "record varints": onRow(user, ({ bytes }, at, length, random) => {
    const from = at + random.int(length);
    bytes.fill(random.pick([0x80, 0xff]), from, Math.min(at + length, from + random.between(1, 12)));
  }),
  "key text": onRow(user, ({ bytes }, _at, _length, random, { slot, cell, fixed, rest }) => {
    if (rest > 0) bytes.set(random.pick(BYTES).slice(0, rest), cell + fixed);
    else bytes[slot + random.int(4)] = random.int(256);
  }),
  "key length in its slot": onRow(
    user,
    ({ view }, _at, _length, random, { slot, suffix }) => view.setUint16(slot + SLOT_KEY, Math.max(0, suffix - random.between(1, 4)), true),
  ),
};
