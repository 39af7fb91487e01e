// Workloads of a store: raw rows through every way of committing, checkpoints, growth, recovery.
import type { StoreSubject } from "./store_subject.ts";
import type { Workload } from "./workload.ts";

type Run = (subject: StoreSubject) => Promise<void>;

async function times(count: number, each: (i: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) await each(i);
}

const all = (count: number, each: () => Promise<void>): Promise<void[]> => Promise.all(Array.from({ length: count }, each));

async function groups(subject: StoreSubject): Promise<void> {
  await times(4, () => all(8, () => subject.some(30, 300)));
  subject.settleDurable();
}

async function large(subject: StoreSubject, name: string): Promise<void> {
  await subject.make(name);
  await subject.commit(subject.block(0, 300, 700), [], name);
  await subject.store.checkpoint();
  subject.settleDurable();
}

const RUNS: Record<string, Run> = {
  "single commits": async (subject) => {
    await subject.open();
    await times(7, () => subject.some(20, 200));
  },
  "a group of commits": async (subject) => {
    await subject.open();
    await groups(subject);
  },
  "asynchronous groups": async (subject) => {
    await subject.open({ syncMode: "async" });
    const waiting: Promise<void>[] = [];
    for (let i = 0; i < 40; i++) {
      waiting.push(subject.some(30, 300));
      for (let turns = subject.random.int(14); turns > 0; turns--) await undefined;
    }
    await Promise.all(waiting);
  },
  "explicit checkpoints": async (subject) => {
    await subject.open();
    await times(5, async () => {
      await times(4, () => subject.some(40, 600));
      await subject.store.checkpoint();
    });
  },
  "commits beside a checkpoint": async (subject) => {
    await subject.open({ syncMode: "async" });
    for (let round = 0; round < 3; round++) {
      await times(6, () => subject.some(60, 500));
      const checkpoint = subject.store.checkpoint();
      await times(6, () => subject.some(60, 500));
      await checkpoint;
    }
    await subject.some(60, 100);
  },
  // Commits come round to where the groups lie that the checkpoint is to hold, and must wait for it.
  "a full journal beside a checkpoint": async (subject) => {
    await subject.open({ syncMode: "async" });
    await times(3, async () => {
      await times(6, () => subject.some(20, 200));
      const checkpoint = subject.store.checkpoint();
      const waiting: Promise<void>[] = [];
      for (let i = 0; i < 12; i++) {
        waiting.push(subject.commit(subject.block(i, 9, 900)));
        for (let turns = 0; turns < 4; turns++) await undefined;
      }
      await Promise.all(waiting);
      await checkpoint;
    });
  },
  "journal growth": async (subject) => {
    await subject.open();
    await times(40, () => subject.some(50, 1500));
  },
  "journal wrap": async (subject) => {
    await subject.open();
    await times(150, () => subject.commit([[`key${subject.random.int(12)}`, subject.random.bytes(40)]]));
  },
  "oversized batches": async (subject) => {
    await subject.open();
    await subject.some(10, 100);
    await times(3, async () => {
      await subject.commit(subject.block(0, 60, 900));
      await subject.some(10, 100);
    });
  },
  "overflow values": async (subject) => {
    await subject.open();
    await times(8, () => subject.some(4, 20_000));
    await subject.store.checkpoint();
    await times(3, () => subject.some(4, 9000));
  },
  "compaction": async (subject) => {
    await subject.open();
    await times(5, (i) => subject.commit(subject.block(i * 20, 20, 700)));
    await subject.commit([], subject.block(0, 80, 0).map(([key]) => key));
    await subject.store.compact();
    await subject.some(10, 100);
  },
  "shrinking the journal": async (subject) => {
    await subject.open();
    await times(24, () => subject.some(20, 1500));
    await subject.store.compact();
    await times(4, () => subject.some(20, 200));
    await subject.store.compact();
    await subject.some(10, 100);
  },
  "emptied and filled again": async (subject) => {
    await subject.open();
    await times(3, async () => {
      await subject.commit(subject.block(0, 30, 400));
      await subject.store.checkpoint();
      await subject.commit([], subject.block(0, 30, 0).map(([key]) => key));
      await subject.store.checkpoint();
    });
  },
  "reopening": async (subject) => {
    await subject.open();
    await times(3, async () => {
      await times(3, () => subject.some(20, 300));
      subject.settleDurable();
      await subject.store.close();
      await subject.open();
    });
    await subject.some(20, 300);
  },
  // The process is gone, the machine stays: what was written is there, synced or not.
  "process deaths": async (subject) => {
    await subject.open();
    await times(4, async () => {
      await times(4, () => subject.some(20, 300));
      await subject.open();
    });
    await subject.some(20, 300);
  },
  "power cuts in a row": async (subject) => {
    await subject.open();
    await times(4, async () => {
      await times(5, () => subject.some(20, 300));
      await subject.powerCut();
      await subject.open();
    });
    await subject.some(20, 300);
  },
  "power cuts beside checkpoints": async (subject) => {
    await subject.open({ syncMode: "async" });
    await times(4, async () => {
      await times(3, () => subject.some(30, 400));
      const going = [subject.store.checkpoint(), subject.some(30, 400), subject.some(30, 400)];
      for (let turns = subject.random.int(40); turns > 0; turns--) await undefined;
      void Promise.allSettled(going);
      await subject.powerCut();
      await subject.open({ syncMode: "async" });
    });
  },
  // What is left of a torn group must not come back behind what is committed in its place.
  "groups torn by power cuts": async (subject) => {
    await subject.open({ syncMode: "async" });
    await times(3, async () => {
      await times(2, () => subject.some(30, 300));
      const going = Array.from({ length: 8 }, () => subject.some(30, 1500));
      for (let turns = subject.random.int(6); turns > 0; turns--) await undefined;
      void Promise.allSettled(going);
      await subject.powerCut();
      await subject.open({ syncMode: "async" });
      await subject.some(30, 100);
    });
  },
  "relaxed commits": async (subject) => {
    await subject.open({ durability: "relaxed" });
    await times(12, () => subject.some(20, 300));
    await subject.store.sync();
    subject.settleDurable();
    await times(5, () => subject.some(20, 300));
  },
  "relaxed commits and process deaths": async (subject) => {
    await subject.open({ durability: "relaxed" });
    await times(3, async () => {
      await times(6, () => subject.some(20, 300));
      await subject.open({ durability: "relaxed" });
    });
    await all(6, () => subject.some(20, 300));
    await subject.store.sync();
    subject.settleDurable();
  },
  // Groups that no sync covers are lost in any order: what comes behind a hole must not be taken for what follows its successor.
  "relaxed commits and power cuts": async (subject) => {
    await subject.open({ durability: "relaxed" });
    await times(6, async () => {
      await times(4, () => subject.some(20, 200));
      await subject.powerCut();
      await subject.open({ durability: "relaxed" });
    });
    await times(3, () => subject.some(20, 200));
  },
  "commits without a journal": async (subject) => {
    await subject.open({ durability: "none" });
    await times(10, () => subject.some(40, 500));
    await subject.store.checkpoint();
    subject.settleDurable();
    await times(5, () => subject.some(40, 500));
    await subject.store.sync();
    subject.settleDurable();
    await times(3, () => subject.some(40, 500));
  },
  "spilling under a small cache": async (subject) => {
    await subject.open({ cacheBytes: 0 });
    await subject.commit(subject.block(0, 200, 700));
    await times(3, () => subject.some(20, 200));
    await subject.commit(subject.block(100, 200, 800));
    await subject.some(20, 200);
  },
  "a large table dropped in steps": async (subject) => {
    await subject.open();
    await large(subject, "large");
    await subject.some(20, 200);
    await subject.drop("large");
    await times(4, () => subject.some(20, 200));
    await subject.store.checkpoint();
    await subject.some(20, 200);
  },
  "tables made and dropped": async (subject) => {
    await subject.open();
    await times(4, async (i) => {
      await subject.make(`table ${i}`);
      await times(2, () => subject.some(20, 100, `table ${i}`));
      if (i > 0) await subject.drop(`table ${i - 1}`);
    });
  },
};

/** Every workload of a store. */
export const STORE_WORKLOADS: readonly Workload[] = [
  {
    name: "creation of a store",
    level: "store",
    creates: true,
    run: async (subject) => {
      await subject.open();
      await subject.make("rows");
      await times(3, () => subject.some(5, 50));
    },
  },
  ...Object.entries(RUNS).map(([name, run]): Workload => ({ name, level: "store", run })),
  {
    name: "pages of 16 KiB",
    level: "store",
    pageSize: 16_384,
    run: RUNS["explicit checkpoints"]!,
  },
  {
    name: "pages of 64 KiB",
    level: "store",
    pageSize: 65_536,
    run: RUNS["explicit checkpoints"]!,
  },
];
