// Writes the example bytes of docs/FORMAT.md anew: run after a change of the format, then read what changed.
import { readFileSync, writeFileSync } from "node:fs";
import { hexdump, samples } from "./samples.ts";

const path = "docs/FORMAT.md";
const blocks = await samples();
const source = readFileSync(path, "utf8");
writeFileSync(
  path,
  source.replace(/^```bytes ([\w-]+)\n[^`]*```$/gm, (all, name: string) => {
    const bytes = blocks.get(name);
    return bytes === undefined ? all : `\`\`\`bytes ${name}\n${hexdump(bytes)}\n\`\`\``;
  }),
);
