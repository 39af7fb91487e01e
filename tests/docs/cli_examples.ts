// The examples of docs/cli.md: every `console` block is run, command by command, in a folder with the same files each time.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Manifest } from "../../mod.ts";
import { fileFolder, FileSetCatalog } from "../../src/catalogs/files/mod.ts";
import { encodeRecord } from "../../src/storage/lock_record.ts";
import { makeManifest, makeSparse, runCli } from "../support/cli.ts";
import { testEnvironment } from "../support/environment.ts";
import { withFolder } from "../support/folder.ts";

const BLOCK = /^```console\n([\s\S]*?)^```$/gm;
const PAGE = 4096;
/** Words of the examples that are paths. */
const PATH = /^(?:[a-z]+\.waybill|data|backups|restored)$/;

/** The files of the examples: a good one, one that is damaged in two places, one that has shrunk, one that a process of another machine has claimed. */
async function makeFiles(folder: string): Promise<void> {
  const catalog = join(folder, "catalog.waybill");
  await makeManifest(catalog);
  const image = readFileSync(catalog);
  const damaged = Uint8Array.from(image);
  damaged.fill(0xff, 100, 200); // one copy of a meta generation
  damaged[leafOf(image, "a/b") * PAGE + 2000]! ^= 1;
  writeFileSync(join(folder, "damaged.waybill"), damaged);
  await makeSparse(join(folder, "sparse.waybill"));
  await makeFileSet(folder);
  const shared = join(folder, "shared.waybill");
  writeFileSync(shared, image);
  mkdirSync(`${shared}.lock.d`);
  const record = {
    pid: 4711,
    started: "123",
    host: "db-3",
    boot: "",
    runtime: "node",
    since: "2026-11-20T10:00:00.000Z",
    nonce: "example",
  };
  for (const path of [`${shared}.lock`, `${shared}.lock.d/4711-example.claim`]) {
    writeFileSync(path, encodeRecord({ ...record, strength: "claim" }));
  }
}

/** A manifest with a file set, and its files. */
async function makeFileSet(folder: string): Promise<void> {
  mkdirSync(join(folder, "data"));
  const environment = testEnvironment(7);
  await using manifest = await Manifest.open(join(folder, "store.waybill"), { create: true, environment });
  const catalog = await FileSetCatalog.open(manifest, fileFolder(join(folder, "data")), { environment });
  for (const name of ["events", "users"]) writeFileSync(join(folder, "data", `${name}-1.sst`), name.repeat(5000));
  await catalog.commit({ set: ["events", "users"].map((name) => ({ kind: "data", name, path: `${name}-1.sst` })) });
}

/** The page behind the journal with a text in it: a leaf of a table that has it in a key. */
function leafOf(image: Uint8Array, text: string): number {
  const at = new TextDecoder("latin1").decode(image).lastIndexOf(text);
  return Math.floor(at / PAGE);
}

/** The page with what its examples really print. */
export async function renderExamples(markdown: string): Promise<string> {
  let rendered = markdown;
  await withFolder(async (folder) => {
    await makeFiles(folder);
    for (const [block, inner] of markdown.matchAll(BLOCK)) {
      let text = "", code = 0;
      for (const line of inner!.split("\n").filter((line) => line.startsWith("$ "))) {
        text += `${line}\n`;
        if (line === "$ echo $?") {
          text += `${code}\n`;
          continue;
        }
        const [, ...words] = line.slice(2).split(" ");
        const result = await runCli(words.map((word) => PATH.test(word) ? join(folder, word) : word));
        code = result.code;
        text += (result.out + result.err).replaceAll(join(folder, "/"), "");
      }
      rendered = rendered.replace(block, () => `\`\`\`console\n${text}\`\`\``);
    }
  });
  return rendered;
}
