// A file that somebody else renames, removes or replaces while a process has it open.
import { assertEquals } from "../assert.ts";
import { copyFileSync, renameSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import type { RuntimeName } from "../runtimes.ts";
import { Actor } from "./actor.ts";

/** What happens to the file. */
export const MOVES = ["renamed", "removed", "replaced"] as const;
/** One of them. */
export type Move = typeof MOVES[number];

/** The next commit is FILE_MOVED and not applied; another process works on whatever is at the path; what was acknowledged is in the moved file. */
export async function checkMoved(first: RuntimeName, second: RuntimeName, move: Move, folder: string): Promise<void> {
  const path = join(folder, `${move}-${first}.waybill`), moved = join(folder, `${move}-${first}.moved`), copy = `${path}.copy`;
  const actor = await Actor.start(first, path), other = await Actor.start(second, path);
  await actor.must({ do: "open" });
  await actor.must({ do: "put", row: 1 });
  copyFileSync(path, copy);
  await actor.must({ do: "put", row: 2 });
  if (move === "removed") unlinkSync(path);
  else renameSync(path, moved);
  if (move === "replaced") renameSync(copy, path);
  const error = await actor.mustFail({ do: "put", row: 3 }, "FILE_MOVED");
  assertEquals([error.outcome, error.handle], ["not_applied", "read_only"]);
  await actor.mustFail({ do: "put", row: 4 }, "READ_ONLY");
  await actor.ask({ do: "close" });
  // Whatever is at the path now is nobody's.
  await other.must({ do: "open" });
  assertEquals((await other.must({ do: "rows" })).rows, move === "replaced" ? [1] : []);
  await other.must({ do: "put", row: 5 });
  await other.must({ do: "close" });
  if (move !== "removed") {
    await other.must({ do: "open", path: moved, options: { create: false } });
    assertEquals((await other.must({ do: "rows" })).rows, [1, 2]);
    assertEquals((await other.must({ do: "check" })).problems, []);
    await other.must({ do: "close" });
  }
  await actor.kill();
  await other.kill();
}
