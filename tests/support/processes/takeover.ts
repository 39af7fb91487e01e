// One writer for a manifest across runtimes: who comes second is told who holds it, and a holder that was killed holds nothing.
import { assert, assertEquals } from "../assert.ts";
import { join } from "node:path";
import type { RuntimeName } from "../runtimes.ts";
import { Actor, holderIn } from "./actor.ts";

/** `first` holds, `second` is told so, and takes over when `first` was killed with a commit on its way; then `first` takes over from `second`. */
export async function checkTakeover(first: RuntimeName, second: RuntimeName, folder: string): Promise<void> {
  const path = join(folder, `takeover-${first}-${second}.waybill`);
  const holder = await Actor.start(first, path), next = await Actor.start(second, path);
  assertEquals((await holder.must({ do: "open" })).changes, 0);
  await holder.must({ do: "put", row: 1 });

  const error = await next.mustFail({ do: "open" }, "LOCKED");
  assertEquals([error.kind, error.outcome, error.retryable], ["conflict", "not_applied", true]);
  assertEquals([holderIn(error)?.runtime, holderIn(error)?.pid], [first, holder.pid]);
  assert(error.message.includes(String(holder.pid)), error.message);

  // The holder was not disturbed; then it dies with a receipt on the way.
  await holder.must({ do: "put", row: 2 });
  holder.tell({ do: "put", row: 3 });
  await holder.kill();

  const { clean, created } = await next.must({ do: "open" });
  assertEquals([clean, created], [false, false]);
  const { rows, changes } = await next.must({ do: "rows" });
  assert([2, 3].includes(changes!) && rows!.join() === [1, 2, 3].slice(0, changes).join(), `${changes} changes, rows ${rows}`);
  assertEquals((await next.must({ do: "put", row: 4 })).sequence, changes! + 1);
  await next.kill();

  const last = await Actor.start(first, path);
  assertEquals((await last.must({ do: "open" })).changes, changes! + 1);
  assertEquals((await last.must({ do: "check" })).problems, []);
  await last.must({ do: "close" });
  await last.kill();
}
