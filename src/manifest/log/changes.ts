// The change log as a loop that ends where the log ends, without a consumer's bookkeeping.
import { type OptionNames, takeOptions } from "../../arguments.ts";
import { fail, failRange, failType } from "../../errors.ts";
import type { Change } from "./change.ts";
import type { ManifestCore } from "../core.ts";
import { checkSequence } from "./cursor_moves.ts";
import { checkCursorName } from "./change_cursor.ts";

/** Which changes to read. */
export interface ChangesOptions {
  /** From this sequence on. Default: the oldest that is kept. */
  from?: number;
  /** From where the cursor of this name stands, which is not moved. Not together with `from`. */
  cursor?: string;
}

const PAGE = 100;
const NAMES: OptionNames<ChangesOptions> = { from: true, cursor: true };

/** Reads the changes; the core may be another one from page to page. */
export function changesOf(core: () => ManifestCore, options: ChangesOptions): AsyncIterable<Change> {
  const { from, cursor } = takeOptions(options, NAMES, "read changes");
  if (from !== undefined) checkSequence(from, "from");
  if (cursor !== undefined) {
    checkCursorName(cursor);
    if (from !== undefined) failType("Cannot read changes: from and cursor exclude each other", { field: "cursor" });
  }
  return { [Symbol.asyncIterator]: () => iterate(core, from, cursor) };
}

async function* iterate(core: () => ManifestCore, from: number | undefined, name: string | undefined): AsyncGenerator<Change, void, void> {
  core().store.assertOpen("read changes");
  let next: number;
  let cursorId: number | undefined;
  if (name !== undefined) {
    const cursor = core().cursors.named(name) ??
      fail("CURSOR_UNKNOWN", `Cannot read changes: there is no change cursor "${name}"`, { detail: { cursor: name } });
    cursorId = cursor.id;
    next = cursor.nextSequence;
  } else if (from === undefined) next = core().log.oldest(core().published());
  else {
    const { latest } = core().log;
    if (from > latest + 1) {
      failRange(`Cannot read changes from ${from}: the newest is ${latest}`, { field: "from", from, latestSequence: latest });
    }
    next = Math.max(1, from);
  }
  for (;;) {
    const page = core().cursors.pageFrom(cursorId, next, PAGE);
    if (page.length === 0) return;
    for (const change of page) {
      yield change;
      next = change.sequence + 1;
    }
  }
}
