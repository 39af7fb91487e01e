// The main job from beginning to end: catalog and publish, twice, with a consumer that follows the change log all the while; drop, reclaim what nothing lists any more, close, reopen, check.
import { type CheckReport, type CollectableObject, Manifest } from "../../mod.ts";
import { Catalog, type Pass, PASS_METRIC } from "./catalog.ts";
import { Digester } from "./digest.ts";
import { Feed, type Followed } from "./feed.ts";
import { bytesText, type Progress, rateText } from "./progress.ts";

/** What to do. */
export interface DemoOptions {
  /** Folder to catalog: an absolute path. */
  folder: string;
  /** File of the manifest; continued when it is there. */
  file: string;
  /** Takes each line of the report. */
  print(line: string): void;
  /** Makes the progress of a pass. */
  progress(title: string): Progress;
}

/** What was done. */
export interface DemoResult {
  passes: Pass[];
  snapshots: number[];
  followed: Followed;
  dropped: number[];
  /** Stored objects that no snapshot listed any more, and were reclaimed. */
  reclaimed: number;
  /** Generation of the folder: one for each snapshot published. */
  generation: number;
  /** After reopening: files and chunks of the folder in the manifest. */
  filesKept: number;
  chunksKept: number;
  check: CheckReport;
  fileBytes: number;
}

const COLLECTABLE_SHOWN = 5;
const RECLAIM_STEP = 10_000;
const UNREADABLE_SHOWN = 10;

function passLines(pass: Pass): string[] {
  const { added, changed, removed, unchanged, read, readBytes, milliseconds } = pass;
  const seconds = (milliseconds / 1000).toFixed(2);
  const lines = [
    `  found      ${pass.files} files, ${
      bytesText(pass.bytes)
    }, ${pass.folders} folders, ${pass.links} symbolic links (not followed), ${pass.others} others`,
    `  recorded   ${added} added, ${changed} changed, ${removed} removed, in ${pass.commits} commits; ${unchanged} unchanged`,
    `  time       ${seconds} s: ${rateText(pass.files, milliseconds)} files/s; ${read} files read, ${bytesText(readBytes)}, ${
      bytesText(readBytes / Math.max(milliseconds, 1) * 1000)
    }/s`,
  ];
  if (pass.unreadable > 0) {
    lines.push(
      `  unreadable ${pass.unreadable}: ${pass.unreadableNames.slice(0, UNREADABLE_SHOWN).join(", ")}${
        pass.unreadable > UNREADABLE_SHOWN ? ", …" : ""
      }`,
    );
  }
  return lines;
}

/** Does the whole job. */
export async function runDemo({ folder, file, print, progress }: DemoOptions): Promise<DemoResult> {
  const digester = await Digester.make();
  const passes: Pass[] = [];
  const snapshots: number[] = [];
  let followed: Followed;
  let dropped: number[] = [];
  let reclaimed = 0;
  let db = 0;

  {
    await using manifest = await Manifest.open(file, { create: true });
    const catalog = await Catalog.open(manifest, digester, folder);
    const feed = new Feed(manifest);
    db = catalog.db;
    const before = catalog.size;
    print(
      before === 0
        ? "The manifest holds nothing of this folder yet."
        : `The manifest holds ${before} files of this folder: going on from there.`,
    );

    for (const title of ["Catalog", "Catalog again"]) {
      print(title);
      const pass = await catalog.pass(progress(title));
      passes.push(pass);
      for (const line of passLines(pass)) print(line);
      const start = performance.now();
      const { snapshot, chunks, generation } = await catalog.publish(pass);
      snapshots.push(snapshot);
      const milliseconds = performance.now() - start;
      print(
        `  snapshot   ${snapshot} published with ${chunks} chunks in ${milliseconds.toFixed(0)} ms: generation ${generation} of the folder`,
      );
    }

    dropped = await catalog.dropOlder();
    followed = await feed.end();
    print("Change log");
    const operations = Object.entries(followed.operations).map(([op, count]) => `${count} ${op}`).join(", ");
    print(`  followed   ${followed.changes} changes while they were made, at most ${followed.lag} behind: ${operations}`);
    print("Reclaim");
    print(`  dropped    snapshot ${dropped.join(", ")}`);
    print(`  collectable ${manifest.countCollectable()} stored objects that no snapshot lists any more`);
    for (const object of manifest.listCollectable({ limit: COLLECTABLE_SHOWN })) print(`    ${objectText(manifest, object)}`);
    // A catalog stores no copies of the files, so there is nothing to delete but what the manifest knows.
    for (let left = manifest.countCollectable(); left > 0;) {
      const { deleted, remaining } = await manifest.reclaim(RECLAIM_STEP, () => {});
      reclaimed += deleted;
      left = remaining;
    }
    print(`  reclaimed  ${reclaimed}; ${manifest.listUnnamed().length} were never listed by a snapshot`);
  }

  print("Close, reopen, check");
  const opening = performance.now();
  await using manifest = await Manifest.open(file);
  const opened = performance.now();
  const check = await manifest.check({ level: "deep" });
  const checked = performance.now();
  const catalog = await Catalog.open(manifest, digester, folder);
  const filesKept = catalog.size;
  const chunksKept = manifest.listChunks(db).toArray().length;
  const { fileBytes } = manifest.stats();
  print(`  opened     in ${(opened - opening).toFixed(1)} ms, ${manifest.recovery.clean ? "left by an orderly close" : "recovered"}`);
  print(
    `  checked    ${check.pages} pages, and every count and index against its rows, in ${(checked - opened).toFixed(0)} ms: ${
      check.ok ? "no damage" : `${check.problems.length} problems`
    }`,
  );
  for (const { page, reason } of check.problems) print(`    page ${page}: ${reason}`);
  const generation = manifest.currentGeneration(db) ?? 0;
  const metric = manifest.getMetric(db, PASS_METRIC);
  print(
    `  holds      ${filesKept} files, ${chunksKept} chunks, ${
      manifest.listSnapshots(db).toArray().length
    } snapshot, generation ${generation}; ${metric?.count ?? 0} passes took ${((metric?.sum ?? 0) / 1000).toFixed(2)} s`,
  );
  print(`  file       ${bytesText(fileBytes)}, ${filesKept === 0 ? 0 : Math.round(fileBytes / filesKept)} bytes a cataloged file`);
  return { passes, snapshots, followed, dropped, reclaimed, generation, filesKept, chunksKept, check, fileBytes };
}

function objectText(manifest: Manifest, { originDb, chunkId, generation }: CollectableObject): string {
  const chunk = manifest.getChunk(originDb, chunkId);
  const name = chunk === undefined ? "of a removed file" : chunk.fileName;
  return `chunk ${chunkId} generation ${generation}: ${name}`;
}
