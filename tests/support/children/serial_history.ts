// Runs one history of interleaved transactions: SEED TRANSACTIONS MODE [unvalidated].
import process from "node:process";
import { runHistory } from "../serial_history.ts";

const [seed, transactions, mode, validation] = process.argv.slice(2);
const report = await runHistory({
  seed: Number(seed),
  transactions: Number(transactions),
  mode: mode ?? "inline",
  validated: validation !== "unvalidated",
});
console.log(JSON.stringify(report, undefined, 2));
