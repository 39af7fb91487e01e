// The example engine on real files, killed again and again, each process of another runtime than the one before: nothing that was acknowledged is lost, nothing is left behind.
import { assert, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { join } from "node:path";
import { Manifest } from "@waybill/manifest";
import { fileFolder } from "@waybill/manifest/files";
import { Engine } from "../../examples/lsm/engine.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";
import { checkOpened, REAL } from "../support/lsm/real.ts";
import { startChild } from "../support/proof_child.ts";
import { type Random, seeded } from "../support/random.ts";
import { currentRuntime, RUNTIMES } from "../support/runtimes.ts";

const KILLS = 12;
const SCRIPT = "tests/support/children/lsm_engine.ts";

/** Behind how many lines a process is killed: sometimes while it opens. */
function moment(random: Random, round: number): number {
  return round < 2 || random.chance(0.25) ? 1 + random.int(3) : random.between(3, 160);
}

test("lsm example: killed a dozen times on real files it keeps every acknowledged write and leaves no orphan: test_e2e_crash_and_stress", async () => {
  const first = RUNTIMES.indexOf(currentRuntime());
  const seed = 60_000 + first;
  console.log(`seed ${seed}`);
  await withFolder(async (directory) => {
    const random = seeded(seed);
    let acknowledged = 0, begun = 0;
    const opened = (number: number, who: string): void => {
      assertGreaterOrEqual(number, acknowledged, `${who}: acknowledged and lost`);
      assertLessOrEqual(number, begun, `${who}: never begun`);
      begun = acknowledged = number;
    };
    for (let round = 0; round < KILLS; round++) {
      const runtime = RUNTIMES[(first + round) % RUNTIMES.length]!;
      const lines = moment(random, round);
      let seen = 0;
      const child = startChild(runtime, SCRIPT, [directory, seed], (_line, self) => {
        if (++seen >= lines) self.kill();
      });
      const code = await child.ended();
      assert(code === null, `round ${round} on ${runtime}, the process ended by itself (${code}): ${child.errorText.slice(-3000)}`);
      for (const line of child.lines) {
        const [word, number] = line.split(" ");
        if (word === "opened") opened(Number(number), `round ${round} on ${runtime}`);
        if (word === "begin") begun = Number(number);
        if (word === "ack") acknowledged = Number(number);
      }
    }
    assertGreaterOrEqual(acknowledged, 500, "too little was written for anything to happen");
    const folder = fileFolder(join(directory, "files"));
    await using manifest = await Manifest.open(join(directory, "manifest.waybill"));
    await using engine = await Engine.open({ manifest, folder, ...REAL, automatic: false });
    opened(engine.lastLsn, "at the end");
    await checkOpened(engine, folder, seed);
  });
});
