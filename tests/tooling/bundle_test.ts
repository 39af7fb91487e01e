// mod.ts as a bundler for a platform without Node sees it. That the bundle runs is shown inside workerd, in a stage of the gate of its own.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { gzipSync } from "node:zlib";
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { test } from "../support/harness.ts";
import { esbuildPath } from "../support/runtimes.ts";

/** For the host's code; the kernel has a limit of its own. */
const GZIP_LIMIT = 79 * 1024;
/** The kernel's bytes in the bundle: the only text of this length. */
const KERNEL_BYTES = /[A-Za-z0-9+/=]{5000,}/;

interface Metafile {
  outputs: Record<string, { imports: { path: string; external?: boolean }[] }>;
}

test("mod.ts: bundled for a neutral platform it imports nothing, node: included, and its own code stays small", () => {
  const folder = `.build/bundle/${process.pid}`;
  mkdirSync(folder, { recursive: true });
  const args = [
    "mod.ts",
    "--bundle",
    "--format=esm",
    "--platform=neutral",
    "--target=es2022",
    "--minify",
    "--external:node:*",
    "--external:bun:*",
  ];
  const made = spawnSync(esbuildPath(), [...args, "--log-level=error", `--outfile=${folder}/mod.mjs`, `--metafile=${folder}/meta.json`], {
    encoding: "utf8",
  });
  assertEquals({ status: made.status, stderr: made.stderr }, { status: 0, stderr: "" });
  const meta = JSON.parse(readFileSync(`${folder}/meta.json`, "utf8")) as Metafile;
  assertEquals(Object.values(meta.outputs).flatMap((output) => output.imports.map((item) => item.path)), []);
  const code = readFileSync(`${folder}/mod.mjs`, "utf8");
  assert(KERNEL_BYTES.test(code), "the bundle does not hold the kernel");
  assertLessOrEqual(gzipSync(code.replace(KERNEL_BYTES, ""), { level: 9 }).length, GZIP_LIMIT);
});
