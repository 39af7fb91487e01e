// Compaction in the file, beside commits: pages move low, bounded step by bounded step, and the tail is cut.
//
// A round packs every table and dirties what lies at or above the number of pages in use; the next checkpoint places that into the lowest free pages. Old places
// are free when no generation has them, two checkpoints later. Rounds go on while the file shrinks. The journal goes back to its first extent, right behind the meta slots.
import { CTRL_TREE, DONE, TABLE_ID_CHANGES, TABLE_ID_COMMITS, TABLE_ID_TABLES } from "../../assembly/format.ts";
import { fail } from "../errors.ts";
import type { Committer } from "./commit.ts";
import type { Core } from "./core.ts";
import { type RawOp, stageRaw } from "./raw_ops.ts";
import type { ReadContext, View } from "./views.ts";

/** Pages packed before commits get a turn. */
const STEP_PAGES = 128;
/** Bytes of overflow values written again by one commit: more than the small journal of a file that is being compacted would hold. */
const BATCH_BYTES = 4 << 20;
/** Each round at least halves what is left to gain, so this many suffice for any file. */
const ROUNDS_MAX = 24;
/** Checkpoints after which a place given up is in no generation that is listed: two durable ones, and one that the next freeze takes off the list. */
const GENERATIONS = 4;

/** What compaction needs of a store. */
export interface CompactContext extends ReadContext {
  readonly core: Core;
  readonly committer: Committer;
  readonly newest: View;
  /** Whether the store is being closed: compaction then gives up between two steps. */
  closing(): boolean;
}

/** Compacts until the file shrinks no further. */
export async function compactStore(context: CompactContext): Promise<void> {
  const { committer } = context;
  committer.mayGrow = false;
  try {
    await compactRounds(context);
  } finally {
    committer.mayGrow = true;
  }
}

async function compactRounds(context: CompactContext): Promise<void> {
  const { core, committer } = context;
  const x = core.kernel.exports;
  await committer.checkpoint({ force: true, shrink: true });
  // What was given up before has to be free before it can be filled.
  await passGenerations(context, 0xffffffff);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    goOn(context);
    const before = x.filePages();
    const limit = x.usedPages();
    const tables = [TABLE_ID_TABLES, TABLE_ID_CHANGES, TABLE_ID_COMMITS, ...context.newest.tables().map((table) => table.id), 0];
    for (const table of tables) {
      await packTable(context, table, limit);
      if (table !== 0) await moveRuns(context, table, limit);
    }
    await passGenerations(context, limit);
    if (x.filePages() >= before) break;
  }
}

function goOn(context: CompactContext): void {
  if (context.closing()) fail("HANDLE_CLOSED", "Cannot compact: the store is being closed");
}

/** Makes checkpoints until no generation has what was given up before the call; bitmap pages at or above `limit` move down. */
async function passGenerations(context: CompactContext, limit: number): Promise<void> {
  const { core, committer } = context;
  for (let i = 0; i < GENERATIONS; i++) {
    goOn(context);
    await committer.maintain(() => {
      core.kernel.exports.bitmapMoveFrom(limit);
      return DONE;
    });
    // The published version keeps the generation that it rests on: a new version, though it changes nothing, lets that one go.
    await committer.commit({ change: false, stage: () => stageRaw(core.kernel, []) });
    await committer.checkpoint({ force: true });
  }
}

async function packTable(context: CompactContext, table: number, limit: number): Promise<void> {
  const { core, committer } = context;
  const x = core.kernel.exports;
  let begun = false;
  for (;;) {
    const status = await committer.maintain(() => {
      if (!begun) x.packBegin(table, limit);
      begun = true;
      return core.io.run(() => x.packStep(STEP_PAGES), "compact");
    });
    if (status === DONE) return;
    goOn(context);
    await core.environment.yield();
  }
}

/** Writes overflow values whose runs lie high once more: new runs take the lowest free pages. */
async function moveRuns(context: CompactContext, table: number, limit: number): Promise<void> {
  const { core, committer, newest, runs, io } = context;
  const x = core.kernel.exports;
  io.run(() => x.treeOpen(-1, table), "compact");
  const handle = core.kernel.word(CTRL_TREE);
  // The record is in memory once a row has been looked for.
  io.run(() => x.treeGet(handle, x.arena(64) >>> 0, 0), "compact");
  const pages = x.treeRunPages(handle);
  x.treeClose(handle);
  if (pages <= 0) return;
  let after: Uint8Array | undefined;
  for (;;) {
    const high: { key: Uint8Array; bytes: number }[] = [];
    const scan = newest.tree(table).scan(after ? { lower: after, lowerExclusive: true } : {});
    try {
      if (scan.next(512, 1 << 18) === 0) return;
      for (let row = 0; row < scan.rows; row++) {
        if (!scan.isRun(row)) continue;
        const run = runs.describe(scan.valueAddress(row));
        if (run.page >= limit) high.push({ key: scan.key(row), bytes: run.length });
      }
      after = scan.key(scan.rows - 1);
    } finally {
      scan.close();
    }
    const most = Math.min(BATCH_BYTES, core.options.maxTransactionBytes);
    for (let from = 0; from < high.length;) {
      let to = from;
      for (let bytes = 0; to < high.length && (to === from || bytes + high[to]!.bytes <= most); to++) bytes += high[to]!.bytes;
      const keys = high.slice(from, to);
      await committer.commit({
        change: false,
        stage: () => {
          const ops: RawOp[] = [];
          let bytes = 0;
          for (const { key } of keys) {
            const value = newest.tree(table).get(key); // gone, or another one by now: both are fine
            if (!value || (ops.length > 0 && bytes + value.length > most)) continue;
            bytes += value.length;
            ops.push({ kind: "put", table, key, value, hidden: true });
          }
          return stageRaw(core.kernel, ops);
        },
      });
      from = to;
      goOn(context);
    }
    await core.environment.yield();
  }
}
