// Planted bugs in what a read believes, and in which pages are given out.
import type { Mutant } from "./mutant.ts";

const FRAME = "assembly/frame.ts";
const CRC_LINE = "    if (stored != actual) return abandonAs(REASON_CRC, stored, actual);\n";
const PARENT_LINE = "    if (stored != wantCrc || (wantBirth && birth != wantBirth)) return abandonAs(REASON_STALE, wantCrc, stored);\n";

/** See the head of the file. */
export const PAGES: readonly Mutant[] = [
  {
    name: "newest-without-checksum",
    what: "The meta slot with the highest generation is taken whether its checksum is right or not.",
    edits: [{
      file: "src/store/meta.ts",
      find: '  if (view.getUint32(META_CRC, true) !== checksum(bytes)) return { meta: undefined, fault: "crc" };\n',
      replace: "",
    }],
    likely: ["store/meta", "docs/damage", "store/damage"],
  },
  {
    name: "checksum-of-body-only",
    what: "The checksum of a page begins behind its header: a damaged count, level or length in the header is believed.",
    edits: [
      {
        file: FRAME,
        find: "  const actual = crc32c(frame + 4, pageSize - 4, 0);",
        replace: "  const actual = crc32c(frame + 32, pageSize - 32, 0);",
      },
      {
        file: FRAME,
        find: "  const crc = crc32c(frame + 4, pageSize - 4, 0);",
        replace: "  const crc = crc32c(frame + 32, pageSize - 32, 0);",
      },
      {
        file: "assembly/freeze.ts",
        find: "  const crc = crc32c(page + 4, pageSize - 4, 0);",
        replace: "  const crc = crc32c(page + 32, pageSize - 32, 0);",
      },
      {
        file: "assembly/check_tree.ts",
        find: "  const sum = crc32c(bytes + 4, pageSize - 4, 0);",
        replace: "  const sum = crc32c(bytes + 32, pageSize - 32, 0);",
      },
    ],
    likely: ["store/small_damage"],
  },
  {
    name: "no-parent-checksum",
    what: "A page is not compared with the checksum and birth in the pointer that names it: an older state in the right place passes.",
    edits: [{ file: FRAME, find: PARENT_LINE, replace: "" }],
    likely: ["store/small_damage", "stage corruption"],
  },
  {
    name: "verify-only-in-check",
    what: "Reads believe any page with a plausible structure; only the whole-file check compares checksums.",
    edits: [{ file: FRAME, find: CRC_LINE, replace: "" }, { file: FRAME, find: PARENT_LINE, replace: "" }],
    likely: ["store/small_damage", "docs/damage"],
  },
  {
    name: "page-reused-early",
    what:
      "A page freed since the last checkpoint is given out again before the checkpoint that frees it: the newest durable generation still reaches it.",
    edits: [{
      file: "assembly/space.ts",
      find: "  logAppend(LOG_FREE, page, count);\n  return OK;",
      replace: "  logAppend(LOG_FREE, page, count);\n  unmarkBusy(page, count);\n  forgetSearches();\n  return OK;",
    }],
    likely: ["store/crash"],
  },
  {
    name: "bitmap-not-published",
    what: "The root of the bitmap of used pages is not published together with its generation: the slot goes on naming the one before.",
    edits: [
      { file: "assembly/freeze.ts", find: "  memory.copy(at + META_BITMAP, frozenBitmap, POINTER_SIZE);\n", replace: "" },
      { file: "assembly/freeze.ts", find: "  store<u8>(at, <u8> frozenBitmapLevel, META_BITMAP_LEVEL);\n", replace: "" },
    ],
    likely: ["store/store"],
  },
];
