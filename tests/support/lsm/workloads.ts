// What is done to the example engine while its machine is watched.
import type { Folder } from "../../../src/storage/folder.ts";
import { seeded } from "../random.ts";
import { LsmSubject, type Start } from "./subject.ts";

/** A workload. */
export interface Workload {
  /** What it is called on the command line. */
  readonly name: string;
  /** What it begins with: nothing, an engine without entries, or one with tables in several levels. */
  readonly start: "nothing" | "empty" | "levels";
  run(subject: LsmSubject): Promise<void>;
}

const NOTHING: Start = { bytes: new Uint8Array(0), tree: undefined, writes: [] };
const starts = new Map<string, Promise<Start>>();

/** What workloads begin with; made once, so that making it is attacked once. */
function startOf(name: Workload["start"]): Promise<Start> {
  let start = starts.get(name);
  if (start === undefined) starts.set(name, start = makeStart(name));
  return start;
}

async function makeStart(name: Workload["start"]): Promise<Start> {
  if (name === "nothing") return NOTHING;
  const subject = new LsmSubject(seeded(7), NOTHING, 512);
  await subject.open();
  if (name === "levels") {
    await subject.fill(9, 14);
    await subject.compact();
    await subject.fill(3, 14);
    await subject.compact();
    await subject.fill(1, 8);
  }
  await subject.close();
  const { machine, history } = subject;
  const { changes, build } = machine.folder.crash(machine.folder.calls);
  return { bytes: machine.disk.live(), tree: build(changes.map(() => "keep")), writes: history.first(history.length) };
}

/** Workloads, by what they are about. */
export const WORKLOADS: readonly Workload[] = [
  {
    name: "creation",
    start: "nothing",
    async run(subject) {
      await subject.open();
      await subject.writeSome(3);
      await subject.close();
      await subject.open();
      await subject.writeSome(2);
      await subject.flush();
      await subject.close();
    },
  },
  {
    name: "writes, one by one and together",
    start: "empty",
    async run(subject) {
      await subject.open();
      await subject.writeSome(6);
      await subject.writeSome(24, 6);
      await subject.close();
      await subject.open();
      await subject.writeSome(8, 2, 0.8);
      await subject.close();
    },
  },
  {
    name: "flushes",
    start: "empty",
    async run(subject) {
      await subject.open();
      for (const deletions of [0, 0.3, 1]) {
        await subject.writeSome(9, 3, deletions);
        await subject.flush();
        await subject.writeSome(2);
      }
      await subject.close();
    },
  },
  {
    name: "compactions of level 0",
    start: "empty",
    async run(subject) {
      await subject.open();
      for (let round = 0; round < 2; round++) {
        await subject.fill(3);
        await subject.compact();
      }
      await subject.close();
    },
  },
  {
    name: "compactions of all levels",
    start: "levels",
    async run(subject) {
      await subject.open();
      await subject.compact();
      await subject.fill(3, 12);
      await subject.compact();
      await subject.compact(true);
      await subject.close();
    },
  },
  {
    name: "deletions of everything",
    start: "levels",
    async run(subject) {
      await subject.open();
      await subject.during("writing", async () => {
        for (let n = 0; n < 40; n += 8) {
          await Promise.all(Array.from({ length: 8 }, (_, i) => subject.write(`key ${String(n + i).padStart(2, "0")}`, undefined)));
        }
      });
      await subject.flush();
      await subject.compact(true);
      await subject.close();
    },
  },
  {
    name: "readers across flushes and compactions",
    start: "levels",
    async run(subject) {
      await subject.open();
      subject.pin();
      await subject.fill(2);
      subject.pin();
      await subject.compact(true);
      await subject.check();
      await subject.writeSome(3);
      subject.pin();
      await subject.fill(2);
      await subject.unpin();
      await subject.check();
      await subject.compact(true);
      await subject.check();
      await subject.unpin(true);
      await subject.unpin();
      await subject.check();
      await subject.close();
    },
  },
  {
    name: "all by itself",
    start: "empty",
    async run(subject) {
      await subject.open({ automatic: true });
      await subject.writeSome(70, 4);
      subject.pin();
      await subject.writeSome(50, 7);
      await subject.check();
      await subject.close();
    },
  },
  {
    name: "orphans are looked for meanwhile",
    start: "levels",
    async run(subject) {
      await subject.open();
      const look = async (job: Promise<void>): Promise<void> => {
        let over = false;
        const done = job.finally(() => over = true);
        while (!over) {
          if (await subject.engine.deleteOrphans() > 0) throw new Error("a file that is being written was taken for an orphan");
        }
        await done;
      };
      await subject.writeSome(10, 5);
      await look(subject.flush());
      await look(subject.compact(true));
      await subject.check();
      await subject.writeSome(4);
      await look(subject.flush());
      await subject.close();
    },
  },
  {
    name: "checkpoints between",
    start: "empty",
    async run(subject) {
      await subject.open();
      for (let round = 0; round < 2; round++) {
        await subject.fill(2, 6);
        await subject.checkpoint();
        await subject.compact(true);
        await subject.checkpoint();
      }
      await subject.close();
    },
  },
  {
    name: "commits that are durable later",
    start: "empty",
    async run(subject) {
      await subject.open({ automatic: true }, { durability: "relaxed" });
      await subject.writeSome(60, 5);
      await subject.flush();
      await subject.compact(true);
      await subject.writeSome(3);
      await subject.close();
    },
  },
  {
    name: "power cuts in a row",
    start: "empty",
    async run(subject) {
      for (let round = 0; round < 5; round++) {
        await subject.open({ automatic: round % 2 === 1 });
        await subject.writeSome(9, 3);
        const begun = [subject.writeAny(), subject.writeAny(), ...round > 2 ? [] : [subject.flush()]];
        for (let turn = subject.random.int(30); turn > 0; turn--) await undefined;
        await subject.powerCut();
        await Promise.allSettled(begun);
      }
      await subject.open();
      await subject.fill(1);
      await subject.compact(true);
      await subject.close();
    },
  },
];

/** Runs a workload to its end. `sector`: the device's; `through` as for a subject. */
export async function runWorkload(
  workload: Workload,
  seed: number,
  sector: number,
  through?: (folder: Folder) => Folder,
): Promise<LsmSubject> {
  const subject = new LsmSubject(seeded(seed), await startOf(workload.start), sector, through);
  await workload.run(subject);
  return subject;
}
