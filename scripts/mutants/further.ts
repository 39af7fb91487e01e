// Planted bugs beyond the plan: what earlier reviews found that no test noticed, and the promises of docs/durability.md that the plan does not reach.
import type { Mutant } from "./mutant.ts";

const COMMIT = "src/store/commit.ts";

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
    name: "repair-not-synced",
    what: "The copy of a meta slot that opening has written again is not synced before pages are written.",
    edits: [{
      file: "src/store/opening.ts",
      find: "    await this.#file.syncLater();\n    this.#report.repairedSlots =",
      replace: "    this.#report.repairedSlots =",
    }],
    likely: ["store/half_slot"],
  },
  {
    name: "write-log-floor-kept",
    what: "When applied transactions are dropped, the write log goes on believing that what was written behind them is forgotten.",
    edits: [{ file: "src/store/write_log.ts", find: "    this.#floor = Math.min(this.#floor, frame);\n", replace: "" }],
    likely: ["manifest/write_log"],
  },
  {
    name: "damage-taken-for-the-end",
    what: "A damaged group of the journal is taken for its end although later groups say that it had been durable.",
    edits: [{
      file: "src/store/recovery.ts",
      find: "        this.#remains = this.#groups.refuseLaterGroups(journal.nextGroup);\n",
      replace: "        this.#remains = true;\n",
    }],
    likely: ["store/small_damage"],
  },
  {
    name: "parity-too-short",
    what: "Parity leaves out the last 16 bytes of the blocks.",
    edits: [{
      file: "assembly/journal.ts",
      find: "  const end = into + BLOCK_SIZE;\n",
      replace: "  const end = into + BLOCK_SIZE - 16;\n",
    }],
    likely: ["kernel/journal"],
  },
  {
    name: "silent-step-back",
    what: "When both copies of the newest meta generation are unreadable the one before it is opened without a word.",
    edits: [{
      file: "src/store/meta.ts",
      find: "  if (!pairs[0] || !pairs[1]) {\n",
      replace: "  pairs[0] ??= pairs[1];\n  pairs[1] ??= pairs[0];\n  if (!pairs[0] || !pairs[1]) {\n",
    }],
    likely: ["store/meta"],
  },
  {
    name: "stale-value",
    what: "A long value in pages of its own is not compared with the checksum and birth in its pointer: what its place once held passes.",
    edits: [{
      file: "src/store/runs.ts",
      find: "    if (birth !== run.birth || crc !== run.crc) this.#damaged(run, REASON_STALE);\n",
      replace: "    if (birth > run.birth) this.#damaged(run, REASON_STALE);\n",
    }],
    likely: ["store/small_damage"],
  },
  {
    name: "sync-covers-too-much",
    what: "A sync counts for what was written while it was under way.",
    edits: [{
      file: "src/store/page_file.ts",
      find: "    this.#covered = Math.max(this.#covered, covers);",
      replace: "    this.#covered = Math.max(this.#changes, covers);",
    }],
    likely: ["store/order"],
  },
  {
    name: "failed-sync-not-applied",
    what: "A commit whose sync failed is reported as not applied, although it may be in the file.",
    edits: [{
      file: COMMIT,
      find: 'return new ManifestError(cause.code, cause.message, { cause, detail, outcome: "unknown" });',
      replace: 'return new ManifestError(cause.code, cause.message, { cause, detail, outcome: "not_applied" });',
    }],
    likely: ["store/faults"],
  },
  {
    name: "refused-is-believed",
    what: "A medium that refuses a group for want of space is believed to have taken nothing of it.",
    edits: [{ file: COMMIT, find: "if (!refused || holdsGroup(core, position, blocks))", replace: "if (!refused)" }],
    likely: ["stage io_errors"],
  },
  {
    name: "relaxed-is-durable",
    what: "What relaxed commits have written counts as durable before the sync: cursors and collectors act on what a crash may take back.",
    edits: [{
      file: COMMIT,
      find: "      this.#core.publish(version);\n      this.#deliver(items);\n",
      replace:
        "      this.#core.publish(version);\n      core.durable(x.versionSequence(version), x.versionFrame(version), group);\n      this.#deliver(items);\n",
    }],
    likely: ["store/store"],
  },
  {
    name: "goes-on-behind-a-trap",
    what: "The kernel's instance is used again behind a trap, with memory that is half changed.",
    edits: [{
      file: "src/kernel/functions.ts",
      find: "    for (const name of functionNames(module)) set(own, name, over);\n    onTrap(error);\n    throw error;",
      replace: "    over();\n    throw error;",
    }],
    likely: ["stage containment"],
  },
  {
    name: "two-writers",
    what: "A writer whose claim was taken over is not told by the newer epoch in the file.",
    edits: [{
      file: "src/store/order.ts",
      find: "meta.epoch > core.epoch &&",
      replace: "meta.epoch > core.epoch + 1 &&",
    }],
    likely: ["store/fence"],
  },
  {
    name: "older-state-accepted",
    what: "A file whose newest change is older than the one that its opener knows of is opened without a word.",
    edits: [{
      file: "src/store/opening.ts",
      find: "    if (sequence >= expectSequence) return;",
      replace: "    if (sequence >= 0 || sequence >= expectSequence) return;",
    }],
    likely: ["store/rolled_back"],
  },
];
