// What a restore looks at before it gives a name, what a verification keeps in memory, and what lies in a backup folder without belonging there.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ManifestError } from "../../../mod.ts";
import { BackupStore } from "../../../src/catalogs/backup/mod.ts";
import { contentName } from "../../../src/catalogs/backup/content.ts";
import { decodeFiles, type ListedFile, walkList } from "../../../src/catalogs/backup/file_list.ts";
import { objectDirectory, objectPath, objectText } from "../../../src/catalogs/backup/names.ts";
import { Ranges } from "../../../src/catalogs/backup/needs.ts";
import { decodedRows } from "../../../src/catalogs/backup/rows.ts";
import { Verification } from "../../../src/catalogs/backup/verify.ts";
import { type Folder, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { testEnvironment } from "../../support/environment.ts";
import { test } from "../../support/harness.ts";
import { type FolderCall, WrappedFolder } from "../../support/wrapped_folder.ts";
import { altered } from "../files/parts.ts";
import { newest, pieceOf } from "./forging.ts";
import { commitFiles, fileBytes, filesIn, putFile, type Scene, scene } from "./parts.ts";

async function backedUp(seed: number, contents: Readonly<Record<string, string>> = { "a": "first", "b/c": "second" }): Promise<Scene> {
  const made = await scene(seed);
  await commitFiles(made, contents);
  await made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog] });
  return made;
}

test("BackupStore.restore: a file that is read again with another content, and of its length, is told", async () => {
  const made = await backedUp(1);
  const inner = memoryFolder();
  let changed = 0;
  // Behind its sync one byte of a file is another.
  class Rotting extends WrappedFolder {
    override async before(call: FolderCall, path: string): Promise<void> {
      if (call !== "close" || !path.endsWith("/a") || changed++ > 0) return;
      const bytes = await fileBytes(this.inner, path);
      bytes[1]! ^= 1;
      await putFile(this.inner, path, bytes);
    }
  }
  const error = await assertRejects(() => made.backups.restore({ into: new Rotting(inner), name: "r" }), ManifestError);
  assertEquals([error.code, (error.detail as { reason?: string }).reason, changed > 0], ["FILE_DAMAGED", "digest", true]);
  assertEquals(await inner.list(""), []);
  await made.manifest.close();
});

test("BackupStore.restore: a manifest of which any page is not read again as it was written does not get its name", async () => {
  const made = await backedUp(2);
  let told = 0, whole = 0;
  for (let turn = 0;; turn++) {
    const inner = memoryFolder();
    let writes = 0;
    // Of one write behind the creation the last byte does not arrive.
    const into = altered(inner, {
      storage: (path, options) => {
        const storage = inner.storage(path, options);
        return new Proxy(storage, {
          get: (target, name) => {
            if (name === "write") {
              return (at: number, from: Uint8Array): void => {
                const bytes = from.slice();
                if (writes++ === turn) bytes[bytes.length >> 1]! ^= 0x20;
                target.write(at, bytes);
              };
            }
            const value = Reflect.get(target, name) as unknown;
            return typeof value === "function" ? value.bind(target) : value;
          },
        });
      },
    });
    let error: unknown;
    await made.backups.restore({ into, name: "r" }).catch((thrown) => error = thrown);
    if (writes <= turn) break;
    if (error === undefined) {
      whole++;
      continue;
    }
    assert(error instanceof ManifestError, `write ${turn}: ${error}`);
    assertEquals(await inner.list(""), [], `write ${turn}: ${error.code}`);
    if (error.code === "IO_WRITE" && error.message.includes("is not read again as it was written")) told++;
  }
  assert(told > 0, `${told} told by the check, ${whole} without harm`);
  await made.manifest.close();
});

test("BackupStore.restore: something that takes the name while it is under way stays, and the restore ends with EXISTS", async () => {
  const made = await backedUp(3);
  for (const kind of ["file", "directory"] as const) {
    let taken = 0, renames = 0;
    class Counting extends WrappedFolder {
      override before(call: FolderCall): void {
        if (call === "rename") renames++;
      }
    }
    const into = new Counting(memoryFolder());
    const onProgress = async ({ step }: { step: string }): Promise<void> => {
      if (step !== "check" || taken++ > 0) return;
      if (kind === "file") await putFile(into.inner, "r", "mine");
      else await into.makeDirectory("r");
    };
    const error = await assertRejects(
      () => made.backups.restore({ into, name: "r", onProgress: (progress) => void onProgress(progress) }),
      ManifestError,
    );
    assertEquals([error.code, renames], ["EXISTS", 0], kind); // a folder may have a rename that replaces
    assertEquals((await into.list("")).map(({ name, kind }) => [name, kind]), [["r", kind]]);
    if (kind === "file") assertEquals(new TextDecoder().decode(await fileBytes(into, "r")), "mine");
  }
  await made.manifest.close();
});

test("decodedRows: rows that end behind their piece, or would, are refused, and what is before them is whole", () => {
  const whole = pieceOf([{ table: 20, key: new Uint8Array([1, 2]), value: new Uint8Array([3]) }]);
  assertEquals([...decodedRows(whole, "p")].map(({ table, key, value }) => [table, [...key], [...value]]), [[20, [1, 2], [3]]]);
  const lengths = (key: number, value: number): Uint8Array => {
    const bytes = whole.slice();
    new DataView(bytes.buffer).setUint32(4, key, true);
    new DataView(bytes.buffer).setUint32(8, value, true);
    return bytes;
  };
  const cut = Array.from({ length: whole.length - 1 }, (_, i) => whole.subarray(0, i + 1));
  for (
    const bytes of [...cut, lengths(2, 2), lengths(3, 1), lengths(4, 0), lengths(0, 4), lengths(0xffffffff, 1), lengths(2, 0xffffffff)]
  ) {
    let error: unknown;
    try {
      for (const _ of decodedRows(bytes, "p"));
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof ManifestError && error.code === "BACKUP_DAMAGED", `${bytes}`);
  }
});

test("walkList: the order of paths is that of their rows, also of code points above 0xffff, over any cut into lists", async () => {
  const made = await backedUp(4, Object.fromEntries(["a", "\uff5e", "\u{1f600}", "b-c", "b/c", "é", "É"].map((path) => [path, path])));
  const { fileSets } = await newest(made.place);
  const listed: ListedFile[] = [];
  for (const list of fileSets[0]!.lists) listed.push(...decodeFiles(await fileBytes(made.place, objectPath(list)), objectText(list)));
  assertEquals(listed.length, 7);
  const whole = await walkList(listed, { last: undefined, open: [] });
  for (let cut = 0; cut <= listed.length; cut++) {
    const first = await walkList(listed.slice(0, cut), { last: undefined, open: [] });
    const second = await walkList(listed.slice(cut), first.end);
    assertEquals(second.end, whole.end);
    first.total.join(second.total);
    assert(first.total.equals(whole.total));
  }
  for (let i = 1; i < listed.length; i++) {
    const other = listed.slice();
    [other[i - 1], other[i]] = [other[i]!, other[i - 1]!];
    assertEquals((await assertRejects(() => walkList(other, { last: undefined, open: [] }), ManifestError)).code, "BACKUP_DAMAGED");
  }
  await made.manifest.close();
});

test("Verification: what it keeps grows with objects, not with files times backups; who needs a damaged file is told all the same", async () => {
  const files = 300;
  const made = await backedUp(5, Object.fromEntries(Array.from({ length: files }, (_, i) => [`f${i}`, `content ${i}`])));
  const kept = async (): Promise<{ kept: number; objects: number; backups: number }> => {
    const verification = new Verification({
      folder: made.place,
      level: "digest",
      number: undefined,
      parallel: 4,
      onProgress: undefined,
      signal: undefined,
      environment: testEnvironment(1),
    });
    const { ok, objects, backups } = await verification.run();
    assert(ok);
    return { kept: verification.needs.kept, objects, backups };
  };
  const one = await kept();
  for (let i = 0; i < 8; i++) {
    await commitFiles(made, { [`late-${i}`]: `late ${i}` });
    await made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog] });
  }
  const nine = await kept();
  assertEquals(nine.backups, 9);
  // Each backup has a file, a list and some pieces of its own; nothing is kept for the files that it shares.
  const grown = nine.objects - one.objects;
  assert(grown < 60, `${grown} objects`);
  assert(nine.kept - one.kept <= 2 * grown, `kept ${one.kept}, then ${nine.kept}, of ${nine.objects} objects`);
  const shared = objectPath(await contentName(new TextEncoder().encode("content 7")));
  await putFile(made.place, shared, "c0ntent 7");
  const late = objectPath(await contentName(new TextEncoder().encode("late 5")));
  await made.place.remove(late);
  const { problems } = await made.backups.verify();
  assertEquals(
    problems.map(({ file, reason, backups }) => `${file} ${reason} ${backups}`).sort(),
    [
      `${shared} digest 1,2,3,4,5,6,7,8,9`,
      `${late} missing 7,8,9`,
    ].sort(),
  );
  await made.manifest.close();
});

test("Ranges: numbers that follow each other are one range, and all come back", () => {
  const ranges = new Ranges();
  const numbers = [1, 1, 2, 3, 7, 8, 8, 20];
  for (const number of numbers) ranges.add(number);
  assertEquals([...ranges], [1, 2, 3, 7, 8, 20]);
  assertEquals(ranges.length, 3);
});

test("BackupStore.verify: a list that cannot be read hides nothing of the lists beside it", async () => {
  const made = await scene(6);
  // Long names make several lists of few files.
  const names = Array.from({ length: 3000 }, (_, i) => `${`${i}`.padStart(5, "0")}${"n".repeat(90)}`);
  await commitFiles(made, Object.fromEntries(names.map((name, i) => [name, `${i % 40}`])));
  await made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog] });
  const { fileSets } = await newest(made.place);
  const { lists } = fileSets[0]!;
  assert(lists.length > 1, `${lists.length} lists`);
  const lost = lists[0]!;
  const bytes = await fileBytes(made.place, objectPath(lost));
  bytes[5]! ^= 1;
  await putFile(made.place, objectPath(lost), bytes);
  const shared = objectPath(await contentName(new TextEncoder().encode("7")));
  await made.place.remove(shared);
  for (const level of ["size", "digest"] as const) {
    const { problems } = await made.backups.verify({ level });
    assertEquals(
      problems.map(({ file, reason, backups }) => `${file} ${reason} ${backups}`).sort(),
      [`${objectPath(lost)} digest 1`, `${shared} missing 1`].sort(),
    );
  }
  await made.manifest.close();
});

test("BackupStore.verify: what lies in directories of objects and is none is told: other names, names in the place of another, directories", async () => {
  const made = await backedUp(7);
  const name = await contentName(new TextEncoder().encode("first"));
  const stray = await contentName(new TextEncoder().encode("nobody's"));
  const directory = objectDirectory(name);
  const other = directory.endsWith("00") ? "objects/01" : "objects/00";
  const wrong = [
    `${directory}/notes.txt`,
    `${directory}/${objectText(stray)}x`,
    `${other}/${objectText(stray)}`,
    "objects/other",
    "objects/zz",
    "backups/notes.txt",
  ];
  const place: Folder = made.place;
  for (const path of wrong) {
    if (path === "objects/zz") await place.makeDirectory(path);
    else await putFile(place, path, "nobody's");
  }
  await place.makeDirectory(objectDirectory(stray));
  await putFile(place, objectPath(stray), "nobody's");
  const { problems, unused } = await made.backups.verify();
  const expected = wrong.filter((path) => path !== `${other}/${objectText(stray)}` || objectPath(stray) !== path).sort();
  assertEquals(problems.map(({ file, reason }) => [file, reason]), expected.map((path) => [path, "name"]));
  assertEquals(unused, 1);
  assert((await filesIn(place)).length > 8);
  await made.manifest.close();
});

test("BackupStore.backup: a stored file that grew is not written on behind its length", async () => {
  const made = await scene(8);
  await commitFiles(made, { "a": "first" });
  await putFile(made.folder, "a", "first".repeat(200_000)); // several reads
  let most = 0;
  const place = memoryFolder();
  const watching = altered(place, {
    create: async (path) => {
      const file = await place.create(path);
      return {
        facts: () => file.facts(),
        read: (at, into) => file.read(at, into),
        write: async (at, from) => {
          most = Math.max(most, at + from.length);
          await file.write(at, from);
        },
        sync: () => file.sync(),
        close: () => file.close(),
      };
    },
  });
  const backups = await BackupStore.open(watching, { create: true, environment: testEnvironment(8) });
  const error = await assertRejects(() => backups.backup({ manifest: made.manifest, fileSets: [made.catalog] }), ManifestError);
  assertEquals(error.code, "FILE_DAMAGED");
  assert(most <= 5, `${most} bytes were written`);
  await made.manifest.close();
});
