// Every number that both compilers must agree on: file layout, page kinds, status codes, control words.
//
// A leaf file: plain un-annotated constants, no imports, no functions, so that asc (the kernel) and the
// TypeScript host read the same source. Offsets are in bytes. docs/FORMAT.md draws what is named here.

// ---- file ---------------------------------------------------------------------------------------------

export const FORMAT_VERSION = 2;
/** Files of an older version are refused. Before 1.0 every new version is also the oldest. */
export const FORMAT_OLDEST = 2;
/** Bytes 0–7 of every meta slot: "WAYBILL" and 0x1A. */
export const MAGIC_LO = 0x42594157;
export const MAGIC_HI = 0x1a4c4c49;
/** A meta slot, a journal block and the unit of damage are all this long, whatever the page size. */
export const BLOCK_SIZE = 4096;
/** Slots in file order: A copy 1, B copy 1, A copy 2, B copy 2. */
export const META_SLOTS = 4;
export const META_BYTES = 16384;
export const PAGE_SHIFT_MIN = 12;
export const PAGE_SHIFT_MAX = 16;
/** Encoded keys are at most this long. */
export const KEY_MAX = 1024;
/** Page numbers stay below this: the top bit marks a page that has no place in the file yet. */
export const PAGE_NUMBER_MAX = 0x7fffffff;
export const UNPLACED = 0x80000000;

// ---- page header (every tree page, bitmap page and the first page of a run) ----------------------------

export const PAGE_CRC = 0; // u32, CRC32C of everything behind it in the page (or run)
export const PAGE_TYPE = 4; // u8, PAGE_*
export const PAGE_LEVEL = 5; // u8, 0 for leaves; bitmap tree: 0 for bitmaps
export const PAGE_COUNT = 6; // u16, cells (tree pages)
export const PAGE_NUMBER = 8; // u32
export const PAGE_FILE_ID = 12; // u64, low half of the file id
export const PAGE_BIRTH = 20; // u48, checkpoint that placed the page
export const PAGE_PREFIX = 26; // u16, length of the common key prefix
export const PAGE_CELLS = 28; // u16, bytes used by the cell area at the end of the page
export const PAGE_HOLES = 30; // u16, bytes of that area that belong to no cell
export const PAGE_HEADER = 32; // then prefix bytes, padded to 4; then slots; free space; cells

export const PAGE_LEAF = 1;
export const PAGE_BRANCH = 2;
export const PAGE_RUN = 3; // overflow value: header, u32 value length, value bytes, zeros to the page end
export const PAGE_BITMAP = 4; // one bit a page, set = in use by this meta generation
export const PAGE_BITMAP_INDEX = 5; // pointers to bitmaps or lower index pages

/** A run's value starts here in its first page. */
export const RUN_LENGTH = 32;
export const RUN_HEADER = 40;

// ---- page pointer: 14 bytes ---------------------------------------------------------------------------

export const POINTER_PAGE = 0; // u32
export const POINTER_CRC = 4; // u32
export const POINTER_BIRTH = 8; // u48
export const POINTER_SIZE = 14;

// ---- slot: 8 bytes, sorted by key ---------------------------------------------------------------------

export const SLOT_HEAD = 0; // u32: first four key bytes behind the prefix, as a big-endian number, zero padded
export const SLOT_OFFSET = 4; // u16: cell offset in the page
export const SLOT_KEY = 6; // u16: key length behind the prefix (head included)
export const SLOT_SIZE = 8;

// Leaf cell: u16 value length (bit 15: overflow) , key bytes behind the head, value.
// An overflow value is a pointer to its run followed by the value's length as u32: 18 bytes.
export const CELL_OVERFLOW = 0x8000;
export const OVERFLOW_SIZE = 18;
// Branch cell: pointer, key bytes behind the head. Slot 0 has an empty key.

// ---- tree root: 32 bytes, the value of a row in the roots tree, keyed by table id (u32 big-endian) -------

export const ROOT_POINTER = 0; // 14 bytes, page 0 = empty tree
export const ROOT_LEVEL = 14; // u8, level of the root page
export const ROOT_FLAGS = 15; // u8, bit 0: the tree has (or had) overflow runs
export const ROOT_ROWS = 16; // u64
export const ROOT_RUN_PAGES = 24; // u64, pages in overflow runs
export const ROOT_SIZE = 32;

/** Table ids below this are the engine's own. Bit 31 marks a dropped tree that is being freed. */
export const TABLE_ID_TABLES = 1; // table name → id and schema
export const TABLE_ID_CHANGES = 2; // sequence u64 → frame body
export const TABLE_ID_COMMITS = 3; // frame number u64 → commit id 16 bytes, sequence u64 (0 = none)
export const TABLE_ID_USER = 16;
export const TABLE_DROPPED = 0x80000000;

// ---- meta slot: 4096 bytes ----------------------------------------------------------------------------

export const META_MAGIC = 0; // u64
export const META_CRC = 8; // u32, CRC32C of bytes 12–4095
export const META_FORMAT = 12; // u16 format version
export const META_MIN_READER = 14; // u16 oldest format version whose readers understand this file
export const META_COMPATIBLE = 16; // u32 feature bits anyone may ignore
export const META_READONLY = 20; // u32 feature bits a writer must know
export const META_INCOMPATIBLE = 24; // u32 feature bits a reader must know
export const META_PAGE_SHIFT = 28; // u8
export const META_SLOT = 29; // u8: 0 A1, 1 B1, 2 A2, 3 B2
export const META_CLEAN = 30; // u8: 1 after a clean close
export const META_RESERVED_PER_PAGE = 31; // u8
export const META_FILE_ID = 32; // 16 bytes
export const META_HISTORY_ID = 48; // 16 bytes, new after restore or salvage
export const META_TRANSFORM = 64; // u32, 0 = none
export const META_EPOCH = 68; // u32 writer epoch
export const META_GENERATION = 72; // u64 meta generation; slot A when even, B when odd
export const META_PAGE_COUNT = 80; // u32 pages up to the highest one in use
export const META_ROOTS_LEVEL = 84; // u8
export const META_BITMAP_LEVEL = 85; // u8 levels of index above the bitmaps
export const META_EXTENT_COUNT = 86; // u16 journal extents
export const META_ROOTS = 88; // pointer, 14 bytes
export const META_BITMAP = 104; // pointer, 14 bytes
export const META_SEQUENCE = 120; // u64 last change sequence in the tree
export const META_FRAME = 128; // u64 last frame number in the tree
export const META_GROUP = 136; // u64 number of the first journal group to replay
export const META_JOURNAL_EXTENT = 144; // u32 extent where that group would start
export const META_JOURNAL_BLOCK = 148; // u32 block in that extent
export const META_BIRTH = 152; // u48 checkpoint number that sealed the tree
export const META_COMMITTED_AT = 160; // f64, ms: newest commit time in the tree
export const META_DURABILITY = 168; // u8: mode of the last writer
export const META_EXTENTS = 256; // extents: u32 first page, u32 pages; at most META_EXTENTS_MAX
export const META_EXTENTS_MAX = 32;

// ---- journal block ------------------------------------------------------------------------------------

export const JOURNAL_CRC = 0; // u32 of bytes 4–4095
export const JOURNAL_MAGIC = 4; // u32
export const JOURNAL_MAGIC_VALUE = 0x314a4257; // "WBJ1"
export const JOURNAL_FILE_ID = 8; // u64, low half
export const JOURNAL_EPOCH = 16; // u32
export const JOURNAL_GROUP = 20; // u48
export const JOURNAL_INDEX = 26; // u16; equal to the count = the parity block
export const JOURNAL_COUNT = 28; // u16 data blocks in the group
export const JOURNAL_USED = 30; // u16 payload bytes in this block (parity: XOR of all)
export const JOURNAL_HEADER = 32;
export const JOURNAL_PAYLOAD = 4064;

// Group payload: header, then frames back to back.
export const GROUP_FIRST_FRAME = 0; // u64
export const GROUP_FRAMES = 8; // u32
export const GROUP_FLAGS = 12; // u32
export const GROUP_DURABLE = 16; // u64: newest group known durable when this one was written
export const GROUP_HEADER = 24;
export const FRAME_LENGTH = 0; // u32 body bytes
export const FRAME_CRC = 4; // u32 of the body
export const FRAME_HEADER = 8;

// ---- frame body (also the record in the change log) ----------------------------------------------------

export const BODY_FLAGS = 0; // u8 BODY_*
export const BODY_VERSION = 1; // u8 = 1
export const BODY_COMMIT_ID = 4; // 16 bytes
export const BODY_COMMITTED_AT = 20; // u48 ms, then u16 0
export const BODY_EFFECTS = 28; // u32 number of effects
export const BODY_EXTRA = 32; // u32 bytes of host data behind the effects (origin, operation details)
export const BODY_HEADER = 36; // then effects, then extra
export const BODY_IS_CHANGE = 1; // takes the next change sequence and a row in the change log
export const BODY_HAS_ID = 2; // its commit id is recorded

// Effect: u8 kind, u8 tag (host's operation name, 0 = plain), varint table id, varint key length, key, then
// put: varint value length, value; delete range: varint length and bytes of the exclusive upper key.
export const EFFECT_PUT = 1;
export const EFFECT_DELETE = 2;
export const EFFECT_DELETE_RANGE = 3;
export const EFFECT_DROP_TABLE = 4; // key empty
/** Set in the kind: the effect is bookkeeping, not shown to consumers of the change. */
export const EFFECT_HIDDEN = 0x80;

// Operation record, host → kernel, 36 bytes = 9 u32, in the arena. Addresses are relative to the arena.
export const OP_KIND = 0; // kind | hidden, tag << 8
export const OP_TABLE = 1;
export const OP_KEY_CODEC = 2; // 0: raw bytes
export const OP_KEY_AT = 3; // key tape or bytes
export const OP_KEY_LENGTH = 4; // raw only
export const OP_VALUE_CODEC = 5; // 0: raw bytes
export const OP_VALUE_AT = 6;
export const OP_VALUE_LENGTH = 7; // raw only
export const OP_RESERVED = 8;
export const OP_WORDS = 9;

// ---- status -------------------------------------------------------------------------------------------

export const OK = 0;
export const NOT_FOUND = 1;
export const NEED_PAGE = 2; // read CTRL_NEED_PAGE into CTRL_NEED_AT, call pageInstall, call again
export const NEED_ROOM = 3; // spill with spillNext / spillDone, call again
export const NEED_RUN = 4; // write the run described at CTRL_RUN_*, call again
export const DONE = 5; // nothing left
export const MORE = 6; // call again for the rest
export const CORRUPT_PAGE = 32; // CTRL_ERROR_* say which and why
export const CORRUPT_RECORD = 33;
export const CORRUPT_JOURNAL = 34;
export const KEY_TOO_LONG = 35; // CTRL_ERROR_OP, CTRL_ERROR_A = length
export const VALUE_TOO_LONG = 36;
export const INVALID_FIELD = 37; // CTRL_ERROR_OP, CTRL_ERROR_FIELD = field index, CTRL_ERROR_REASON = FIELD_*
export const OUT_OF_MEMORY = 38;
export const OUT_OF_SPACE = 39; // page numbers exhausted
export const INVARIANT = 40; // a defect in the engine: CTRL_ERROR_A = where

// Reasons of CORRUPT_PAGE.
export const REASON_CRC = 1;
export const REASON_STALE = 2;
export const REASON_MISPLACED = 3;
export const REASON_TYPE = 4;
export const REASON_ORDER = 5;
export const REASON_BOUNDS = 6;
export const REASON_CYCLE = 7;
export const REASON_DEPTH = 8;
export const REASON_DUPLICATE = 9;
export const REASON_FOREIGN = 10;
export const REASON_LEAK = 11; // in use by the bitmap, reached by nothing
export const REASON_COUNT = 12;

// Reasons of INVALID_FIELD.
export const FIELD_RANGE = 1;
export const FIELD_TYPE = 2;
export const FIELD_NAN = 3;
export const FIELD_LENGTH = 4;
export const FIELD_UTF8 = 5;

// ---- control block: u32 words the kernel leaves results in ----------------------------------------------

export const CTRL_NEED_PAGE = 0;
export const CTRL_NEED_AT = 1; // address to read pageSize bytes into
export const CTRL_ERROR_PAGE = 2;
export const CTRL_ERROR_REASON = 3;
export const CTRL_ERROR_A = 4; // expected
export const CTRL_ERROR_B = 5; // actual
export const CTRL_ERROR_OP = 6;
export const CTRL_ERROR_FIELD = 7;
export const CTRL_VALUE_AT = 8; // result bytes (valid until the next kernel call)
export const CTRL_VALUE_LENGTH = 9;
export const CTRL_VALUE_RUN = 10; // 1: the value is an overflow run, VALUE_AT is 0, RUN_* describe it
export const CTRL_RUN_PAGE = 11;
export const CTRL_RUN_PAGES = 12;
export const CTRL_RUN_CRC = 13;
export const CTRL_RUN_BIRTH_LO = 14;
export const CTRL_RUN_BIRTH_HI = 15;
export const CTRL_RUN_SOURCE = 16; // NEED_RUN: first page composed at RUN_FIRST, whole middle pages at
export const CTRL_RUN_FIRST = 17; //   RUN_SOURCE (RUN_MIDDLE pages), last page at RUN_LAST unless 0
export const CTRL_RUN_MIDDLE = 18;
export const CTRL_RUN_LAST = 19;
export const CTRL_OUT_AT = 20; // bytes for the host to write
export const CTRL_OUT_PAGE = 21; // where (page number)
export const CTRL_OUT_COUNT = 22; // how many pages, blocks, rows or bytes: the call says
export const CTRL_ROWS_AT = 23; // scan: row index
export const CTRL_ROWS = 24;
export const CTRL_DATA_AT = 25; // scan: bytes the index points into
export const CTRL_DATA_LENGTH = 26;
export const CTRL_KEY_AT = 27; // encoded key after keyEncode, or a decoded key's bytes
export const CTRL_KEY_LENGTH = 28;
export const CTRL_TREE = 29;
export const CTRL_WORDS = 64;
// From word 32 on: 64-bit counters as f64, see kernel/abi.ts.

// ---- codecs: compiled schemas, see assembly/codec.ts ---------------------------------------------------

// A program is one byte CODEC_*, then one type, written as its kind and what the kind asks for.
export const CODEC_KEY = 1;
export const CODEC_RECORD = 2;

export const KIND_U8 = 1;
export const KIND_U16 = 2;
export const KIND_U32 = 3;
export const KIND_U53 = 4; // f64 slot
export const KIND_U64 = 5; // i64 slot
export const KIND_I8 = 6;
export const KIND_I16 = 7;
export const KIND_I32 = 8;
export const KIND_I64 = 9; // i64 slot
export const KIND_F32 = 10;
export const KIND_F64 = 11;
export const KIND_BOOL = 12; // f64 slot, 0 or 1
export const KIND_TEXT = 13; // slot: u32 address, u32 length
export const KIND_BYTES = 14; // slot: u32 address, u32 length
export const KIND_FIXED = 15; // varint length; slot as bytes
export const KIND_ENUM = 16; // varint number of values; f64 slot
export const KIND_VECTOR = 17; // varint number of f32; slot: u32 address, u32 count
export const KIND_LIST = 18; // element type; slot: u32 address, u32 count of element tapes
export const KIND_UNION = 19; // varint number of variants, a record for each; slot: u32 tag, u32 address of the variant's tape
export const KIND_RECORD = 20; // varint number of fields, their types, optional ones last; slots of the fields inline
export const KIND_OPTIONAL = 21; // type; f64 slot (0 absent, 1 present), then the slots of the type. Only as a record's field

/** Types may be nested this deep, the outermost counted. */
export const CODEC_DEPTH = 16;
/** Optional fields of one record: their presence bits are one varint. */
export const CODEC_OPTIONALS = 64;
/** Fields of one record, and values of an enum or variants of a union in a key. */
export const CODEC_FIELDS = 1024;
/** Set in the number of components of a key prefix: its last text or bytes component may go on. */
export const PREFIX_OPEN = 0x80000000;

// Reasons of VALUE_TOO_LONG (CTRL_ERROR_REASON); CTRL_ERROR_A = length, or 0xffffffff.
export const LIMIT_VALUE = 1;
export const LIMIT_BODY = 2;

export const CTRL_TAPE_AT = 30; // decoded tape; rowsDecode: key tapes of all rows
export const CTRL_TAPE_VALUES_AT = 31; // rowsDecode: value tapes of all rows

// Index that bodyRead makes: u32 words of one effect. Addresses are absolute; a delete has no value, that of a range is its exclusive upper key.
export const EFFECT_KIND_WORD = 0; // with EFFECT_HIDDEN
export const EFFECT_TAG_WORD = 1;
export const EFFECT_TABLE_WORD = 2;
export const EFFECT_KEY_AT_WORD = 3;
export const EFFECT_KEY_LENGTH_WORD = 4;
export const EFFECT_VALUE_AT_WORD = 5;
export const EFFECT_VALUE_LENGTH_WORD = 6;
export const EFFECT_WORDS = 8;

// ---- space and check ------------------------------------------------------------------------------------

/** Bitmap and index pages: their position within their level, u32, where tree pages have PAGE_CELLS and PAGE_HOLES. */
export const BITMAP_POSITION = 28;
// Index entry, behind the page header: pointer to a bitmap or a lower index page (page 0: nothing below is in use), then u32 pages in use below it.
export const BITMAP_USED = 14;
export const BITMAP_ENTRY = 18;

// Further reasons, of findings only.
export const REASON_UNREADABLE = 13; // storage could not read it
export const REASON_UNMARKED = 14; // reached, but free in the bitmap
export const REASON_OVERLAP = 15; // cells of a page share bytes

// Finding of the whole-file check: FINDING_WORDS u32.
export const FINDING_SEVERITY = 0; // SEVERITY_*
export const FINDING_REASON = 1; // REASON_*
export const FINDING_PAGE = 2;
export const FINDING_TABLE = 3; // 0: no table's tree
export const FINDING_EXPECTED = 4; // crc, level, count, page …, as the reason says
export const FINDING_ACTUAL = 5;
export const FINDING_LEVEL = 6; // level of the page
export const FINDING_DEPTH = 7; // pages between it and the meta slot
export const FINDING_PATH = 8; // pages on the way to it, as far as there is room: how many, then their numbers, from the roots tree's root down
export const FINDING_PATH_MAX = 23;
export const FINDING_WORDS = 32;
/** Findings kept; later ones are only counted. */
export const FINDINGS_MAX = 1000;
export const SEVERITY_WARNING = 1; // nothing is lost: space that nothing uses
export const SEVERITY_ERROR = 2;

/** Added to the level of a check: see checkBegin. */
export const CHECK_UNLINKED = 4;

// Left by visitStep: a leaf page, or a place where a subtree is lost.
export const VISIT_LEAF = 1;
export const VISIT_LOST = 2;
export const CTRL_VISIT = 43; // VISIT_*
export const CTRL_VISIT_PAGE = 44; // leaf: its number
export const CTRL_VISIT_AT = 45; // leaf: address of its bytes
// Lost: keys there are from the low one (included) to the high one (excluded); length 0xffffffff: no bound.
export const CTRL_VISIT_LOW_AT = 46;
export const CTRL_VISIT_LOW_LENGTH = 47;
export const CTRL_VISIT_HIGH_AT = 48;
export const CTRL_VISIT_HIGH_LENGTH = 49;

// Left by checkFindings.
export const CTRL_CHECK_FINDINGS = 40; // address of the findings kept
export const CTRL_CHECK_KEPT = 41; // how many
export const CTRL_CHECK_SUMMARY = 42; // address of CHECK_WORDS f64

// Summary of the check: f64 each.
export const CHECK_PAGES = 0; // page count of the meta generation
export const CHECK_META_PAGES = 1;
export const CHECK_JOURNAL_PAGES = 2;
export const CHECK_BRANCH_PAGES = 3;
export const CHECK_LEAF_PAGES = 4;
export const CHECK_RUN_PAGES = 5;
export const CHECK_BITMAP_PAGES = 6; // bitmaps and their index
export const CHECK_FREE_PAGES = 7;
export const CHECK_LEAKED_PAGES = 8;
export const CHECK_TABLES = 9;
export const CHECK_ROWS = 10;
export const CHECK_KEY_BYTES = 11;
export const CHECK_VALUE_BYTES = 12;
export const CHECK_RUNS = 13;
export const CHECK_DEPTH = 14; // levels of the deepest table
export const CHECK_READ = 15; // pages read by the check
export const CHECK_ERRORS = 16; // findings, kept or not
export const CHECK_WARNINGS = 17;
export const CHECK_WORDS = 18;
