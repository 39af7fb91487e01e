// README.md: its examples compile and print what they say, its links lead somewhere, its commands exist.
import { assert, assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";
import { runtimePath } from "../support/runtimes.ts";
import { packageImports } from "../support/source.ts";

/** Pages with examples that run. */
const PAGES = ["README.md", "docs/backup.md", "docs/files.md", "docs/lsm.md", "docs/manifest.md"];
const examples = PAGES.flatMap((path) =>
  [...readFileSync(path, "utf8").replaceAll("\r\n", "\n").matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]!)
);

/** What an example says that it prints, line by line. */
function promised(example: string): string[] {
  return [...example.matchAll(/\/\/ prints (.*)$/gm)].flatMap((match) => match[1]!.split(", then "));
}

test("README.md and pages of docs/: every example compiles and prints what it says", async () => {
  assert(examples.length >= 8);
  await withFolder((folder) => {
    const map = join(folder, "map.json");
    writeFileSync(map, JSON.stringify({ imports: packageImports() }));
    // A folder for each: the examples open files of the same name.
    const scripts = examples.map((example, i) => {
      mkdirSync(join(folder, String(i)));
      const script = join(folder, String(i), "example.ts");
      writeFileSync(script, example);
      return script;
    });
    const deno = (cwd: string, ...args: string[]): string => {
      const [command, ...rest] = args;
      const given = [command!, "--no-config", "--no-lock", "--import-map", map, ...rest];
      const { status, stdout, stderr } = spawnSync(runtimePath("deno"), given, {
        cwd,
        encoding: "utf8",
        env: { ...process.env, NO_COLOR: "1" },
      });
      assertEquals(status, 0, stderr);
      return stdout;
    };
    deno(folder, "check", ...scripts);
    examples.forEach((example, i) => {
      const printed = deno(join(folder, String(i)), "run", "--no-check", "-A", scripts[i]!);
      assertEquals(printed.trimEnd().split("\n"), promised(example));
    });
  });
});

test("README.md: links of the documentation lead to files and headings that exist", () => {
  for (
    const path of [
      "README.md",
      "CHANGELOG.md",
      "docs/FORMAT.md",
      "docs/architecture.md",
      "docs/backup.md",
      "docs/cli.md",
      "docs/files.md",
      "docs/lsm.md",
      "docs/manifest.md",
      "docs/parity.md",
      "tests/README.md",
    ]
  ) {
    const text = readFileSync(path, "utf8");
    const headings = new Set(
      [...text.matchAll(/^#+ (.*)$/gm)].map((match) => match[1]!.toLowerCase().replace(/[^\w\s-]/g, "").replaceAll(" ", "-")),
    );
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target!.startsWith("http")) continue;
      const [file, heading] = target!.split("#");
      if (file !== "") assert(existsSync(join(path, "..", file!)), `${path} links to ${target}`);
      else assert(headings.has(heading!), `${path} links to ${target}`);
    }
  }
});

test("README.md: its commands are tasks of the project", () => {
  const tasks = JSON.parse(readFileSync("deno.json", "utf8")).tasks as Record<string, { command: string }>;
  const named = [...readFileSync("README.md", "utf8").matchAll(/(?:deno|deno@[\d.]+) task (\w+)/g)].map((match) => match[1]!);
  assert(named.includes("demo") && named.includes("test"));
  for (const name of named) {
    const script = /\S+\.ts/.exec(tasks[name]?.command ?? "")?.[0];
    assert(script !== undefined && existsSync(script), `task ${name}`);
  }
});
