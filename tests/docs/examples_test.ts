// The examples in the documentation comments compile and run.
import { assert, assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";
import { runtimePath } from "../support/runtimes.ts";
import { packageImports, sourceFiles } from "../support/source.ts";

/** Code blocks in the documentation comments of a file. */
function examplesOf(path: string): string[] {
  const source = readFileSync(path, "utf8").replaceAll("\r\n", "\n");
  return [...source.matchAll(/^[ ]*\* ```ts\n([\s\S]*?)^[ ]*\* ```$/gm)].map((match) => match[1]!.replace(/^[ ]*\* ?/gm, ""));
}

test("documentation: every example in a comment compiles and runs to its end", async () => {
  const examples = ["mod.ts", ...sourceFiles("src/manifest"), ...sourceFiles("src/flush"), ...sourceFiles("src/catalogs")].flatMap(
    examplesOf,
  );
  assert(examples.length >= 8, `${examples.length} examples`);
  await withFolder((folder) => {
    const map = join(folder, "map.json");
    writeFileSync(map, JSON.stringify({ imports: packageImports() }));
    const scripts = examples.map((example, i) => {
      const script = join(folder, `example_${i}.ts`);
      writeFileSync(script, example);
      return script;
    });
    const all = join(folder, "all.ts");
    writeFileSync(all, scripts.map((_, i) => `await import("./example_${i}.ts");\nconsole.log("ran ${i}");\n`).join(""));
    const { status, stdout, stderr } = spawnSync(
      runtimePath("deno"),
      ["run", "--check", "-A", "--no-config", "--no-lock", "--import-map", map, all],
      { cwd: folder, encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } },
    );
    assertEquals(status, 0, stderr);
    assertEquals(stdout.match(/^ran \d+$/gm)?.length, examples.length);
  });
});
