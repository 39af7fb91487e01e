// A table whose rows are all written anew, with a checkpoint: a state that is read beside it loses its pages after two of them.
import { defineTable, type Manifest, text, u53 } from "../../mod.ts";

/** The table. */
export const rewriting = defineTable({ name: "rewriting", key: [u53("n")], value: { text: text() } });

/** Writes every row. */
export async function rewritten(manifest: Manifest, rows: number, generation: number): Promise<void> {
  const txn = manifest.begin();
  for (let n = 0; n < rows; n++) txn.put(rewriting, n, { text: `${generation} of ${n} `.repeat(20) });
  await txn.commit();
  await manifest.checkpoint();
}
