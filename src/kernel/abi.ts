// What the kernel offers: the whole boundary, in one list. Mirrors assembly/index.ts.
//
// Numbers only: u32 page numbers, addresses and lengths (they arrive signed: use `>>> 0`), f64 for 48- and 53-bit counters. Every function
// that returns `Status` returns one of the status codes of assembly/format.ts and leaves the rest in the control block.

/** A status code of assembly/format.ts. */
export type Status = number;
/** An address in linear memory. */
export type Address = number;

/** The kernel's exports. */
export interface KernelExports {
  // ---- life ------------------------------------------------------------------------------------------
  /** Address of the control block; constant. */
  ctrlAddress(): Address;
  /** Sets page size (1 << shift), cache size in frames and the low half of the file id. Once per instance. */
  init(pageShift: number, frames: number, fileIdLo: number, fileIdHi: number): Status;
  /** Makes the arena (host's staging area) at least `bytes` long, keeping its contents, and returns its address; 0 when out of memory. */
  arena(bytes: number): Address;
  /** Longest value and longest body that txnEncode makes. */
  bodyLimits(value: number, body: number): void;
  /** CRC32C of bytes in memory, continued from `seed` (0 to start). */
  crc32c(at: Address, length: number, seed: number): number;

  // ---- frames ----------------------------------------------------------------------------------------
  /** The page asked for by NEED_PAGE has been read to CTRL_NEED_AT: verify and install it. OK or CORRUPT_PAGE. */
  pageInstall(): Status;
  /** The page asked for by NEED_PAGE could not be read: forget the request. */
  pageAbandon(): void;
  /** Next dirty frame to spill: write page size bytes from CTRL_OUT_AT at page CTRL_OUT_PAGE, then call `spillDone`. OK or DONE. */
  spillNext(): Status;
  /** The page named by `spillNext` has been written. */
  spillDone(): void;
  /** Where spilled pages start: a page number beyond the end of the file. Set before the first spill; raising it later moves only new ones. */
  spillBase(page: number): void;
  /** A page spilled below the start: copy page CTRL_OUT_PAGE to page CTRL_OUT_COUNT, then call `spillMoved`. OK or DONE. */
  spillBelow(): Status;
  /** The page named by `spillBelow` has been copied. */
  spillMoved(): void;
  /** Pages spilled and still needed. */
  spilledPages(): number;
  /** When nothing is spilled: starts over at `page`. */
  spillReset(page: number): void;
  /** Dirty frames; pages in overflow runs written since the last freeze. Both count towards the next checkpoint. */
  dirtyPages(): number;
  /** Pages of the newest state that have no place yet; follows from the commits alone. */
  unplacedPages(): number;
  dirtyRunPages(): number;
  cacheReads(): number;
  cacheEvictions(): number;
  cacheSpills(): number;
  /** Superseded pages that only pinned versions keep. */
  pinnedPages(): number;

  // ---- versions --------------------------------------------------------------------------------------
  /** Takes the state from a meta slot (4096 bytes at `at`, already checked by the host) and, unless 0, the older generation's at `older`. */
  stateLoad(at: Address, older: Address): Status;
  /** Starts from nothing: an empty file whose first `reservedPages` pages are meta slots and journal. */
  stateNew(reservedPages: number): Status;
  /** Writes roots, bitmap, page count, sequence, frame and birth of the last freeze into a meta slot at `at`. */
  stateSave(at: Address): void;
  /** Last change sequence and frame number: applied (private) version, or a sealed one. */
  versionSequence(version: number): number;
  versionFrame(version: number): number;
  /** Flushes touched roots into the roots tree and closes the private version. CTRL_TREE = version id (small integer). Nothing to seal: DONE. */
  groupSeal(): Status;
  /** Drops everything since the last seal from the trees. The gathered journal group is not touched: see groupBody, groupClear. */
  groupDiscard(): void;
  /** The version that readers see from now on. Releases the one before unless pinned. */
  versionPublish(version: number): void;
  /** The published version's id; the newest sealed one's. */
  versionPublished(): number;
  versionNewest(): number;
  versionPin(version: number): void;
  versionUnpin(version: number): void;

  // ---- trees -----------------------------------------------------------------------------------------
  /** Opens a table for reading at a version (or WRITER = -1: newest applied state, follows the writer). CTRL_TREE = handle. */
  treeOpen(version: number, tableId: number): Status;
  treeClose(tree: number): void;
  /** Rows in the table; pages of its overflow runs; level of its root page (0: one leaf). Negative: its record is not resident (writer handles only): look any key up first. */
  treeRows(tree: number): number;
  treeRunPages(tree: number): number;
  treeLevel(tree: number): number;
  /** Looks a key up (key bytes at an absolute address). OK: CTRL_VALUE_*. NOT_FOUND, NEED_PAGE, … */
  treeGet(tree: number, key: Address, keyLength: number): Status;
  /** The same with the key tape of codec `codec` at `tape` (absolute). */
  treeGetTyped(tree: number, codec: number, tape: Address): Status;
  /**
   * Starts a scan. Bounds are encoded keys (absolute addresses, copied): lower and upper with flags.
   * flags: 1 lower exclusive, 2 upper inclusive, 4 reverse, 8 no upper bound, 16 keys only, 32 values only. CTRL_TREE = scan handle.
   */
  scanOpen(tree: number, lower: Address, lowerLength: number, upper: Address, upperLength: number, flags: number): Status;
  /**
   * Next rows: OK with CTRL_ROWS ≥ 1, or DONE. Index at CTRL_ROWS_AT: per row 4 u32 {key offset, key length, value offset, value length};
   * offsets count from CTRL_DATA_AT. Value length 0xFFFFFFFF: 18 bytes describing an overflow run are there instead (pointer, length).
   */
  scanNext(scan: number, maxRows: number, maxBytes: number): Status;
  /** Counts the remaining rows of a scan without copying them; at most `max` a call. CTRL_ROWS. MORE or DONE. */
  scanCount(scan: number, max: number): Status;
  scanClose(scan: number): void;

  // ---- transactions ----------------------------------------------------------------------------------
  /** Operation records (see OP_*) at arena offset `at` → body. `header` = arena offset of 36 bytes BODY_*, `extra` host bytes. CTRL_OUT_AT/COUNT = body and length. */
  txnEncode(at: number, count: number, header: number, extra: number, extraLength: number): Status;
  /** Takes a body that already exists (replay): copies it from an absolute address. */
  txnLoad(body: Address, length: number): Status;
  /** Applies the body to the private version and, when it succeeds, appends it to the group. NEED_PAGE, NEED_ROOM, NEED_RUN: call again. */
  txnApply(): Status;
  /** Sequence the last applied body took (0 = none) and its frame number. */
  txnSequence(): number;
  txnFrame(): number;
  /** Frees up to `most` pages of dropped tables in the private version (then seal as usual). MORE: there are more. DONE: none left. */
  dropStep(most: number): Status;

  // ---- journal ---------------------------------------------------------------------------------------
  /** Appends a body to the group; txnApply does it for what it applied. */
  frameAppend(body: Address, length: number): Status;
  /** Payload bytes and blocks (parity included) of the group gathered so far, and its bodies. */
  groupBytes(): number;
  groupBlocks(): number;
  groupFrames(): number;
  /** Body `index` of the gathered group in one piece: CTRL_OUT_AT, CTRL_OUT_COUNT. */
  groupBody(index: number): Status;
  /** 0: bodies are counted, not kept (a batch that commits by its own checkpoint), until groupClear or journalEncode. */
  groupRecord(on: number): void;
  /** Closes the gathered group: CTRL_OUT_AT, CTRL_OUT_COUNT blocks of 4096 to write. The next body starts a new group. */
  journalEncode(epoch: number, group: number, firstFrame: number, durableGroup: number): Status;
  /** Drops the gathered group. */
  groupClear(): void;
  /** A buffer of at least `bytes` for journal blocks read back; 0 gives it back. */
  journalBuffer(bytes: number): Address;
  /** Verifies the group at `at`. OK, MORE (CTRL_OUT_COUNT blocks needed), NOT_FOUND, CORRUPT_JOURNAL. */
  groupParse(at: Address, blocks: number, epoch: number, group: number): Status;
  parsedCount(): number;
  parsedSize(): number;
  parsedFirstFrame(): number;
  parsedDurableGroup(): number;
  parsedRebuilt(): number;
  parsedTorn(): number;
  /** Body of frame `index` of the parsed group: CTRL_OUT_AT, CTRL_OUT_COUNT. */
  frameAt(index: number): Status;
  /** One block: OK with CTRL_OUT_AT index, CTRL_OUT_COUNT data blocks, CTRL_OUT_PAGE epoch; NOT_FOUND. */
  blockPeek(at: Address): Status;
  peekGroup(): number;
  peekDurable(): number;

  // ---- checkpoint ------------------------------------------------------------------------------------
  /** Contiguous pages for a journal extent, in use from the next freeze on: first page in CTRL_OUT_PAGE. NEED_PAGE possible. */
  extentAllocate(pages: number): Status;
  /** Gives an extent's pages back (free two generations later). */
  extentFree(page: number, pages: number): Status;
  /** Freezes the newest sealed version (seal the group first); resumable, all in one turn. */
  freezeBegin(): Status;
  /** Seals pages of the frozen version: CTRL_OUT_AT, CTRL_OUT_PAGE, CTRL_OUT_COUNT consecutive pages to write; then `sealWritten`. OK, DONE, NEED_PAGE. */
  sealNext(maxPages: number): Status;
  sealWritten(): void;
  /** Pages of the frozen version not sealed yet (bitmap pages not counted). */
  sealLeft(): number;
  /** A meta generation with stateSave's contents is durable (both copies): after a checkpoint, and after a meta update without one. */
  freezeDone(): void;
  /** Pages the file needs: up to the highest in use by the durable generations. */
  filePages(): number;

  // ---- check, compact -----------------------------------------------------------------------------------
  /** Starts the check of a verified meta slot (see assembly/check.ts): level 1 trees, 2 with overflow runs, CHECK_UNLINKED added: pages in use that nothing leads to, damage or not. Then checkStep until DONE. */
  checkBegin(meta: Address, level: number): Status;
  checkStep(maxPages: number): Status;
  /** Ends a check early; a finished one has ended. */
  checkEnd(): void;
  /**
   * Starts a visit of one tree from the page that a pointer (14 bytes) names; page size, page count, file id and newest birth come from a meta slot. Then visitStep until DONE, or checkEnd. Findings as in a
   * check.
   */
  visitBegin(meta: Address, root: Address, level: number, tableId: number): Status;
  /** OK with CTRL_VISIT_* (a leaf page, or a place that is lost), MORE (call again), NEED_PAGE, DONE. */
  visitStep(): Status;
  /** Whether the page at an address is that page of this file, and well-formed; of an overflow run only the kind. OK, or CORRUPT_PAGE with the reason. */
  imageVerify(at: Address, pageSize: number, page: number, fileIdLo: number, fileIdHi: number): Status;
  /**
   * Lists the cells of a leaf or branch page at an address: CTRL_ROWS, index at CTRL_ROWS_AT, per cell 4 u32 {key address, key length, value address, value length}. A branch's value is its pointer; length
   * 0xFFFFFFFF: 18 bytes describing an overflow run.
   */
  imageRows(at: Address, pageSize: number): Status;
  /** How many findings are kept; CTRL_CHECK_FINDINGS, CTRL_CHECK_KEPT, CTRL_CHECK_SUMMARY. */
  checkFindings(): number;
  /** Starts compacting a table (0: the roots tree); pages at or above `moveFrom` are moved lower by the next freeze. */
  packBegin(tableId: number, moveFrom: number): void;
  /** Works on up to about `most` pages in the private version (then seal, publish). MORE, DONE, NEED_PAGE, NEED_ROOM. */
  packStep(most: number): Status;
  /** The next freeze moves bitmap pages at or above this page. */
  bitmapMoveFrom(page: number): void;
  /** Pages in use by the newest frozen generation; its page count. */
  usedPages(): number;
  frozenPages(): number;
  /** Counters of rarely taken branches: CTRL_OUT_AT, CTRL_OUT_COUNT (u32 each, MARK_* of assembly/marks.ts). */
  marks(): void;

  // ---- codecs ------------------------------------------------------------------------------------------
  /** Registers a schema program (CODEC_*, KIND_* of format.ts). Its id, from 1 on, or the negative of a status. */
  codecRegister(at: Address, length: number): number;
  /** Forgets a codec. */
  codecRelease(codec: number): void;
  /** Bytes of tape that a key or record of the codec takes. */
  codecTape(codec: number): number;
  /** Encodes the key tape at `tape`; addresses on it count from `base`. Length, or the negative of KEY_TOO_LONG or INVALID_FIELD. */
  codecKeyEncode(codec: number, tape: Address, base: Address, out: Address, limit: number): number;
  /** The same for the first `components` components (with PREFIX_OPEN set, the last one may go on): what all such keys begin with. */
  codecKeyEncodePrefix(codec: number, tape: Address, base: Address, components: number, out: Address, limit: number): number;
  /** Turns a prefix into the first key behind all that begin with it, in place. New length; 0 = there is none. */
  codecKeySuccessor(at: Address, length: number): number;
  /** Decodes a key to the tape at `tape` (0: the kernel's own); CTRL_TAPE_AT = tape, valid until the next decoding call. OK or CORRUPT_RECORD. */
  codecKeyDecode(codec: number, key: Address, length: number, tape: Address): Status;
  /** Encodes the record tape at `tape`. Length, or the negative of INVALID_FIELD or VALUE_TOO_LONG (longer than `limit`). */
  codecRecordEncode(codec: number, tape: Address, base: Address, out: Address, limit: number): number;
  /** Decodes a record to the tape at `tape` (0: the kernel's own); CTRL_TAPE_AT = tape, valid until the next decoding call. OK or CORRUPT_RECORD. */
  codecRecordDecode(codec: number, at: Address, length: number, tape: Address): Status;
  /**
   * Decodes a scanned chunk; codec 0 leaves that side out. CTRL_TAPE_AT and CTRL_TAPE_VALUES_AT = first key and value tape, `codecTape` bytes apart,
   * valid until the next decoding call. CTRL_ERROR_OP = the row that is damaged.
   */
  rowsDecode(rowsAt: Address, rows: number, dataAt: Address, keyCodec: number, valueCodec: number): Status;
  /**
   * Reads a frame body (the record in the change log): CTRL_ROWS effects of EFFECT_WORDS u32 each at CTRL_ROWS_AT (EFFECT_*_WORD), the host's extra bytes at
   * CTRL_DATA_AT, CTRL_DATA_LENGTH long. The index is valid until the next `bodyRead`. OK or CORRUPT_RECORD.
   */
  bodyRead(at: Address, length: number): Status;
}
