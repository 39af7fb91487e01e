// Objects that are used again: looked at by their length or by their contents, and replaced when they are damaged.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type ErrorCode, ManifestError } from "../../../mod.ts";
import { BackupStore } from "../../../src/catalogs/backup/mod.ts";
import { recordNames } from "../../../src/catalogs/backup/chain.ts";
import { contentName } from "../../../src/catalogs/backup/content.ts";
import { objectPath } from "../../../src/catalogs/backup/names.ts";
import { FileSetCatalog, type Folder, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { runAll } from "../../../src/catalogs/files/pool.ts";
import { SimMachine } from "../../support/disk/sim_machine.ts";
import { test } from "../../support/harness.ts";
import { seeded } from "../../support/random.ts";
import { type FolderCall, WrappedFolder } from "../../support/wrapped_folder.ts";
import { commitFiles, fileBytes, filesIn, openRestored, putFile, removeRecord, rowsOf, type Scene, scene } from "./parts.ts";

async function backedUp(seed: number, place?: Folder): Promise<Scene> {
  const made = await scene(seed, place);
  await commitFiles(made, { "a": "contents", "same": "contents", "b": "others" });
  await made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog] });
  return made;
}

/** Changes a byte of every object, and tells what they were. */
async function damageAll(place: Folder): Promise<Map<string, Uint8Array>> {
  const whole = new Map<string, Uint8Array>();
  for (const path of await filesIn(place, "objects")) {
    const bytes = await fileBytes(place, path);
    whole.set(path, bytes);
    await putFile(place, path, bytes.map((byte, i) => i === bytes.length >> 1 ? byte ^ 4 : byte));
  }
  return whole;
}

test("BackupStore.backup: what verify finds damaged is used again by its length, and mended with reuse digest, in earlier backups too", async () => {
  const made = await backedUp(1);
  const { manifest, catalog, place, backups } = made;
  const [rows, files] = [rowsOf(manifest), await filesIn(made.folder)];
  const whole = await damageAll(place);
  assertEquals(whole.size, 4); // two contents, a list, a piece of the manifest
  const found = [...whole.keys()].filter((path) => whole.get(path)!.length > 10); // the list that would name the files is damaged
  assertEquals((await backups.verify()).problems.map(({ file }) => file), found.sort());
  const trusting = await backups.backup({ manifest, fileSets: [catalog] });
  assertEquals([trusting.filesCopied, trusting.piecesReused, trusting.objectsMended], [0, 2, 0]);
  assertEquals((await backups.verify()).problems.map(({ file, backups }) => [file, `${backups}`]), found.map((file) => [file, "1,2"]));
  const looking = await backups.backup({ manifest, fileSets: [catalog], reuse: "digest" });
  assertEquals([looking.filesCopied, looking.bytesCopied, looking.piecesWritten, looking.objectsMended], [2, 14, 2, 4]);
  assertEquals((await backups.verify()).problems, []);
  for (const [path, bytes] of whole) assertEquals(await fileBytes(place, path), bytes);
  for (const backup of [1, 2, 3]) {
    const into = memoryFolder();
    const copy = await openRestored(into, (await backups.restore({ into, name: "r", backup })).manifest);
    assertEquals(rowsOf(copy), rows);
    assertEquals(await filesIn(into, "r/files-1"), files.map((path) => `r/files-1/${path}`));
    await copy.close();
  }
  const again = await backups.backup({ manifest, fileSets: [catalog], reuse: "digest" });
  assertEquals([again.filesCopied, again.piecesWritten, again.objectsMended], [0, 0, 0]);
  await assertRejects(() => backups.backup({ manifest, fileSets: [catalog], reuse: "tree" as never }), TypeError, "reuse is neither");
  await manifest.close();
});

test("BackupStore.backup: with reuse digest an object that is missing, of another length or unreadable is stored again, and each is read once", async () => {
  /** Cannot read what lies at `broken`; counts what is opened. */
  class Broken extends WrappedFolder {
    broken = "";
    readonly opened: string[] = [];
    override before(call: FolderCall, path: string): void {
      if (call === "open") this.opened.push(path);
      if (call === "read" && path === this.broken) throw new ManifestError("IO_READ", "Cannot read: the device fails");
    }
  }
  const place = new Broken(memoryFolder());
  const { manifest, catalog, backups } = await backedUp(2, place);
  const path = objectPath(await contentName(new TextEncoder().encode("contents")));
  const damages: [string, number, () => Promise<unknown>][] = [
    ["missing", 0, () => place.remove(path)],
    ["longer", 1, () => putFile(place, path, "contents and more")],
    ["unreadable", 1, () => Promise.resolve(place.broken = path)],
  ];
  for (const [what, mended, damage] of damages) {
    await damage();
    const report = await backups.backup({ manifest, fileSets: [catalog], reuse: "digest", parallel: 1 });
    assertEquals([report.filesCopied, report.objectsMended], [1, mended], what);
    place.broken = "";
    assertEquals((await backups.verify()).problems, [], what);
  }
  place.opened.length = 0;
  await backups.backup({ manifest, fileSets: [catalog], reuse: "digest", parallel: 1 });
  assertEquals(place.opened.filter((opened) => opened === path).length, 1, "two equal files, one object");
  await manifest.close();
});

test("BackupStore.backup: what the manifest names no more is not mended: it stays told with the backups that need it", async () => {
  const made = await backedUp(3);
  const { manifest, catalog, place, backups } = made;
  await commitFiles(made, { "b@2": "newer" });
  await catalog.prune(1);
  const path = objectPath(await contentName(new TextEncoder().encode("others")));
  await putFile(place, path, "0thers");
  assertEquals((await backups.backup({ manifest, fileSets: [catalog], reuse: "digest" })).objectsMended, 0);
  assertEquals((await backups.verify()).problems.map(({ file, backups }) => [file, `${backups}`]), [[path, "1"]]);
  await manifest.close();
});

test("BackupStore.backup: a damaged object is replaced at once: a power cut leaves the one or the other", async () => {
  const machine = new SimMachine();
  const { manifest, catalog, place, backups } = await backedUp(4, machine.folder);
  const whole = await damageAll(place);
  for (const directory of new Set([...whole.keys()].map((path) => path.slice(0, 10)))) await place.syncDirectory(directory);
  for (const path of whole.keys()) await (await place.open(path)).sync();
  const damaged = new Map<string, Uint8Array>();
  for (const path of whole.keys()) damaged.set(path, await fileBytes(place, path));
  const from = machine.calls;
  await backups.backup({ manifest, fileSets: [catalog], reuse: "digest", parallel: 1 });
  let mended = 0, count = 0;
  for (const [calls, moment] of machine.moments().entries()) {
    if (calls < from) continue;
    let number = 0;
    for (const image of machine.crashes(moment, seeded(calls))) {
      const files = image.tree.paths();
      for (const [path, bytes] of whole) {
        const found = [...files.get(path) ?? []].join();
        assert(found === bytes.join() || found === damaged.get(path)!.join(), `call ${calls}, image ${image.index}: ${path}`);
        if (found === bytes.join()) mended++;
        count++;
      }
      if (++number === 16) break;
    }
  }
  assert(count > 300 && mended > 50 && mended < count, `${mended} of ${count}`);
  await manifest.close();
});

test("BackupStore.verify: objects without any record are a problem", async () => {
  const { manifest, catalog, place, backups } = await backedUp(5);
  for (const name of (await recordNames(place)).names) await removeRecord(place, name);
  for (const level of ["size", "digest"] as const) {
    const { ok, backups: count, unused, problems } = await backups.verify({ level });
    assertEquals([ok, count, unused], [false, 0, 4]);
    assertEquals(problems.map(({ file, reason }) => [file, reason]), [["backups", "unrecorded"]]);
  }
  assertEquals((await backups.verify({ backup: 1 })).problems.map(({ reason }) => reason), ["missing"]);
  const lost = await assertRejects(() => backups.backup({ manifest, fileSets: [catalog] }), ManifestError, "all records are missing");
  assertEquals(lost.code, "BACKUP_INCOMPLETE");
  const empty = await BackupStore.open(memoryFolder(), { create: true });
  assertEquals((await empty.verify()).ok, true);
  await manifest.close();
});

test("BackupStore.verify: a listener that throws later on is no damage", async () => {
  const { manifest, backups } = await backedUp(6);
  const onProgress = ({ step, bytes }: { step: string; bytes: number }): void => {
    if (step === "objects" && bytes > 0) throw new Error("no");
  };
  assertEquals((await assertRejects(() => backups.verify({ onProgress, parallel: 1 }), ManifestError)).code, "CALLBACK_FAILED");
  await manifest.close();
});

test("BackupStore.backup: when a state cannot be read those that were held are let go", async () => {
  const made = await scene(7);
  const { manifest, catalog, backups } = made;
  await commitFiles(made, { "a": "one" });
  await commitFiles(made, { "a@2": "two" });
  const read = manifest.read;
  manifest.read = () => {
    throw new ManifestError("IO_READ", "Cannot read: the call fails");
  };
  await assertRejects(() => backups.backup({ manifest, fileSets: [catalog] }), ManifestError, "the call fails");
  manifest.read = read;
  assertEquals((await catalog.prune(1)).deleted, 1, "a state holds the version that was dropped");
  await manifest.close();
});

test("parallel: at most 1024, in backups and in file sets, and never more at work than there are items", async () => {
  const { manifest, catalog, folder, backups } = await backedUp(8);
  const parallel = 1025;
  const codeOf = async (run: () => Promise<unknown>): Promise<ErrorCode> => {
    const error = await assertRejects(run, RangeError, "parallel is above 1024");
    return (error as unknown as ManifestError).code;
  };
  const into = memoryFolder();
  const calls: (() => Promise<unknown>)[] = [
    () => backups.backup({ manifest, fileSets: [catalog], parallel }),
    () => backups.verify({ parallel }),
    () => backups.restore({ into, name: "r", parallel }),
    () => catalog.verify({ parallel }),
    () => catalog.commit({ label: "x" }, { parallel }),
    () => FileSetCatalog.open(manifest, folder, { parallel }),
  ];
  for (const call of calls) assertEquals(await codeOf(call), "INVALID_ARGUMENT");
  assertEquals((await backups.verify({ parallel: 1024 })).ok, true);
  let asked = 0;
  function* items(): Generator<number> {
    for (let i = 0; i < 3; i++) yield i;
  }
  const source = items();
  const counted = { [Symbol.iterator]: () => ({ next: () => (asked++, source.next()) }) };
  const seen: number[] = [];
  await runAll(counted, { action: "test", parallel: 1024, signal: undefined }, async (item) => {
    await undefined;
    seen.push(item);
  });
  assertEquals(seen, [0, 1, 2]);
  assert(asked <= 7, `${asked} lanes and items`);
  await manifest.close();
});
