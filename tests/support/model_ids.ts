// Commit ids of the model: what must become of each when the store is asked.
import type { Receipt, Resolution } from "../../src/store/store.ts";
import { assert, assertEquals } from "./assert.ts";
import type { Entry } from "./model_state.ts";
import type { Random } from "./random.ts";

/** Commits are remembered at least for so many frames. */
const REMEMBERED = 2048;
const IDS_MAX = 600;

interface Known {
  readonly id: string;
  readonly receipt: Receipt | undefined;
  readonly entry: Entry | undefined;
}

/** Ids that were used, refused or only made. */
export class Ids {
  #known: Known[] = [];

  #keep(known: Known): void {
    this.#known.push(known);
    if (this.#known.length > IDS_MAX) this.#known.shift();
  }

  /** The commit has its receipt. */
  applied(receipt: Receipt, entry: Entry): void {
    this.#keep({ id: receipt.commitId, receipt, entry });
  }

  /** No commit with this id was applied. */
  refused(id: string): void {
    this.#keep({ id, receipt: undefined, entry: undefined });
  }

  /** Asks for some of them; `frame` is the newest frame. */
  async verify(random: Random, frame: number, ask: (id: string) => Promise<Resolution>): Promise<void> {
    for (let n = Math.min(5, this.#known.length); n > 0; n--) {
      const { id, receipt, entry } = random.pick(this.#known);
      const answer = await ask(id);
      if (receipt !== undefined && !entry!.lost) {
        if (answer.state === "expired") {
          assert(receipt.frame < frame - REMEMBERED, `a commit ${frame - receipt.frame} frames old is forgotten`);
        } else assertEquals(answer, { state: "applied", sequence: receipt.sequence, frame: receipt.frame });
      } else if (answer.state === "expired") {
        assert(parseInt(id.slice(0, 12), 16) + 1 < frame - REMEMBERED + 1, "a young commit id is called too old");
      } else assertEquals(answer, { state: "not_applied" });
    }
  }
}
