// Writes what the examples of docs/cli.md print into it: deno run -A tests/docs/update_cli.ts
import { readFileSync, writeFileSync } from "node:fs";
import { renderExamples } from "./cli_examples.ts";

writeFileSync("docs/cli.md", await renderExamples(readFileSync("docs/cli.md", "utf8")));
