// Planted bugs beyond the plan: what earlier reviews found that no test noticed.
import type { Mutant } from "./mutant.ts";

/** See the head of the file. */
export const FURTHER: readonly Mutant[] = [
  {
    name: "no-sync-behind-copy-2",
    what: "The journal is freed before the second copy of the meta generation that allows it is durable.",
    edits: [{
      file: "src/store/order.ts",
      find: "return lazy ? [first, copy(1), sync, copy(2)] : [first, copy(1), sync, copy(2), sync, () => fence(core)];",
      replace: "return [first, copy(1), sync, copy(2), () => fence(core)];",
    }],
    likely: ["store/order"],
  },
  {
    name: "epoch-not-raised",
    what: "Opening for writing goes on under the epoch of the writer before.",
    edits: [{ file: "src/store/opening.ts", find: "    core.epoch = current.epoch + 1;", replace: "    core.epoch = current.epoch;" }],
    likely: ["store/order"],
  },
  {
    name: "failed-group-not-erased",
    what: "A group that could not be written whole is left where it is, and reported as not applied.",
    edits: [{
      file: "src/store/order.ts",
      find: "  writeBlank(core.file, core.kernel, core.meta.bytes.subarray(META_FILE_ID), at, at + blocks * BLOCK_SIZE);\n",
      replace: "",
    }],
    likely: ["store/order"],
  },
  {
    name: "copy-not-repaired",
    what: "An unreadable copy of a meta slot is not written again when the file is opened.",
    edits: [{ file: "src/store/opening.ts", find: "    if (!this.#readOnly) await this.#repair(chosen);\n", replace: "" }],
    likely: ["store/half_slot"],
  },
  {
    name: "write-log-floor-kept",
    what: "When applied transactions are dropped, the write log goes on believing that what was written behind them is forgotten.",
    edits: [{ file: "src/store/write_log.ts", find: "    this.#floor = Math.min(this.#floor, frame);\n", replace: "" }],
    likely: ["manifest/write_log"],
  },
];
