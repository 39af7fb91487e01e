// Runs one part of a stage, or makes one of its cases again.
//
//   deno run -A tests/stages/run.ts --stage NAME [--seed N] [--size gate|soak] [--part I --parts N] [--json FILE]
//   deno run -A tests/stages/run.ts --stage NAME --replay --FLAG VALUE ...
//
// With --json the case under way is kept in FILE.case. Without it the report is printed and held against the targets if this is the whole of the gate's run.
import { writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { loadStage } from "./all.ts";
import { StageReport } from "./report.ts";
import type { StageSize } from "./stage.ts";
import { UnderWay } from "./under_way.ts";

function flagsOf(args: string[]): Record<string, string> {
  const { tokens } = parseArgs({ args, strict: false, tokens: true, allowPositionals: true });
  const flags: Record<string, string> = {};
  for (const [i, token] of tokens.entries()) {
    if (token.kind !== "option") continue;
    const next = tokens[i + 1];
    flags[token.name] = token.value ?? (next?.kind === "positional" ? next.value : "");
  }
  return flags;
}

const flags = flagsOf(process.argv.slice(2));
const stage = await loadStage(flags.stage ?? "");

if (flags.replay !== undefined) {
  await stage.replay(flags);
  console.log("The case passes.");
} else {
  Error.stackTraceLimit = 0; // errors are made by the million, and a replay has the stacks
  const report = new StageReport(stage.name);
  const part = Number(flags.part ?? 0), parts = Number(flags.parts ?? 1);
  const size = (flags.size ?? "gate") as StageSize;
  const seed = Number(flags.seed ?? stage.seed);
  const underWay = flags.json === undefined ? undefined : new UnderWay(flags.json);
  report.onCase = underWay && ((replay) => underWay.note(replay));
  await stage.run({ seed, size, part, parts, report });
  underWay?.close();
  if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(report));
  else {
    console.log(`${stage.title}, seed ${seed}`);
    for (const line of report.lines(stage.targets)) console.log(line);
    const short = parts === 1 && size === "gate" ? report.shortfalls(stage.targets) : [];
    for (const line of [...short, ...report.failureLines()]) console.log(line);
    process.exitCode = short.length + report.failed > 0 ? 1 : 0;
  }
}
// What a failed case has left running holds nothing up: it ends with its input.
process.exit();
