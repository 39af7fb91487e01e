// docs/architecture.md names what is there: every module of the kernel, the store, the manifest and the command line, and nothing else.
import { assertEquals } from "@std/assert";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "../support/harness.ts";

const document = readFileSync("docs/architecture.md", "utf8");

/** The files named in the first column of the table under a heading. */
function filesUnder(heading: string): string[] {
  const section = document.split(`\n## ${heading}\n`)[1]!.split("\n## ")[0]!;
  const cells = section.split("\n").filter((line) => /^\| (\*\*[\w]+\/\*\* )?`/.test(line)).map((line) => line.split("|")[1]!);
  return cells.flatMap((cell) => [...cell.matchAll(/`([\w.]+)`/g)].map((match) => match[1]!)).sort();
}

const filesIn = (folder: string): string[] => readdirSync(folder).filter((name) => name.endsWith(".ts")).sort();

test("architecture.md: its tables name every module of the kernel, the store, the manifest and the command line", () => {
  assertEquals(filesUnder("Kernel modules"), filesIn("assembly"));
  assertEquals(filesUnder("Store modules"), filesIn("src/store"));
  assertEquals(filesUnder("Inspection modules"), filesIn("src/inspect"));
  assertEquals(filesUnder("LSM catalog modules"), filesIn("src/catalogs/lsm"));
  // Tables and operations are described in docs/manifest.md.
  const folders = ["", "/read", "/write", "/transact", "/log", "/gc"];
  assertEquals(filesUnder("Command line modules"), ["", "/commands"].flatMap((folder) => filesIn(`src/cli${folder}`)).sort());
  assertEquals(filesUnder("Manifest modules"), folders.flatMap((folder) => filesIn(`src/manifest${folder}`)).sort());
});

test("architecture.md: names every folder of src/", () => {
  const folders = readdirSync("src", { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => `src/${entry.name}/`);
  assertEquals(folders.filter((folder) => !document.includes(folder)), []);
});
