// 100,000 interleaved read-write transactions equal their serial replay in commit order: every value that each has read, and the final state. Each of the other ways of committing at a quarter of that. With
// validation switched off the same check fails.
import { assert, assertEquals } from "@std/assert";
import { test } from "../../support/harness.ts";
import { figure } from "../../support/proof_child.ts";
import { INTERLEAVED, MODES, replayCommand, runHistory } from "../../support/serial_history.ts";

const TRANSACTIONS = 100_000;

for (const [index, mode] of Object.keys(MODES).entries()) {
  const seed = 90_000 + index;
  const transactions = index === 0 ? TRANSACTIONS : TRANSACTIONS / 4;
  const again = replayCommand(seed, transactions, mode);

  test(`transact: ${transactions} interleaved transactions equal a serial replay, ${mode}`, async () => {
    const report = await runHistory({ seed, transactions, mode, validated: true });
    const { attempts, conflicts, reads, readOnly, leastInterleaved, checkpoints } = report;
    figure(
      `${mode}: ${transactions} transactions (${readOnly} read only), ${reads} reads compared, ${conflicts} of ${attempts} attempts conflicted, at least ${leastInterleaved} at every read, ${checkpoints} checkpoints; ${again}`,
    );
    assertEquals(report.difference, undefined, again);
    assert(conflicts * 10 >= attempts, `${conflicts} of ${attempts} attempts conflicted`);
    assert(leastInterleaved >= INTERLEAVED, `${leastInterleaved} transactions at a read`);
    assert(checkpoints > 1, `${checkpoints} checkpoints`);
  });

  test(`transact: without validation the same check fails, ${mode}`, async () => {
    const report = await runHistory({ seed, transactions, mode, validated: false });
    assert(report.difference !== undefined, again);
    figure(`${mode}, not validated: ${report.difference}`);
  });
}
