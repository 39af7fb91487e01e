// Defects and items of the inventory whose other half is in the tests of file sets: what the source file gets wrong when it copies and restores.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ManifestError } from "../../mod.ts";
import { BackupStore } from "../../src/catalogs/backup/mod.ts";
import { FileSetCatalog, memoryFolder } from "../../src/catalogs/files/mod.ts";
import { subFolder } from "../../src/storage/sub_folder.ts";
import { SimMachine } from "../support/disk/sim_machine.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { commitFiles, fileBytes, filesIn, openRestored, putFile, scene } from "./backup/parts.ts";

test("defect 6.2.3: a backup whose source is missing fails by its name and counts for nothing, and one that is acknowledged is there behind a power cut", async () => {
  const machine = new SimMachine();
  const made = await scene(31, machine.folder);
  const { manifest, folder, catalog, backups } = made;
  await commitFiles(made, { "a": "one", "dir/b": "two", "dir/c": "three" });
  await folder.remove("dir/b");
  const error = await assertRejects(() => backups.backup({ manifest, fileSets: [catalog] }), ManifestError);
  assertEquals([error.code, error.detail.reason, error.detail.file], ["FILE_DAMAGED", "missing", "dir/b"]);
  assertEquals(await backups.list(), []);
  await putFile(folder, "dir/b", "two");
  await backups.backup({ manifest, fileSets: [catalog] });
  // All that no sync covers is lost; and whatever may be lost of it.
  let images = 0;
  for (const image of machine.crashes(machine.moments()[machine.calls]!, seeded(1))) {
    const left = await BackupStore.open(image.open().folder, { environment: testEnvironment(2) });
    assertEquals([(await left.list()).length, (await left.verify()).problems], [1, []]);
    const into = memoryFolder();
    await left.restore({ into, name: "r" });
    assertEquals((await filesIn(into)).filter((path) => path.startsWith("r/files-1/")).length, 3);
    if (++images === 4) break;
  }
  assert(images > 0);
  await manifest.close();
});

test("item 50: each version of a file set is backed up, the differences only, and restored from the backups alone; a missing file is an error there as well", async () => {
  const made = await scene(50);
  const { manifest, catalog, place, backups } = made;
  const versions: Record<string, string>[] = [
    { a: "one", b: "two", "dir/c": "three" },
    { a: "one", "b@2": "two again", "dir/c": "three" },
    { a: "one", "b@2": "two again", "dir/c": "three", "d": "four" },
  ];
  let objects = 0;
  const grown: number[] = [];
  for (const [at, files] of versions.entries()) {
    const before = at === 0 ? {} : versions[at - 1]!;
    await commitFiles(made, Object.fromEntries(Object.entries(files).filter(([path]) => !(path in before))));
    await catalog.prune(1);
    await backups.backup({ manifest, fileSets: [catalog] });
    const now = new Set(await filesIn(place)).size;
    grown.push(now - objects);
    objects = now;
  }
  assert(grown[0]! > grown[1]! && grown[1] === grown[2], `${grown}`);
  for (const [at, files] of versions.entries()) {
    const into = memoryFolder();
    await backups.restore({ into, name: "r", backup: at + 1 });
    const restored = subFolder(into, "r/files-1");
    assertEquals(await filesIn(restored), Object.keys(files).sort());
    for (const [path, content] of Object.entries(files)) assertEquals(new TextDecoder().decode(await fileBytes(restored, path)), content);
    await using opened = await openRestored(into, "r/manifest.waybill");
    const again = await FileSetCatalog.open(opened, restored, { create: false });
    assertEquals([(await again.verify()).ok, again.current()?.version], [true, at + 1]);
    await restored.remove("a");
    assertEquals((await again.verify()).damaged.map(({ path, problem }) => [path, problem]), [["a", "missing"]]);
  }
  for (const path of (await filesIn(place)).filter((path) => path.startsWith("objects/"))) {
    const whole = await fileBytes(place, path);
    await place.remove(path);
    assertEquals((await backups.verify()).ok, false, path);
    await putFile(place, path, whole);
  }
  await manifest.close();
});
