// Seeded histories of interleaved read-write transactions equal their serial replay in commit order, in every way of committing. At full size: tests/proofs/scale/serializable_proof.ts.
import { assert, assertEquals } from "@std/assert";
import { test } from "../support/harness.ts";
import { INTERLEAVED, MODES, replayCommand, runHistory } from "../support/serial_history.ts";

const TRANSACTIONS = 1500;

for (const [index, mode] of Object.keys(MODES).entries()) {
  const seed = 300 + index;
  const again = replayCommand(seed, TRANSACTIONS, mode);

  test(`transact: ${TRANSACTIONS} interleaved transactions equal a serial replay, ${mode}`, async () => {
    console.log(`seed ${seed}: ${again}`);
    const report = await runHistory({ seed, transactions: TRANSACTIONS, mode, validated: true });
    assertEquals(report.difference, undefined, again);
    assert(report.conflicts * 10 >= report.attempts, `${report.conflicts} of ${report.attempts} attempts conflicted`);
    assert(report.leastInterleaved >= INTERLEAVED, `${report.leastInterleaved} transactions at a read`);
    assert(report.readOnly > 0 && report.reads > TRANSACTIONS, again);
  });

  test(`transact: without validation the same history differs from a serial replay, ${mode}`, async () => {
    const report = await runHistory({ seed, transactions: TRANSACTIONS, mode, validated: false });
    assertEquals(report.conflicts, 0);
    assert(report.difference !== undefined, again);
  });
}
