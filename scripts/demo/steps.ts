// The main job from beginning to end: catalog, publish, catalog again, follow the change log, drop, list what may be collected, close, reopen, check.
import { type ChangeCursor, type CheckReport, type CollectableObject, Manifest } from "../../mod.ts";
import { Catalog, type Pass } from "./catalog.ts";
import { Digester } from "./digest.ts";
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

/** Changes that a consumer of the change log saw. */
export interface Followed {
  changes: number;
  operations: Record<string, number>;
  milliseconds: number;
}

/** What was done. */
export interface DemoResult {
  passes: Pass[];
  snapshots: number[];
  followed: Followed;
  dropped: number[];
  collectable: number;
  /** After reopening: files and chunks of the folder in the manifest. */
  filesKept: number;
  chunksKept: number;
  check: CheckReport;
  fileBytes: number;
}

const CURSOR = "demo";
const CHANGES_A_PAGE = 4; // one change holds a batch of files
const COLLECTABLE_SHOWN = 5;
const UNREADABLE_SHOWN = 10;

async function follow(manifest: Manifest, cursor: ChangeCursor, followed: Followed): Promise<void> {
  const start = performance.now();
  for (;;) {
    const page = await manifest.fetchChangePage(cursor.id, CHANGES_A_PAGE);
    if (page.changes.length === 0) break;
    for (const { operations } of page.changes) {
      followed.changes++;
      for (const { op } of operations) followed.operations[op] = (followed.operations[op] ?? 0) + 1;
    }
    await manifest.acknowledgeChanges(cursor.id, page.nextSequence);
  }
  followed.milliseconds += performance.now() - start;
}

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
  const followed: Followed = { changes: 0, operations: {}, milliseconds: 0 };
  let dropped: number[] = [];
  let db = 0;

  {
    await using manifest = await Manifest.open(file, { create: true });
    const catalog = await Catalog.open(manifest, digester, folder);
    const cursor = await manifest.registerChangeCursor(CURSOR, { start: "oldest" });
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
      const { snapshot, chunks } = await catalog.publish();
      snapshots.push(snapshot);
      const milliseconds = performance.now() - start;
      print(`  snapshot   ${snapshot} published with ${chunks} chunks in ${milliseconds.toFixed(0)} ms`);
      await follow(manifest, cursor, followed);
    }

    dropped = await catalog.dropOlder();
    await follow(manifest, cursor, followed);
    print("Change log");
    const operations = Object.entries(followed.operations).map(([op, count]) => `${count} ${op}`).join(", ");
    const total = Object.values(followed.operations).reduce((sum, count) => sum + count, 0);
    print(`  followed   ${followed.changes} changes: ${operations}; ${rateText(total, followed.milliseconds)} operations/s`);
    print(`  dropped    snapshot ${dropped.join(", ")}`);
    print(`  collectable ${manifest.countCollectable()} stored objects that no snapshot lists any more`);
    for (const object of manifest.listCollectable({ limit: COLLECTABLE_SHOWN })) print(`    ${objectText(manifest, object)}`);
  }

  print("Close, reopen, check");
  const opening = performance.now();
  await using manifest = await Manifest.open(file);
  const opened = performance.now();
  const check = await manifest.check();
  const checked = performance.now();
  const catalog = await Catalog.open(manifest, digester, folder);
  const filesKept = catalog.size;
  const chunksKept = manifest.listChunks(db).toArray().length;
  const collectable = manifest.countCollectable();
  const { fileBytes } = manifest.stats();
  print(`  opened     in ${(opened - opening).toFixed(1)} ms, ${manifest.recovery.clean ? "left by an orderly close" : "recovered"}`);
  print(
    `  checked    ${check.pages} pages in ${(checked - opened).toFixed(0)} ms: ${
      check.ok ? "no damage" : `${check.problems.length} problems`
    }`,
  );
  for (const { page, reason } of check.problems) print(`    page ${page}: ${reason}`);
  print(
    `  holds      ${filesKept} files, ${chunksKept} chunks, ${
      manifest.listSnapshots(db).toArray().length
    } snapshot, ${collectable} collectable objects`,
  );
  print(`  file       ${bytesText(fileBytes)}, ${filesKept === 0 ? 0 : Math.round(fileBytes / filesKept)} bytes a cataloged file`);
  return { passes, snapshots, followed, dropped, collectable, filesKept, chunksKept, check, fileBytes };
}

function objectText(manifest: Manifest, { originDb, chunkId, generation }: CollectableObject): string {
  const chunk = manifest.getChunk(originDb, chunkId);
  const name = chunk === undefined ? "of a removed file" : chunk.fileName;
  return `chunk ${chunkId} generation ${generation}: ${name}`;
}
