// The stage lsm finds what it is for: an engine whose folder does not do what was asked fails it. A case is made again by its flags.
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Folder, FolderFile } from "../../src/storage/folder.ts";
import { stage } from "../stages/lsm.ts";
import { test } from "../support/harness.ts";
import { explore } from "../support/lsm/explore.ts";
import { runWorkload, WORKLOADS } from "../support/lsm/workloads.ts";

const EFFORT = { images: 2, beforeEvery: 2, goesOnEvery: 60, twiceEvery: 60, nestedEvery: 60, nestedDepth: 1 };

/** A folder with some methods exchanged. */
function altered(folder: Folder, changes: Partial<Folder>): Folder {
  return new Proxy(folder, {
    get(target, name) {
      const value = changes[name as keyof Folder] ?? target[name as keyof Folder];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A folder whose new files, of one kind, are altered. */
function files(folder: Folder, kind: string, alter: (file: FolderFile) => Partial<FolderFile>): Folder {
  return altered(folder, {
    async create(path: string): Promise<FolderFile> {
      const file = await folder.create(path);
      const [facts, read, write, sync, close] = [file.facts, file.read, file.write, file.sync, file.close].map((method) =>
        method.bind(file)
      );
      const plain = { facts, read, write, sync, close } as unknown as FolderFile;
      return path.endsWith(kind) ? { ...plain, ...alter(file) } : plain;
    },
  });
}

async function failures(name: string, through?: (folder: Folder) => Folder): Promise<string[]> {
  const subject = await runWorkload(WORKLOADS.find((workload) => workload.name === name)!, 1, 512, through);
  const failed: string[] = [];
  await explore(subject, 1, EFFORT, new Map(), { judging() {}, point() {}, judged() {}, failed: (what) => void failed.push(what) });
  return failed;
}

const nothing = async (): Promise<void> => {};

test("stage lsm: passes with a folder that does what is asked", async () => {
  assertEquals(await failures("creation"), []);
});

test("stage lsm: fails when names are not synced", async () => {
  const failed = await failures("creation", (folder) => altered(folder, { syncDirectory: nothing }));
  assert(failed.some((what) => what.includes("missing")), failed[0]);
});

test("stage lsm: fails when tables are not synced", async () => {
  const failed = await failures("creation", (folder) => files(folder, ".sst", () => ({ sync: nothing })));
  assert(failed.some((what) => what.includes("damaged") || what.includes("another length")), failed[0]);
});

test("stage lsm: fails when segments are not synced", async () => {
  const failed = await failures("creation", (folder) => files(folder, ".wal", () => ({ sync: nothing })));
  assert(failed.some((what) => what.includes("acknowledged")), failed[0]);
});

test("stage lsm: fails when removals do nothing", async () => {
  const through = (folder: Folder): Folder => altered(folder, { remove: () => Promise.resolve(true) });
  await assertRejects(() => failures("compactions of level 0", through), Error, "nothing names them");
});

test("stage lsm: replay makes the one case that its flags name", async () => {
  await stage.replay({ workload: "creation", seed: "50000", at: "60", image: "0" });
  await stage.replay({ workload: "flushes", seed: "50002" });
  await assertRejects(() => stage.replay({ workload: "nothing", seed: "1" }), Error, "there is no workload");
  await assertRejects(() => stage.replay({ workload: "flushes", seed: "50002", at: "99999", image: "0" }), Error, "there is no image");
});
