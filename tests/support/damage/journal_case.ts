// Blocks of acknowledged groups that only the journal holds are destroyed: one of a group is absorbed and reported; two are never passed over in silence.
//
// Two of the newest group: what a crash could have torn as well, so the prefix of its transactions that is whole is kept and the cut is reported. Two of an earlier one: CORRUPT_JOURNAL.
// Two blocks that go back to what they held before the group was written: the file is, byte for byte, the one of before that commit; whoever expects its change is told (ROLLED_BACK).
import { BLOCK_SIZE } from "../../../assembly/format.ts";
import { Store } from "../../../src/store/store.ts";
import { testEnvironment } from "../environment.ts";
import { seeded } from "../random.ts";
import { BUDGET, caseOptions, closeQuietly, type Mode } from "./case.ts";
import { type FlatFile, FlatStorage } from "./flat_storage.ts";
import { Footprint } from "./footprint.ts";
import { fromLatin1 } from "./image.ts";
import { named, Wrong } from "./interrogate.ts";
import type { JournalFile, PlacedGroup } from "./journal_file.ts";

const TABLE = 16;

/** How a block is destroyed. */
export const DESTRUCTIONS = ["zeros", "ones", "noise", "bit", "before"] as const;
export type Destruction = (typeof DESTRUCTIONS)[number];

/** Destroys one block; `before`: what it held before its group was written. */
function destroy(file: FlatFile, journal: JournalFile, index: number, block: number, how: Destruction): void {
  const at = block * BLOCK_SIZE;
  const random = seeded(block * 31 + DESTRUCTIONS.indexOf(how));
  const bytes = file.base.slice(at, at + BLOCK_SIZE);
  if (how === "zeros") bytes.fill(0);
  else if (how === "ones") bytes.fill(0xff);
  else if (how === "noise") bytes.set(random.bytes(BLOCK_SIZE));
  else if (how === "bit") bytes[random.int(BLOCK_SIZE)]! ^= 1 << random.int(8);
  else bytes.set(journal.images[index]!.subarray(at, at + BLOCK_SIZE));
  file.damage(at, bytes);
}

/** Rows as the store tells them must be those after so many transactions. */
function compare(store: Store, journal: JournalFile, transactions: number): void {
  const wanted = journal.states[transactions]!;
  using view = store.read();
  const tree = view.tree(TABLE);
  if (tree.rows !== wanted.size) throw new Wrong(`${tree.rows} rows, expected ${wanted.size} after ${transactions} transactions`);
  for (const [key, value] of wanted) {
    const found = tree.get(fromLatin1(key));
    if (found === undefined || found.length !== value.length || found.some((byte, i) => byte !== value[i])) {
      throw new Wrong(`row "${key}" is another`);
    }
  }
}

/** Destroys blocks `first` and `second` (the same: one) of a group; returns the outcome's name. Throws `Wrong`. */
export async function journalCase(
  file: FlatFile,
  journal: JournalFile,
  index: number,
  blocks: readonly number[],
  how: Destruction,
  mode: Mode,
): Promise<string> {
  const group = journal.groups[index]!;
  const newest = index === journal.groups.length - 1;
  const all = journal.states.length - 1;
  file.budget = BUDGET;
  using footprint = new Footprint();
  let store: Store | undefined;
  try {
    for (const block of blocks) destroy(file, journal, index, group.block + block, how);
    const before = isBefore(file, journal, group, index);
    try {
      store = await Store.open(new FlatStorage(file, mode === "read"), caseOptions(testEnvironment(1), mode));
    } catch (error) {
      const { code } = named(error, "open");
      footprint.check("refused");
      if (code !== "CORRUPT_JOURNAL" || blocks.length === 1 || newest) throw new Wrong(`opening is refused with ${code}`);
      return "refused, CORRUPT_JOURNAL";
    }
    footprint.check("opened");
    const { cut, rebuilt } = store.recovery;
    const report = JSON.stringify({ cut, rebuilt });
    if (blocks.length === 1) {
      if (report !== JSON.stringify({ cut: undefined, rebuilt: [{ group: group.group, block: blocks[0] }] })) {
        throw new Wrong(`recovery tells ${report}`);
      }
      compare(store, journal, all);
      return "absorbed, rebuilt";
    }
    if (!newest) throw new Wrong(`an acknowledged group has lost two blocks, and the file opens: ${report}`);
    if (before) {
      compare(store, journal, group.before);
      await expectsMore(file, mode, store);
      return "the file of before that commit; named to who expects it";
    }
    if (cut === undefined || cut.group !== group.group || rebuilt.length > 0) {
      throw new Wrong(`an acknowledged group is gone without a word: ${report}`);
    }
    const kept = keptTransactions(group, Math.min(...blocks), cut.frames);
    compare(store, journal, group.before + kept);
    return "cut, reported";
  } finally {
    await closeQuietly(store);
    file.reset();
  }
}

/** Frames in front of the first destroyed block may be kept, none behind it. */
function keptTransactions(group: PlacedGroup, firstLost: number, frames: number): number {
  if (frames >= group.transactions || (firstLost === 0 && frames > 0)) {
    throw new Wrong(`${frames} transactions are kept of a group that has lost block ${firstLost}`);
  }
  return frames;
}

/** Whether nothing but what was there before the group is left of it. */
function isBefore(file: FlatFile, journal: JournalFile, group: PlacedGroup, index: number): boolean {
  const [from, to] = [group.block * BLOCK_SIZE, (group.block + group.blocks) * BLOCK_SIZE];
  const before = journal.images[index]!.subarray(from, to);
  return file.bytes.subarray(from, to).every((byte, i) => byte === before[i]);
}

/** Who has kept the sequence of the commit is told. */
async function expectsMore(file: FlatFile, mode: Mode, store: Store): Promise<void> {
  const expectSequence = store.durableSequence + 1;
  await closeQuietly(store);
  try {
    const again = await Store.open(new FlatStorage(file, mode === "read"), { ...caseOptions(testEnvironment(1), mode), expectSequence });
    await closeQuietly(again);
  } catch (error) {
    if (named(error, "open").code === "ROLLED_BACK") return;
    throw error;
  }
  throw new Wrong("a file that was rolled back opens for somebody who expects more");
}
