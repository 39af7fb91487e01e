// Planted bugs in opening, recovery and the journal.
import type { Mutant } from "./mutant.ts";

const OPENING = "src/store/opening.ts";
const CHECKPOINT = "    await new Checkpointer(core).start({ far:";
const GO_ON = "      core.epoch = current.epoch;\n" +
  "      core.durable(this.#kernel.exports.versionSequence(-1), this.#kernel.exports.versionFrame(-1), core.journal.nextGroup - 1);\n" +
  "      return { core, report: this.#report };\n    }\n";

/** See the head of the file. */
export const RECOVERY: readonly Mutant[] = [
  {
    name: "trust-re-read",
    what:
      "What recovery could read of the journal is taken for durable: it is neither written again nor put into the tree under a new epoch, and new groups follow it.",
    edits: [{
      file: OPENING,
      find: CHECKPOINT,
      replace: `    if (this.#report.frames > 0 && this.#report.cut === undefined) {\n${GO_ON}${CHECKPOINT}`,
    }],
    likely: ["store/order"],
  },
  {
    name: "torn-tail-kept",
    what: "A torn group is not cut by a checkpoint under a new epoch: the next group is appended behind what is left of it.",
    edits: [{ file: OPENING, find: CHECKPOINT, replace: `    if (this.#report.cut !== undefined) {\n${GO_ON}${CHECKPOINT}` }],
    likely: ["store/order"],
  },
  {
    name: "recovery-writes-first",
    what:
      "Recovery clears the place of a group that it cannot read before it has decided whether that is the end of the journal or damage.",
    edits: [{
      file: "src/store/recovery.ts",
      find: "      if (!found || found.torn) found = this.#findAgain(found !== undefined);",
      replace: "      const head = journal.mark();\n" +
        "      if (!found && !this.#core.file.readOnly && head.block < journal.blocksOf(head.extent)) {\n" +
        "        this.#core.file.write(journal.offset(head), new Uint8Array(4096));\n" +
        "      }\n" +
        "      if (!found || found.torn) found = this.#findAgain(found !== undefined);",
    }],
    likely: ["store/small_damage"],
  },
  {
    name: "replay-twice",
    what: "A frame that is replayed is applied twice: sequences and everything that counts changes are raised twice.",
    edits: [{
      file: "src/store/recovery.ts",
      find: '      io.run(() => x.txnApply(), "recover");',
      replace:
        '      io.run(() => x.txnApply(), "recover");\n      io.run(() => x.txnLoad(at, length), "recover");\n      io.run(() => x.txnApply(), "recover");',
    }],
    likely: ["store/order", "store/crash"],
  },
  {
    name: "old-epoch-accepted",
    what: "A journal block counts whichever epoch it was written under: what an earlier recovery has cut comes back.",
    edits: [{
      file: "assembly/journal.ts",
      find: "  return load<u32>(block, JOURNAL_EPOCH) == epoch && groupOf(block) == group &&",
      replace: "  return groupOf(block) == group &&",
    }],
    likely: ["store/order"],
  },
];
