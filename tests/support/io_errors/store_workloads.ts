// What stores do while a call fails.
import type { Storage, StorageLock } from "../../../src/storage/storage.ts";
import { Store } from "../../../src/store/store.ts";
import { WrappedStorage } from "../counting_storage.ts";
import { SimDisk } from "../crash_storage.ts";
import { testEnvironment } from "../environment.ts";
import { FaultPlan, FaultyStorage } from "../faulty_storage.ts";
import { compareRows, type RowMap, StoreSubject } from "./store_subject.ts";
import type { SubjectOptions } from "./subject.ts";
import type { AnySubject, Workload } from "./workload.ts";

/** Bytes to begin with, and the rows in them. */
interface Base {
  readonly image: Uint8Array;
  readonly rows: RowMap;
  readonly sequence: number;
}

/** Runs something without a fault and keeps what is on the disk behind it; `damage` may then spoil it. */
function baseOf(make: (subject: StoreSubject) => Promise<void>, damage: (image: Uint8Array) => void = () => {}): () => Promise<Base> {
  let made: Promise<Base> | undefined;
  return () =>
    made ??= (async () => {
      const subject = new StoreSubject(new SimDisk(), new FaultPlan(), [], 5);
      await make(subject);
      subject.lose();
      const image = subject.disk.live();
      damage(image);
      const kept = subject.ledger.with("applied");
      return { image, rows: subject.rowsAfter(new Set(kept)), sequence: kept.length };
    })();
}

/** A workload of a store. */
export function workload(
  run: (subject: StoreSubject) => Promise<void>,
  base?: () => Promise<Base>,
  Kind: typeof StoreSubject = StoreSubject,
): Workload {
  let made: Base | undefined;
  return {
    disk: async () => {
      if (base === undefined) return new SimDisk();
      made = await base();
      return new SimDisk(made.image);
    },
    subject: (disk, plan, codes, seed) => {
      const subject = new Kind(disk, plan, codes, seed);
      if (made !== undefined) [subject.base, subject.baseSequence] = [made.rows, made.sequence];
      return subject as unknown as AnySubject;
    },
    run: (subject) => run(subject as unknown as StoreSubject),
  };
}

/** A file that was closed in order, with some rows. */
export const closed: () => Promise<Base> = baseOf(async (subject) => {
  await subject.start();
  for (let i = 0; i < 4; i++) await subject.some(20, 300);
  await subject.stop();
});

async function journalled(subject: StoreSubject): Promise<void> {
  await subject.start();
  for (let i = 0; i < 4; i++) await subject.some(20, 300);
  await subject.attempt(() => subject.open.checkpoint());
  for (let i = 0; i < 4; i++) await subject.some(20, 900);
  await Promise.all([subject.some(20, 3000), subject.some(20, 3000), subject.some(20, 3000)]);
}

/** A file whose process has died with several groups in the journal. */
const crashed = baseOf(journalled);

/** The last journal block that holds anything: its place in the file. */
function lastBlock(image: Uint8Array): number {
  const view = new DataView(image.buffer);
  let last = 16384, newest = -1;
  for (let at = 16384; at < 16384 + (128 << 10) && at + 4096 <= image.length; at += 4096) {
    const group = view.getUint32(at + 8, true);
    if (view.getUint32(at, true) !== 0 && group >= newest) {
      newest = group;
      last = at;
    }
  }
  return last;
}

/** The same with one block of the newest group gone: parity makes it again. */
const rebuilt = baseOf(journalled, (image) => image.fill(0, lastBlock(image), lastBlock(image) + 4096));

/** The same with one copy of the newest meta generation gone. */
const repaired = baseOf(journalled, (image) => image.fill(0xee, 4096 * 2, 4096 * 2 + 64));

/** More pages than the smallest cache holds. */
const wide = baseOf(async (subject) => {
  await subject.start({ cacheBytes: 4 << 20 });
  for (let batch = 0; batch < 4; batch++) {
    await subject.put(Array.from({ length: 24 }, (_, i) => [`w${(batch * 24 + i) * 7919 % 1000}`, subject.random.bytes(3000)]));
  }
  await subject.stop();
});

/** A lock that others only respect: what a runtime without locks of the operating system has. */
class ClaimedStorage extends WrappedStorage {
  override lock(request: Parameters<Storage["lock"]>[0]): StorageLock {
    const lock = super.lock(request);
    return {
      strength: "claim",
      holder: lock.holder,
      previous: lock.previous,
      verify: () => lock.verify(),
      release: () => lock.release(),
    };
  }
}

class ClaimedSubject extends StoreSubject {
  protected override wrap(storage: Storage): Storage {
    return new ClaimedStorage(storage);
  }
}

/** Opens for reading beside the subject, on the same plan of faults, and looks. */
async function lookBeside(subject: StoreSubject, reader: { store: Store | undefined }): Promise<void> {
  if (reader.store === undefined) {
    await subject.beside(async () => {
      const storage = new FaultyStorage(subject.disk.open({ readOnly: true }), subject.plan);
      reader.store = await Store.open(storage, { readOnly: true, cacheBytes: 1 << 18, environment: testEnvironment(8) });
    }, undefined);
  } else {
    await subject.beside(async () => {
      const next = await reader.store!.refresh();
      if (next !== reader.store) reader.store!.retire(() => {});
      reader.store = next;
    }, reader.store);
  }
  const { store } = reader;
  if (store === undefined) return;
  // Every state that it can show is one behind some of the commits that may be there.
  await subject.beside(() => compareRows(store, subject.rowsAfter(subject.keptUntil(store.appliedSequence))), store);
}

async function commits(subject: StoreSubject, count: number, keys: number, largest: number): Promise<void> {
  for (let i = 0; i < count; i++) await subject.some(keys, largest);
}

function group(subject: StoreSubject, count: number, keys: number, largest: number): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, () => subject.some(keys, largest)));
}

const SMALL: SubjectOptions = { cacheBytes: 1 << 18 };

/** By name. */
export const STORE_WORKLOADS: Readonly<Record<string, Workload>> = {
  "creation": workload(async (subject) => {
    await subject.start();
    await commits(subject, 2, 5, 50);
    await subject.stop();
    await subject.start();
    await subject.read();
  }),
  "single commits": workload(async (subject) => {
    await subject.start();
    await commits(subject, 20, 20, 200);
    await subject.read();
  }, closed),
  "groups": workload(async (subject) => {
    await subject.start();
    for (let i = 0; i < 9; i++) await group(subject, 4, 30, 400);
    await subject.read();
  }, closed),
  "asynchronous groups": workload(async (subject) => {
    await subject.start({ syncMode: "async" });
    const waiting: Promise<unknown>[] = [];
    for (let i = 0; i < 32; i++) {
      waiting.push(subject.some(30, 300));
      if (i % 3 === 0) await undefined;
      if (i % 8 === 7) await Promise.all(waiting.splice(0));
    }
    await Promise.all(waiting);
    await subject.read();
  }, closed),
  "explicit checkpoints": workload(async (subject) => {
    await subject.start();
    for (let i = 0; i < 26; i++) {
      await commits(subject, 1 + i % 2, 40, 600);
      await subject.attempt(() => subject.open.checkpoint());
    }
    await subject.read();
    await subject.stop();
  }, closed),
  "commits beside a checkpoint": workload(async (subject) => {
    await subject.start({ syncMode: "async" });
    await group(subject, 8, 200, 900);
    for (let i = 0; i < 16; i++) {
      const checkpoint = subject.attempt(() => subject.open.checkpoint());
      await Promise.all([checkpoint, commits(subject, 3, 200, 900)]);
    }
  }, closed),
  "journal growth": workload(async (subject) => {
    await subject.start();
    for (let i = 0; i < 14; i++) await subject.put([[`g${i % 5}`, subject.random.bytes(14_000)]]);
    await subject.read();
  }, closed),
  "oversized batches": workload(async (subject) => {
    await subject.start();
    await subject.some(10, 100);
    for (let i = 0; i < 2; i++) {
      await subject.put(Array.from({ length: 50 }, (_, row) => [`row${row}`, subject.random.bytes(900)]));
      await subject.some(10, 100);
    }
    await subject.read();
  }, closed),
  "oversized batch among others": workload(async (subject) => {
    await subject.start({ syncMode: "async" });
    const before = group(subject, 3, 10, 300);
    const batch = subject.put(Array.from({ length: 60 }, (_, row) => [`row${row}`, subject.random.bytes(900)]));
    await Promise.all([before, batch, group(subject, 3, 10, 300)]);
    await subject.some(10, 100);
  }, closed),
  "overflow values": workload(async (subject) => {
    await subject.start();
    for (let i = 0; i < 5; i++) await subject.put([[`v${i % 3}`, subject.random.bytes(9000 + 7000 * i)]]);
    await subject.read();
    await subject.attempt(() => subject.open.checkpoint());
    await subject.read();
  }, closed),
  "compaction": workload(async (subject) => {
    await subject.start();
    for (let i = 0; i < 3; i++) {
      await subject.put(Array.from({ length: 20 }, (_, row) => [`row${i * 20 + row}`, subject.random.bytes(700)]));
    }
    await subject.put([], Array.from({ length: 50 }, (_, row) => `row${row}`));
    await subject.attempt(() => subject.open.compact());
    await subject.some(10, 100);
    await subject.read();
  }, closed),
  "reopening": workload(async (subject) => {
    for (let i = 0; i < 14; i++) {
      await subject.start();
      await commits(subject, 1 + i % 2, 20, 300);
      await subject.stop();
    }
    await subject.start();
    await subject.read();
  }, closed),
  "recovery": workload(async (subject) => {
    await subject.start();
    for (let i = 0; i < 10; i++) {
      await commits(subject, 2, 20, 300);
      subject.lose();
      await subject.start();
    }
    await subject.read();
    await subject.stop();
  }, crashed),
  "recovery of a damaged block": workload(async (subject) => {
    await subject.start();
    await subject.read();
    await subject.some(20, 300);
  }, rebuilt),
  "recovery with one meta copy": workload(async (subject) => {
    await subject.start();
    await subject.read();
    await subject.some(20, 300);
  }, repaired),
  "small cache": workload(async (subject) => {
    await subject.start(SMALL);
    for (let i = 0; i < 3; i++) await subject.put([[`w${i * 331 % 1000}`, subject.random.bytes(2000)]], [`w${i * 7919 % 1000}`]);
    await subject.read();
    await group(subject, 5, 200, 2500);
  }, wide),
  "spilling": workload(async (subject) => {
    await subject.start(SMALL);
    await subject.put(Array.from({ length: 60 }, (_, i) => [`s${i * 37 % 150}`, subject.random.bytes(2400)]));
    await subject.some(10, 100);
  }, wide),
  "relaxed": workload(async (subject) => {
    await subject.start({ durability: "relaxed" });
    await commits(subject, 6, 20, 300);
    subject.environment.advance(200);
    await subject.attempt(() => (subject.open as unknown as Store).sync());
    await commits(subject, 3, 20, 300);
    await subject.read();
    await subject.stop();
  }, closed),
  "without a journal": workload(async (subject) => {
    await subject.start({ durability: "none" });
    for (let i = 0; i < 22; i++) {
      await commits(subject, 2, 40, 500);
      await subject.attempt(() => subject.open.checkpoint());
    }
    await subject.read();
    await subject.stop();
  }, closed),
  "claimed lock": workload(
    async (subject) => {
      await subject.start();
      for (let i = 0; i < 12; i++) {
        await commits(subject, 2, 20, 300);
        await subject.attempt(() => subject.open.checkpoint());
        await group(subject, 3, 20, 300);
      }
      await subject.stop();
    },
    closed,
    ClaimedSubject,
  ),
  "reading beside": workload(async (subject) => {
    await subject.start();
    const reader: { store: Store | undefined } = { store: undefined };
    for (let i = 0; i < 8; i++) {
      await commits(subject, 2, 20, 900);
      await lookBeside(subject, reader);
      if (i === 1) await subject.attempt(() => subject.open.checkpoint());
    }
    await reader.store?.close();
  }, crashed),
};
