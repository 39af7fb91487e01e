// Writers on all runtimes that try to open one file at the same moment, again and again.
//
// Never two hold it: the witness is the change sequence, which each holder continues by one, and the rows, of which none is lost.
import { assertEquals } from "../assert.ts";
import { join } from "node:path";
import type { Locking } from "../../../src/storage/file_lock.ts";
import { RUNTIMES } from "../runtimes.ts";
import { Actor, holderIn } from "./actor.ts";

/** What a race has seen. */
export interface RaceReport {
  /** Times that all tried at once. */
  readonly races: number;
  /** Refusals that named the holder. */
  readonly named: number;
  /** Holders that were killed while they held it. */
  readonly killed: number;
}

/** Rounds in which two processes of each runtime try to open at once; every other winner is killed while it holds the file. */
export async function race(folder: string, wins: number, ways: readonly Locking[]): Promise<RaceReport> {
  const path = join(folder, `race-${ways.join("-")}.waybill`);
  const start = (i: number): Promise<Actor> => Actor.start(RUNTIMES[i % RUNTIMES.length]!, path);
  const actors = await Promise.all(Array.from({ length: 2 * RUNTIMES.length }, (_, i) => start(i)));
  let races = 0, named = 0, killed = 0, won = 0;
  while (won < wins) {
    if (++races > 20 * wins) throw new Error(`${won} of ${races} races had a winner`);
    for (const [i, actor] of actors.entries()) {
      actor.tell({ do: "open", options: { locking: ways[Math.floor(i / RUNTIMES.length) % ways.length] } });
    }
    const answers = await Promise.all(actors.map((actor) => actor.answer()));
    const winners = answers.flatMap(({ error }, i) => error === undefined ? [i] : []);
    if (winners.length > 1) throw new Error(`${winners.map((i) => actors[i]!.runtime).join(" and ")} hold the file at once`);
    const [winner] = winners;
    for (const { error } of answers) {
      if (error === undefined) continue;
      assertEquals(error.code, "LOCKED", JSON.stringify(error));
      const holder = holderIn(error);
      if (winner === undefined || holder === undefined) continue;
      if (!actors.some(({ pid }) => pid === holder.pid)) throw new Error(`LOCKED names ${JSON.stringify(holder)}, which takes no part`);
      if (holder.pid === actors[winner]!.pid) named++;
    }
    if (winner === undefined) continue; // claims without a kernel lock may all give way
    won++;
    const actor = actors[winner]!;
    assertEquals(answers[winner]!.changes, won - 1, "the winner continues what the winners before it wrote");
    assertEquals((await actor.must({ do: "put", row: won })).sequence, won);
    if (won % 2 === 0) {
      await actor.kill();
      actors[winner] = await start(winner);
      killed++;
    } else await actor.must({ do: "close" });
  }
  const [judge, ...others] = actors;
  await judge!.must({ do: "open" });
  assertEquals((await judge!.must({ do: "rows" })).rows, Array.from({ length: wins }, (_, i) => i + 1));
  assertEquals((await judge!.must({ do: "check" })).problems, []);
  await judge!.must({ do: "close" });
  for (const actor of [judge!, ...others]) await actor.kill();
  return { races, named, killed };
}
