// docs/cli.md: every example prints what the page says, every command and option is on it.
import { assert, assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { COMMANDS } from "../../src/cli/commands.ts";
import { ExitCode } from "../../src/cli/mod.ts";
import { test } from "../support/harness.ts";
import { renderExamples } from "./cli_examples.ts";

const page = readFileSync("docs/cli.md", "utf8").replaceAll("\r\n", "\n");

test("cli.md: every example prints what the page says", async () => {
  const rendered = await renderExamples(page);
  assertEquals(rendered.split("\n"), page.split("\n"), "deno run -A tests/docs/update_cli.ts writes what they print now");
});

test("cli.md: has a section with an example for every command, and every option of it", () => {
  for (const command of COMMANDS) {
    const section = page.split(`\n## ${command.name}\n`)[1]?.split("\n## ")[0];
    assert(section !== undefined, `no section ${command.name}`);
    assert(section.includes(`\n$ waybill ${command.name} `), `no example of ${command.name}`);
    const made = new Command(command.name);
    command.declare?.(made);
    for (const { long } of made.options) assert(section.includes(`\`${long}`), `${command.name} ${long}`);
  }
});

test("cli.md: lists every exit code", () => {
  for (const code of Object.values(ExitCode)) assert(new RegExp(`^\\| ${code} +\\|`, "m").test(page), `exit code ${code}`);
});
