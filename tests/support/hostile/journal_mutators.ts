// Journal groups, forged: block and group headers, frames and their bodies.
import {
  BLOCK_SIZE,
  BODY_HEADER,
  FRAME_CRC,
  FRAME_HEADER,
  FRAME_LENGTH,
  GROUP_DURABLE,
  GROUP_FIRST_FRAME,
  GROUP_FLAGS,
  GROUP_FRAMES,
  GROUP_HEADER,
  JOURNAL_COUNT,
  JOURNAL_EPOCH,
  JOURNAL_GROUP,
  JOURNAL_HEADER,
  JOURNAL_INDEX,
  JOURNAL_MAGIC,
  JOURNAL_MAGIC_VALUE,
  JOURNAL_USED,
} from "../../../assembly/format.ts";
import { crc32c } from "../damage/crc.ts";
import type { Random } from "../random.ts";
import type { Draft } from "./draft.ts";
import type { Mutator } from "./mutators.ts";
import { big, other16, other32, other8 } from "./numbers.ts";

/** First blocks of the groups that are replayed. */
function groups({ image, view }: Draft): number[] {
  const { state } = image;
  if (state.clean) return [];
  const found: number[] = [];
  for (const { page, pages } of state.extents) {
    for (let at = page * image.pageSize; at < (page + pages) * image.pageSize; at += BLOCK_SIZE) {
      const mine = view.getUint32(at + JOURNAL_MAGIC, true) === JOURNAL_MAGIC_VALUE &&
        view.getUint32(at + JOURNAL_EPOCH, true) === state.epoch &&
        view.getUint32(at + JOURNAL_GROUP, true) >= state.group && view.getUint16(at + JOURNAL_INDEX, true) === 0;
      if (mine) found.push(at / BLOCK_SIZE);
    }
  }
  return found;
}

function onGroup(change: (draft: Draft, at: number, random: Random) => boolean | void): Mutator {
  return (draft, random) => {
    const all = groups(draft);
    if (all.length === 0) return false;
    const block = random.pick(all);
    if (change(draft, block * BLOCK_SIZE, random) === false) return false;
    draft.touchGroup(block);
    return true;
  };
}

/** The first frame of a group, its checksum made right again. */
function onFrame(change: (draft: Draft, body: number, length: number, random: Random) => void): Mutator {
  return onGroup((draft, at, random) => {
    const frame = at + JOURNAL_HEADER + GROUP_HEADER;
    const length = draft.view.getUint32(frame + FRAME_LENGTH, true);
    const body = frame + FRAME_HEADER;
    if (body + length > at + BLOCK_SIZE) return false;
    change(draft, body, length, random);
    draft.view.setUint32(frame + FRAME_CRC, crc32c(draft.bytes.subarray(body, body + length)), true);
  });
}

const payload = JOURNAL_HEADER;

/** Their mutators. */
export const JOURNAL_MUTATORS: Readonly<Record<string, Mutator>> = {
  "journal block header": onGroup(({ view }, at, random) => {
    const field = random.pick([JOURNAL_USED, JOURNAL_COUNT, JOURNAL_INDEX]);
    view.setUint16(at + field, other16(random, view.getUint16(at + field, true)), true);
  }),
  "journal group number": onGroup(({ view }, at, random) =>
    view.setUint32(at + JOURNAL_GROUP, other32(random, view.getUint32(at + JOURNAL_GROUP, true)), true)
  ),
  "journal epoch": onGroup(({ view }, at, random) =>
    view.setUint32(at + JOURNAL_EPOCH, other32(random, view.getUint32(at + JOURNAL_EPOCH, true)), true)
  ),
  "group header": onGroup(({ view }, at, random) => {
    const field = random.pick([GROUP_FIRST_FRAME, GROUP_FRAMES, GROUP_FLAGS, GROUP_DURABLE]);
    if (field === GROUP_FRAMES || field === GROUP_FLAGS) {
      view.setUint32(at + payload + field, other32(random, view.getUint32(at + payload + field, true)), true);
    } else view.setBigUint64(at + payload + field, big(random), true);
  }),
  "frame header": onGroup(({ view }, at, random) => {
    const place = at + payload + GROUP_HEADER + random.pick([FRAME_LENGTH, FRAME_CRC]);
    view.setUint32(place, other32(random, view.getUint32(place, true)), true);
  }),
  "frame body header": onFrame(({ bytes }, body, _, random) =>
    bytes[body + random.int(BODY_HEADER)] = random.pick([0, 1, 3, 0x7f, 0x80, 0xff, random.int(256)])
  ),
  "frame effects": onFrame(({ bytes }, body, length, random) => {
    for (let i = random.between(1, 3); i > 0; i--) {
      const at = body + BODY_HEADER +
        random.int(Math.max(1, random.chance(0.7) ? Math.min(24, length - BODY_HEADER) : length - BODY_HEADER));
      bytes[at] = random.chance(0.5) ? other8(random, bytes[at]!) : random.pick([0, 1, 2, 3, 4, 0x7f, 0x80, 0x84, 0xff]);
    }
  }),
};
