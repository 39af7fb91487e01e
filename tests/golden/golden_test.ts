// Golden files: files of the present format version open and hold what they held when they were made; the engine still makes the same bytes; other versions are refused and not touched.
import { assert, assertEquals } from "@std/assert";
import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { FORMAT_OLDEST, FORMAT_VERSION } from "../../assembly/format.ts";
import { isManifestError, Manifest } from "../../mod.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { contentsOf, FOLDER, makeGolden, ofVersion, PAGE_SIZES } from "./golden.ts";

const ENDING = ".waybill.gz";

function golden(name: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(`${FOLDER}/${name}${ENDING}`)));
}

const names = readdirSync(FOLDER).filter((name) => name.endsWith(ENDING)).map((name) => name.slice(0, -ENDING.length)).sort();
const present = names.filter((name) => name.startsWith(`v${FORMAT_VERSION}-`));
const contents = JSON.parse(readFileSync(`${FOLDER}/contents.json`, "utf8"));

test("golden files: each of the present version opens, for reading and for writing, holds what it held and checks clean", async () => {
  assertEquals(present.length, 2 * PAGE_SIZES.length);
  for (const name of present) {
    const image = golden(name);
    const journal = name.endsWith("-journal");
    const file = new MemoryFile(image);
    for (const readOnly of [true, false]) {
      const storage = new MemoryStorage(file, { readOnly });
      const manifest = await Manifest.open(storage, { readOnly, requeueJobs: false, idleCheckpoint: 0, environment: testEnvironment(1) });
      assertEquals([manifest.recovery.clean, manifest.recovery.groups > 0], [!journal, journal], name);
      assertEquals(JSON.parse(JSON.stringify(await contentsOf(manifest))), contents, name);
      assertEquals((await manifest.check({ level: "deep" })).problems, [], name);
      if (readOnly) assertEquals(file.bytes(), image, `${name}: opening for reading has written`);
      await manifest.close();
    }
    // What a writer has left opens again, cleanly, with the same contents.
    const again = await Manifest.open(new MemoryStorage(file), { environment: testEnvironment(2) });
    assert(again.recovery.clean);
    assertEquals(JSON.parse(JSON.stringify(await contentsOf(again))), contents, name);
    await again.close();
  }
});

test("golden files: the engine makes the same bytes today; if it means to make others, the format version goes up", async () => {
  const made = await makeGolden(FORMAT_VERSION);
  assertEquals(made.map(({ name }) => name).sort(), names);
  for (const { name, bytes } of made) {
    const kept = golden(name);
    const at = bytes.findIndex((byte, i) => byte !== kept[i]);
    assertEquals([bytes.length, at], [kept.length, -1], `${name} differs at byte ${at}`);
  }
});

test("golden files: those of other versions are refused by name and not touched", async () => {
  const older = names.filter((name) => !present.includes(name));
  assert(older.length > 0);
  const clean = golden(`v${FORMAT_VERSION}-4096-clean`);
  const cases: [Uint8Array, string, unknown][] = older.map((name) => [golden(name), "FORMAT_TOO_OLD", Number(/^v(\d+)-/.exec(name)![1])]);
  cases.push([ofVersion(clean, 0), "FORMAT_TOO_OLD", 0]);
  for (const [image, code, written] of cases) {
    for (const readOnly of [true, false]) {
      const file = new MemoryFile(image);
      const error = await Manifest.open(new MemoryStorage(file, { readOnly }), { readOnly, create: !readOnly }).then(
        () => undefined,
        (error) => error,
      );
      assert(isManifestError(error));
      assertEquals([error.code, error.outcome, error.handle, error.detail.written, error.detail.oldest], [
        code,
        "not_applied",
        "closed",
        written,
        FORMAT_OLDEST,
      ]);
      assertEquals(file.bytes(), image, "the file was written");
    }
  }
  // A later writer whose files this version can read is no obstacle.
  const later = await Manifest.open(new MemoryStorage(ofVersion(clean, FORMAT_VERSION + 1), { readOnly: true }), { readOnly: true });
  await later.close();
});
