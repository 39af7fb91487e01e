// Commands that only read: on good, damaged, cut and foreign files they write nothing, end with an exit code and say why.
import { assert, assertEquals } from "@std/assert";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Manifest } from "../../mod.ts";
import { contents, jsonLines, makeManifest, runCli } from "../support/cli.ts";
import { readingCalls } from "../support/cli_calls.ts";
import { testEnvironment } from "../support/environment.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";

const PAGE = 4096;
const OUTPUT_MAX = 1 << 20;

/** Codes of a defect of ours, which no file may cause. */
const DEFECTS = /INVARIANT|CORE_TRAP|undefined|\[object/;

/** Makes the reading calls on the file and returns the exit codes by call. */
async function callAll(folder: string, file: string, label: string, brief = false): Promise<Map<string, number>> {
  const codes = new Map<string, number>();
  const before = contents(folder);
  for (const args of readingCalls(file, brief)) {
    const call = `${label}: ${args[0]} ${args.slice(2).join(" ")}`;
    const { code, out, err } = await runCli(args);
    assert(code >= 0 && code <= 4, `${call}: ${code}`);
    assert(!DEFECTS.test(err) && !/INVARIANT|CORE_TRAP/.test(out), `${call}: ${err}${out.slice(0, 2000)}`);
    assert(out.length < OUTPUT_MAX, `${call}: ${out.length} characters`);
    if (code > 1 && args[0] !== "check" && args[0] !== "page") assert(err !== "" || args[0] !== "stats", `${call}: ${code} without a word`);
    if (args.includes("--json")) { for (const line of jsonLines(out + err)) assertEquals(line.version, 1, call); }
    codes.set(args.filter((arg) => arg !== file).join(" "), code);
  }
  assertEquals(contents(folder), before, `${label}: something was written`);
  return codes;
}

test("reading commands: a file that was closed and one that was not are exit code 0", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const codes = await callAll(folder, file, "closed");
    assertEquals([...codes].filter(([, code]) => code !== 0), []);

    const manifest = await Manifest.open(file, { environment: testEnvironment(6), idleCheckpoint: 0 });
    for (let db = 10; db < 20; db++) await manifest.begin().putDb(db, { name: `db ${db}` }).commit();
    const image = readFileSync(file);
    await manifest.close();
    await withFolder(async (other) => {
      const crashed = join(other, "crashed.waybill");
      writeFileSync(crashed, image);
      assertEquals([...await callAll(other, crashed, "crashed")].filter(([, code]) => code !== 0), []);
    });
  });
});

test("reading commands: one bad bit in any page is absorbed or exit code 2, and the deep check sees every bit in use", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const good = readFileSync(file);
    const random = seeded(9201);
    let found = 0;
    for (let page = 0; page * PAGE < good.length; page++) {
      if (page >= 5 && page < 36 && page % 8 !== 0) continue; // the journal, which a closed file does not use
      const image = Uint8Array.from(good);
      const at = page * PAGE + random.int(PAGE);
      image[at]! ^= 1 << random.int(8);
      writeFileSync(file, image);
      const codes = await callAll(folder, file, `seed 9201, byte ${at}`, true);
      for (const [call, code] of codes) assert(code <= 2, `byte ${at}: ${call} is ${code}`);
      if (codes.get("check --level deep") === 2) found++;
      else {for (const [call, code] of codes) {
          assert(code < 2 || call.startsWith("page "), `byte ${at}: ${call} is ${code}, the deep check ${codes.get("check --level deep")}`);
        }}
    }
    assert(found >= 8, `${found} pages`);
  });
});

test("reading commands: a file that is cut, empty, all noise or something else ends with an exit code and a word", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const good = readFileSync(file);
    const random = seeded(9202);
    const images: [name: string, image: Uint8Array, least: number][] = [
      ["empty", new Uint8Array(0), 3],
      ["one byte", new Uint8Array(1), 3],
      ["zeros", new Uint8Array(100_000), 3],
      ["noise", random.bytes(70_000), 3],
      ["text", new TextEncoder().encode("not a manifest\n".repeat(500)), 3],
      ["a header alone", Uint8Array.from(good.subarray(0, 4 * PAGE)), 2],
      ["half", Uint8Array.from(good.subarray(0, good.length >> 1)), 2],
      ["all but a byte", Uint8Array.from(good.subarray(0, good.length - 1)), 2],
    ];
    for (const [name, image, least] of images) {
      writeFileSync(file, image);
      const codes = await callAll(folder, file, name);
      assertEquals(codes.get("check"), least, name);
      assertEquals(codes.get("stats"), least, name);
    }
  });
});

test("reading commands: noise anywhere in the pages is named, never a defect", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a.waybill");
    await makeManifest(file);
    const good = readFileSync(file);
    const random = seeded(9203);
    for (let round = 0; round < 12; round++) {
      const image = Uint8Array.from(good);
      for (let n = 0; n < 1 + round; n++) {
        const at = random.int(image.length - 64);
        image.set(random.bytes(1 + random.int(64)), at);
      }
      writeFileSync(file, image);
      await callAll(folder, file, `seed 9203, round ${round}`, true);
    }
  });
});
