// Planted bugs in what is written when: the order of writes and syncs, and what a receipt stands for.
import type { Mutant } from "./mutant.ts";

const ORDER = "src/store/order.ts";
const COMMIT = "src/store/commit.ts";
const STEPS = "return lazy ? [first, copy(1), sync, copy(2)] : [first, copy(1), sync, copy(2), sync, () => fence(core)];";

/** See the head of the file. */
export const WRITING: readonly Mutant[] = [
  {
    name: "skip-sync-1",
    what: "A group is written and its receipts go out without any sync: the first one that a commit needs is left out.",
    edits: [
      { file: COMMIT, find: "        core.file.sync();\n        fence(core);", replace: "        fence(core);" },
      { file: COMMIT, find: "core.file.syncLater().then(() => {", replace: "Promise.resolve().then(() => {" },
    ],
    likely: ["store/order"],
  },
  {
    name: "skip-sync-2",
    what: "Nothing is synced between the two copies of a meta generation: a crash can tear both.",
    edits: [{
      file: ORDER,
      find: STEPS,
      replace: "return lazy ? [first, copy(1), copy(2)] : [first, copy(1), copy(2), sync, () => fence(core)];",
    }],
    likely: ["store/order"],
  },
  {
    name: "header-before-data",
    what: "The first copy of a meta generation is written before the sync that makes the pages it names durable.",
    edits: [{
      file: ORDER,
      find: STEPS,
      replace: "return lazy ? [copy(1), first, copy(2)] : [copy(1), first, copy(2), sync, () => fence(core)];",
    }],
    likely: ["store/order"],
  },
  {
    name: "one-header-copy",
    what: "A meta generation is written once: its second copy stays what it was.",
    edits: [{ file: ORDER, find: STEPS, replace: "return [first, copy(1), sync, () => fence(core)];" }],
    likely: ["store/order"],
  },
  {
    name: "copies-in-one-block",
    what: "Both copies of a meta generation lie in the same block: what damages one damages both.",
    edits: [{
      file: "src/store/meta.ts",
      find: "return ((generation & 1) + (copy - 1) * 2) * BLOCK_SIZE;",
      replace: "return copy > 0 ? (generation & 1) * BLOCK_SIZE : 0;",
    }],
    likely: ["store/order"],
  },
  {
    name: "receipt-before-sync",
    what: "Receipts are delivered when the group has been handed to the storage, before the sync.",
    edits: [{
      file: COMMIT,
      find: '    const quick = options.syncMode === "auto" &&',
      replace: '    this.#deliver(items);\n    const quick = options.syncMode === "auto" &&',
    }],
    likely: ["store/order"],
  },
  {
    name: "growth-by-truncate",
    what:
      "A new journal extent is only reserved by the file's length, not by blank blocks that are written and synced before a meta slot names it.",
    edits: [{
      file: "src/store/checkpoint.ts",
      find: "        writeBlank(core.file, core.kernel, core.meta.bytes.subarray(META_FILE_ID), start + work.blanked, start + end);",
      replace: "        if (core.file.size() < start + end) core.file.truncate(start + end);",
    }],
    likely: ["store/order"],
  },
  {
    name: "retry-sync",
    what: "A sync that failed is made again, and its success is believed.",
    edits: [
      {
        file: "src/store/page_file.ts",
        find: "      this.storage.sync();\n    } catch (cause) {\n      throw this.#failed(cause);\n    }",
        replace:
          "      this.storage.sync();\n    } catch {\n      try {\n        this.storage.sync();\n      } catch (cause) {\n        throw this.#failed(cause);\n      }\n    }",
      },
      {
        file: "src/store/page_file.ts",
        find: "      await (this.#inFlight = this.storage.syncAsync());",
        replace: "      await (this.#inFlight = this.storage.syncAsync().catch(() => this.storage.syncAsync()));",
      },
    ],
    likely: ["store/faults"],
  },
  {
    name: "clean-mark-after-failure",
    what: "Closing behind a failed write leaves the clean mark in the newest meta slots: the next opening does not replay.",
    edits: [
      {
        file: "src/store/store.ts",
        find: "      if (!this.readOnly && !core.ended) await this.#committer.checkpoint({ clean: true });",
        replace: "      if (!this.readOnly && !core.ended) await this.#committer.checkpoint({ clean: true });\n" +
          "      if (core.failure && !core.file.readOnly && !core.ended) {\n" +
          "        const slot = core.meta.bytes.slice();\n" +
          "        slot[META_CLEAN] = 1;\n" +
          "        for (const copy of [1, 2] as const) {\n" +
          "          core.file.storage.write(slotOffset(core.meta.generation, copy), sealSlot(slot, copy, core.checksum));\n" +
          "        }\n" +
          "        core.file.storage.sync();\n" +
          "      }",
      },
      {
        file: "src/store/store.ts",
        find: 'import { newestMeta } from "./meta.ts";',
        replace: 'import { newestMeta, sealSlot, slotOffset } from "./meta.ts";',
      },
      {
        file: "src/store/store.ts",
        find: 'import { META_BITMAP, META_BYTES } from "../../assembly/format.ts";',
        replace: 'import { META_BITMAP, META_BYTES, META_CLEAN } from "../../assembly/format.ts";',
      },
    ],
    likely: ["store/faults", "stage io_errors"],
  },
];
