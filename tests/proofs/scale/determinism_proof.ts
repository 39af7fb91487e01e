// The same operations give the same bytes on every runtime, and every runtime reads what the others wrote.
//
// To replay one seed: `deno run -A tests/support/children/proof_determinism.ts make FOLDER SEED 1`, and the same with the bundle .build/scripts/tests-support-children-proof_determinism.mjs on
// Bun and Node; SEED.trace tells where two runs part.
import { assertEquals } from "@std/assert";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { withFolder } from "../../support/folder.ts";
import { test } from "../../support/harness.ts";
import { figure, runChild } from "../../support/proof_child.ts";
import { RUNTIMES } from "../../support/runtimes.ts";

const CHILD = "tests/support/children/proof_determinism.ts";
const FIRST = 1;
const SEEDS = 60;

interface Made {
  seed: number;
  sha: string;
  bytes: number;
  checkpoints: number;
  groups: number;
}

function firstDifference(a: string, b: string): string {
  const left = readFileSync(a, "utf8").split("\n"), right = readFileSync(b, "utf8").split("\n");
  const at = left.findIndex((line, i) => line !== right[i]);
  return at < 0 ? "no step tells them apart" : `first in step\n  ${left[at]}\n  ${right[at]}`;
}

test(`Manifest: ${SEEDS} seeds give equal files on Deno, Bun and Node, and each checks the others' files`, async () => {
  await withFolder(async (root) => {
    const folders = new Map(RUNTIMES.map((runtime) => [runtime, join(root, runtime)]));
    for (const folder of folders.values()) mkdirSync(folder);
    const made = await Promise.all(RUNTIMES.map(async (runtime) => {
      const lines = await runChild(runtime, CHILD, ["make", folders.get(runtime)!, FIRST, SEEDS]);
      return lines.map((line) => JSON.parse(line) as Made);
    }));
    const [deno, ...others] = made;
    assertEquals(deno!.length, SEEDS);
    for (const [index, other] of others.entries()) {
      for (const [i, mine] of deno!.entries()) {
        if (other[i]!.sha === mine.sha) continue;
        const runtime = RUNTIMES[index + 1]!;
        const where = firstDifference(join(folders.get("deno")!, `${mine.seed}.trace`), join(folders.get(runtime)!, `${mine.seed}.trace`));
        throw new Error(`seed ${mine.seed}: the files of deno and ${runtime} differ, ${where}`);
      }
    }
    // Who checks whom: everybody the files of the two others.
    await Promise.all(RUNTIMES.map(async (runtime) => {
      for (const maker of RUNTIMES.filter((name) => name !== runtime)) {
        assertEquals((await runChild(runtime, CHILD, ["check", folders.get(maker)!, FIRST, SEEDS])).length, SEEDS);
      }
    }));
    const sum = (pick: (item: Made) => number): number => deno!.reduce((total, item) => total + pick(item), 0);
    figure(
      `determinism: ${SEEDS} seeds, equal SHA-256 on ${RUNTIMES.join(", ")}; ${sum((m) => m.groups)} groups, ${
        sum((m) => m.checkpoints)
      } checkpoints, ` +
        `${(sum((m) => m.bytes) / 2 ** 20).toFixed(0)} MiB of files each; ${SEEDS * 6} files opened and checked by another runtime`,
    );
  });
});
