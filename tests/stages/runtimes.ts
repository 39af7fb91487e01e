// T12: the same seeds give the same bytes on Deno, Bun and Node, in memory through crashes and faults and in real files that each runtime then checks for the others; and the same call of the file
// system that fails gives the same errors, outcomes and JSON.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { withFolder } from "../support/folder.ts";
import { equalErrors, equalFiles, equalModels } from "../support/runtimes_equal.ts";
import type { Stage, StageRun } from "./stage.ts";

const MODEL_SEEDS = 144;
const FILE_SEEDS = 60;

async function attempt({ report }: StageRun, flags: Readonly<Record<string, string | number>>, body: () => Promise<void>): Promise<void> {
  report.begin(flags);
  try {
    await body();
  } catch (error) {
    report.fail(error instanceof Error ? error.message : String(error), flags);
  }
}

/** The numbers of this part among `count`. */
function share({ part, parts }: StageRun, count: number): { first: number; count: number } {
  const first = Math.floor(count * part / parts);
  return { first, count: Math.floor(count * (part + 1) / parts) - first };
}

function folderFor(root: string, name: string): string {
  const folder = join(root, name);
  mkdirSync(folder);
  return folder;
}

/** The stage. */
export const stage: Stage = {
  name: "runtimes",
  title: "Deno, Bun and Node: equal bytes from equal seeds, equal errors from equal failures",
  parts: 2,
  seed: 5000,
  targets: { "seeds with equal bytes": 200, "failing calls with equal answers": 30, "files checked by another runtime": 300 },
  async run(run) {
    const { report, seed, size } = run;
    await withFolder(async (root) => {
      const models = share(run, size === "soak" ? 60 : MODEL_SEEDS);
      await attempt(run, { kind: "model", seed: seed + models.first, count: models.count }, async () => {
        for (const { kind, operations } of await equalModels(seed + models.first, models.count)) {
          report.count("seeds with equal bytes");
          report.count("operations on each runtime", operations);
          report.cell("seeds", `${kind} model, in memory`, "equal");
        }
      });
      const files = share(run, size === "soak" ? 20 : FILE_SEEDS);
      await attempt(run, { kind: "files", seed: seed + files.first, count: files.count }, async () => {
        const { seeds, bytes, checked } = await equalFiles(folderFor(root, "files"), seed + files.first, files.count);
        report.count("seeds with equal bytes", seeds);
        report.count("files checked by another runtime", checked);
        report.count("MiB of files", bytes / 2 ** 20);
        report.cell("seeds", "plan, in files", "equal", seeds);
      });
      if (run.part !== 0) return;
      await attempt(run, { kind: "errors" }, async () => {
        for (const { call, step, answer } of await equalErrors(folderFor(root, "errors"))) {
          if (step === "case") report.count("failing calls with equal answers");
          else report.cell("call that fails", call, answer);
        }
      });
    });
  },
  async replay({ kind, seed, count }) {
    await withFolder(async (root) => {
      if (kind === "model") await equalModels(Number(seed), Number(count ?? 1));
      else if (kind === "files") await equalFiles(folderFor(root, "files"), Number(seed), Number(count ?? 1));
      else if (kind === "errors") await equalErrors(folderFor(root, "errors"));
      else throw new Error(`Cannot replay ${kind}: there are model, files and errors`);
    });
  },
};
