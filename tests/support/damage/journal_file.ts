// A file whose newest commits are in the journal alone, in groups of one to five data blocks, one of them of several transactions; and what it holds after each of them.
import {
  BLOCK_SIZE,
  JOURNAL_COUNT,
  JOURNAL_EPOCH,
  JOURNAL_GROUP,
  JOURNAL_INDEX,
  JOURNAL_MAGIC,
  JOURNAL_MAGIC_VALUE,
} from "../../../assembly/format.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { stageRaw } from "../../../src/store/raw_ops.ts";
import { Store } from "../../../src/store/store.ts";
import { testEnvironment } from "../environment.ts";
import { seeded } from "../random.ts";
import { chooseState } from "../../docs/reader.ts";
import { fromLatin1 } from "./image.ts";

const TABLE = 16;

/** A group in the file. */
export interface PlacedGroup {
  readonly group: number;
  /** Block of the file where it begins. */
  readonly block: number;
  readonly blocks: number;
  /** Transactions that are applied before it, and in it. */
  readonly before: number;
  readonly transactions: number;
}

/** The file. */
export interface JournalFile {
  readonly bytes: Uint8Array;
  /** The file as it was before each group was written, and after the last. */
  readonly images: readonly Uint8Array[];
  readonly groups: readonly PlacedGroup[];
  /** Rows after so many transactions. */
  readonly states: readonly ReadonlyMap<string, Uint8Array>[];
}

/** What is committed: values of so many bytes each; a list is one group of several transactions. All of it stays below the half of the journal at which a checkpoint begins. */
export const SHAPES: readonly (readonly (number | readonly number[])[])[] = [
  [100, 3900, 6000, [900, 1500, 5000], 11_000, [300, 200]],
  [15_500, 90, 17_500],
  [100, [900, 1500, 5000]],
  [100],
  [7000],
];

/** Makes it. `laps`: the ring has been round before, so that the blocks behind the groups hold older groups instead of none. */
export async function journalFile(seed: number, laps: boolean, shapes: (typeof SHAPES)[number]): Promise<JournalFile> {
  const random = seeded(seed);
  const file = new MemoryFile();
  const store = await Store.open(new MemoryStorage(file), {
    create: true,
    syncMode: "inline",
    idleCheckpoint: 0,
    environment: testEnvironment(seed),
  });
  const commit = (key: string, length: number): Promise<unknown> => {
    const value = random.bytes(length);
    state = new Map(state).set(key, value);
    states.push(state);
    return store.commit({ stage: () => stageRaw(store.kernel, [{ kind: "put", table: TABLE, key: fromLatin1(key), value }]) });
  };
  let state: ReadonlyMap<string, Uint8Array> = new Map();
  let states: ReadonlyMap<string, Uint8Array>[] = [];
  if (laps) {
    for (let i = 0; i < 8; i++) {
      await commit(`lap ${i}`, 8000);
      await store.checkpoint();
    }
  }
  await store.checkpoint();
  states = [state];
  const images: Uint8Array[] = [];
  const counts: number[] = [];
  for (const [i, shape] of shapes.entries()) {
    images.push(file.bytes());
    const lengths = typeof shape === "number" ? [shape] : shape;
    counts.push(lengths.length);
    await Promise.all(lengths.map((length, k) => commit(`key ${i} ${k}`, length)));
  }
  images.push(file.bytes());
  const bytes = file.bytes();
  await store.close();
  return { bytes, images, groups: placed(bytes, counts), states };
}

function placed(bytes: Uint8Array, counts: readonly number[]): PlacedGroup[] {
  const { epoch, group: first } = chooseState(bytes);
  const view = new DataView(bytes.buffer);
  const found: PlacedGroup[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK_SIZE) {
    if (view.getUint32(at + JOURNAL_MAGIC, true) !== JOURNAL_MAGIC_VALUE || view.getUint32(at + JOURNAL_EPOCH, true) !== epoch) continue;
    const group = view.getUint32(at + JOURNAL_GROUP, true);
    if (group < first || view.getUint16(at + JOURNAL_INDEX, true) !== 0) continue;
    found.push({ group, block: at / BLOCK_SIZE, blocks: view.getUint16(at + JOURNAL_COUNT, true) + 1, before: 0, transactions: 0 });
  }
  found.sort((a, b) => a.group - b.group);
  if (found.length !== counts.length) throw new Error(`${found.length} groups are in the journal, expected ${counts.length}`);
  let before = 0;
  return found.map((each, i) => {
    before += counts[i]!;
    return { ...each, before: before - counts[i]!, transactions: counts[i]! };
  });
}
