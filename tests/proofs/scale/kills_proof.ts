// SIGKILL at random moments loses nothing that was acknowledged.
//
// When a process dies is counted in lines that it has printed, not in milliseconds, so a seed visits the same phases on a fast and on a slow machine: opening, recovery, the check, commits alone and in
// groups, batches and values beyond the journal, checkpoints. The next process goes on in the same file. A file that fails is kept in .build/failures and named; replay with
// `deno run -A tests/support/children/proof_kill.ts COPY SEED ACKNOWLEDGED IDS`.
import { copyFileSync, existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { DurabilityMode } from "../../../mod.ts";
import { withFolder } from "../../support/folder.ts";
import { test } from "../../support/harness.ts";
import { figure, startChild } from "../../support/proof_child.ts";
import { seeded } from "../../support/random.ts";
import { type RuntimeName, RUNTIMES } from "../../support/runtimes.ts";

const CHILD = "tests/support/children/proof_kill.ts";
const KILLS = 100;
/** As many again in all for each of the other modes. */
const OTHERS = 20;
/** Of these, so many on new files, while they are made. */
const CREATIONS = 10;

/** What is known about a file from outside. */
interface Knowledge {
  acknowledged: number;
  /** Ids by number, of the newest transactions that were begun. */
  begun: Map<number, string>;
}

/** One process: killed after `target` lines. Returns the phase it was in. */
async function round(
  runtime: RuntimeName,
  path: string,
  seed: number,
  known: Knowledge,
  target: number,
  mode: DurabilityMode = "sync",
): Promise<string> {
  const ids = [...known.begun].map(([number, id]) => `${number}:${id}`).join();
  const copy = join(".build/failures", `kill-${runtime}-${seed}.waybill`);
  mkdirSync(".build/failures", { recursive: true });
  if (existsSync(path)) copyFileSync(path, copy);
  let seen = 0;
  const child = startChild(runtime, CHILD, [path, seed, known.acknowledged, ids, mode], (_line, self) => {
    if (++seen === target) self.kill();
  });
  const code = await child.ended();
  if (code !== null) {
    throw new Error(
      `${runtime}, seed ${seed}: the child failed (${code}): ${
        child.errorText.slice(-3000)
      }\nreplay: deno run -A ${CHILD} ${copy} ${seed} ${known.acknowledged} ${ids} ${mode}`,
    );
  }
  const checked = child.lines.find((line) => line.startsWith("checked "));
  // Numbers that the file did not hold are given again: what was begun under them is settled.
  if (checked !== undefined) { for (const number of [...known.begun.keys()]) known.begun.delete(number); }
  for (const line of child.lines) {
    const [word, number, id] = line.split(" ");
    if (word === "ack") known.acknowledged = Math.max(known.acknowledged, Number(number));
    if (word === "begin") known.begun.set(Number(number), id!);
  }
  // The newest 60, with receipt and without.
  for (const number of [...known.begun.keys()].slice(0, -60)) known.begun.delete(number);
  return child.lines.at(-1)?.split(" ")[0] ?? "nothing";
}

for (const runtime of RUNTIMES) {
  test(`Manifest: ${KILLS} SIGKILLs on ${runtime} lose nothing`, async () => {
    const seed = 4200 + RUNTIMES.indexOf(runtime);
    const random = seeded(seed);
    await withFolder(async (folder) => {
      const phases = new Map<string, number>();
      const note = (phase: string): void => void phases.set(phase, (phases.get(phase) ?? 0) + 1);
      for (let i = 0; i < CREATIONS; i++) {
        const path = join(folder, `new-${i}.waybill`);
        const known: Knowledge = { acknowledged: 0, begun: new Map() };
        note(await round(runtime, path, seed, known, random.between(1, 3)));
        await round(runtime, path, seed, known, 30);
      }
      const path = join(folder, "main.waybill");
      const known: Knowledge = { acknowledged: 0, begun: new Map() };
      for (let i = 0; i < KILLS - CREATIONS; i++) {
        note(await round(runtime, path, seed, known, random.chance(0.2) ? random.between(1, 4) : random.between(4, 260)));
      }
      const list = [...phases].map(([phase, count]) => `${phase} ${count}`).join(", ");
      figure(
        `kills on ${runtime}: ${KILLS} (and ${CREATIONS} more of the new files), ${known.acknowledged} acknowledged transactions in one file of ` +
          `${(statSync(path).size / 2 ** 20).toFixed(1)} MiB, none lost; last line before the kill: ${list}`,
      );
    });
  });

  for (const mode of ["relaxed", "none"] as const) {
    test(`Manifest, ${mode}: ${OTHERS} SIGKILLs on ${runtime} take at most a suffix of what was not durable`, async () => {
      const seed = 4300 + RUNTIMES.indexOf(runtime) * 10 + mode.length;
      const random = seeded(seed);
      await withFolder(async (folder) => {
        const path = join(folder, "main.waybill");
        const known: Knowledge = { acknowledged: 0, begun: new Map() };
        for (let i = 0; i < OTHERS; i++) await round(runtime, path, seed, known, random.between(4, 300), mode);
        figure(
          `kills on ${runtime}, ${mode}: ${OTHERS}, ${known.acknowledged} acknowledged transactions${
            mode === "none" ? " (by checkpoints)" : ""
          }, none lost`,
        );
      });
    });
  }
}
