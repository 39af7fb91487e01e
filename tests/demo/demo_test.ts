// The demo's job on a small folder with everything odd in it: counts equal an independent walk, nothing is written below the folder, and a second run with the
// same manifest records only what changed.
import { spawnSync } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { blake3 } from "hash-wasm";
import { Manifest } from "../../mod.ts";
import { SILENT } from "../../scripts/demo/progress.ts";
import { type DemoResult, runDemo } from "../../scripts/demo/steps.ts";
import { countFiles } from "../../scripts/demo/walk.ts";
import { assert, assertEquals } from "@std/assert";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";

const ODD_NAMES = ["with space", "new\nline", "-dash", "#%?&*'\"\\", "ünï 漢字 🌊", ".hidden", "x".repeat(255), "…", "CON"];
const LEVELS = 8; // of names of 200 bytes: paths longer than a key may be

function makeTree(root: string): void {
  mkdirSync(root);
  for (const [i, name] of ODD_NAMES.entries()) {
    writeFileSync(join(root, name), seeded(i + 1).bytes(i * 1000));
    mkdirSync(join(root, `folder ${i}`, "inner"), { recursive: true });
    writeFileSync(join(root, `folder ${i}`, name), `content ${i}`);
    writeFileSync(join(root, `folder ${i}`, "inner", "same"), "the same content");
  }
  writeFileSync(join(root, "empty"), "");
  writeFileSync(join(root, "large"), seeded(99).bytes(700_001));
  mkdirSync(join(root, "empty folder"));
  let deep = root;
  for (let level = 0; level < LEVELS; level++) {
    deep = join(deep, String(level).repeat(200));
    mkdirSync(deep);
    writeFileSync(join(deep, "file"), `level ${level}`);
  }
  symlinkSync("empty", join(root, "link to a file"));
  symlinkSync("folder 1", join(root, "link to a folder"));
  symlinkSync(".", join(root, "link in a circle"));
  symlinkSync("nowhere", join(root, "link to nothing"));
  spawnSync("mkfifo", [join(root, "pipe")]);
  spawnSync("sh", ["-c", `printf x > "$(printf 'no\\377text')"`], { cwd: root }); // a name that is no text, where the system has such
}

interface Independent {
  files: number;
  bytes: number;
  folders: number;
  links: number;
  /** Files whose names cannot be opened by this runtime. */
  unreadable: number;
  /** Everything that a write below the folder would change. */
  state: string[];
}

function walk(folder: string, path = "", found?: Independent): Independent {
  found ??= { files: 0, bytes: 0, folders: 0, links: 0, unreadable: 0, state: [] };
  for (const entry of readdirSync(join(folder, path), { withFileTypes: true })) {
    const below = path === "" ? entry.name : `${path}/${entry.name}`;
    let stat;
    try {
      stat = lstatSync(join(folder, below));
    } catch {
      found.unreadable++;
      continue;
    }
    found.state.push(`${below} ${stat.size} ${stat.mtimeMs} ${stat.mode}`);
    if (entry.isFile()) {
      found.files++;
      found.bytes += stat.size;
    } else if (entry.isSymbolicLink()) found.links++;
    else if (entry.isDirectory()) {
      found.folders++;
      walk(folder, below, found);
    }
  }
  return found;
}

async function run(folder: string, file: string): Promise<DemoResult> {
  return await runDemo({ folder, file, print: () => {}, progress: () => SILENT });
}

function recorded({ added, changed, removed, commits }: DemoResult["passes"][number]): number[] {
  return [added, changed, removed, commits];
}

test("runDemo: its counts equal an independent walk, and nothing below the folder is touched", async () => {
  await withFolder(async (place) => {
    const root = join(place, "tree");
    makeTree(root);
    const before = walk(root);
    const result = await run(root, join(place, "kept.waybill"));
    assertEquals(walk(root).state, before.state);

    const [first, second] = result.passes;
    for (const pass of [first!, second!]) {
      assertEquals([pass.files, pass.bytes, pass.folders, pass.links, pass.unreadable], [
        before.files,
        before.bytes,
        before.folders,
        before.links,
        before.unreadable,
      ]);
      assertEquals(pass.unreadableNames.length, before.unreadable);
    }
    assertEquals(recorded(first!), [before.files, 0, 0, 1]);
    assertEquals(recorded(second!), [0, 0, 0, 0]);
    assertEquals(countFiles(root), before.files + before.unreadable);
    assertEquals([result.filesKept, result.chunksKept, result.reclaimed, result.generation], [before.files, before.files, 0, 2]);
    assertEquals([result.snapshots, result.dropped], [[1, 2], [1]]);
    assertEquals(result.followed.operations["upsertChunk"], before.files);
    assert(result.check.ok);
  });
});

test("runDemo: a chunk has its file's path, size and BLAKE3 digest", async () => {
  await withFolder(async (place) => {
    const root = join(place, "tree"), file = join(place, "kept.waybill");
    makeTree(root);
    await run(root, file);
    await using manifest = await Manifest.open(file, { readOnly: true });
    let chunks = 0;
    for (const [, { fileName, sizeBytes, contentHash }] of manifest.listChunks(1)) {
      const content = readFileSync(join(root, fileName));
      assertEquals(sizeBytes, content.length);
      assertEquals([...contentHash!].map((byte) => byte.toString(16).padStart(2, "0")).join(""), await blake3(content));
      chunks++;
    }
    assertEquals(chunks, walk(root).files);
  });
});

test("runDemo: a second run with the same manifest records only what changed", async () => {
  await withFolder(async (place) => {
    const root = join(place, "tree"), file = join(place, "kept.waybill");
    makeTree(root);
    await run(root, file);
    const old = new Date(Date.now() - 86_400_000);

    writeFileSync(join(root, "large"), seeded(100).bytes(700_001)); // another content of the same length
    writeFileSync(join(root, "new"), "new");
    utimesSync(join(root, "with space"), old, old); // another time, the same content
    rmSync(join(root, "folder 0"), { recursive: true }); // two files
    renameSync(join(root, "folder 2"), join(place, "elsewhere")); // two files that only a link leads to
    symlinkSync(join(place, "elsewhere"), join(root, "folder 2"));
    const after = walk(root);
    const result = await run(root, file);

    assertEquals(recorded(result.passes[0]!), [1, 1, 4, 1]);
    assertEquals(recorded(result.passes[1]!), [0, 0, 0, 0]);
    assertEquals([result.passes[0]!.files, result.filesKept, result.chunksKept], [after.files, after.files, after.files]);
    const { operations } = result.followed;
    assertEquals([operations["upsertChunk"], operations["deleteChunk"], operations["publishSnapshot"]], [2, 4, 2]);
    assertEquals([result.snapshots, result.dropped], [[3, 4], [2, 3]]);
    assertEquals(result.reclaimed, 5); // what was removed, and the content that was replaced
    assert(result.check.ok);

    const third = await run(root, file);
    assertEquals(third.passes.map(recorded), [[0, 0, 0, 0], [0, 0, 0, 0]]);
    assertEquals(third.followed.operations["upsertChunk"], undefined);
  });
});

test("runDemo: one manifest keeps folders apart", async () => {
  await withFolder(async (place) => {
    const file = join(place, "kept.waybill");
    for (const name of ["one", "two"]) {
      mkdirSync(join(place, name));
      writeFileSync(join(place, name, "file"), name);
      const result = await run(join(place, name), file);
      assertEquals([result.passes[0]!.added, result.filesKept, result.chunksKept], [1, 1, 1]);
    }
    mkdirSync(join(place, "none"));
    const none = await run(join(place, "none"), file);
    assertEquals([none.passes[0]!.files, none.filesKept, none.chunksKept], [0, 0, 0]);
    assert(none.check.ok);
  });
});
