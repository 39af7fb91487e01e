// Planted bugs in what consumers, cursors and the collection of stored objects rely on.
import type { Mutant } from "./mutant.ts";

const RECLAIM = "src/manifest/gc/reclaim.ts";
const REMOVED = '      if (staging.refcounts.state(object) !== "condemned") continue; // removed already\n';

/** See the head of the file. */
export const CONSUMERS: readonly Mutant[] = [
  {
    name: "iterator-goes-on",
    what: "A range that has met an error hands out what comes behind the rows that it could not read.",
    edits: [
      {
        file: "src/manifest/read/range.ts",
        find: "      this.#failure = { error };\n      this.#rows = [];\n      this.#at = 0;\n      this.#end();\n      throw error;",
        replace: "      this.#rows = [];\n      this.#at = 0;\n      throw error;",
      },
    ],
    likely: ["errors/iteration"],
  },
  {
    name: "acknowledged-when-given",
    what: "A follower acknowledges a change when it hands it out, before its consumer has made anything of it durable.",
    edits: [{
      file: "src/manifest/log/follower.ts",
      find: "      this.#given = change.sequence;\n",
      replace: "      this.#given = change.sequence;\n      this.#done = change.sequence + 1;\n      this.#send();\n",
    }],
    likely: ["manifest/follow"],
  },
  {
    name: "truncation-ignores-a-cursor",
    what: "The change log is truncated without a look at one of its cursors.",
    edits: [{
      file: "src/manifest/log/change_log.ts",
      find: "    for (const [, { next, maxLag }] of this.cursors.pending()) {",
      replace: "    for (const [, { next, maxLag }] of [...this.cursors.pending()].filter((_, i, all) => i > 0 || all.length === 1)) {",
    }],
    likely: ["manifest/cursors", "manifest/change_log"],
  },
  {
    name: "reclaim-without-mark",
    what: "Stored objects are deleted without the commit that condemns them: a snapshot may list them meanwhile.",
    edits: [
      { file: RECLAIM, find: "    for (const object of this.objects) staging.refcounts.condemn(object);\n", replace: "" },
      { file: RECLAIM, find: REMOVED, replace: "" },
    ],
    likely: ["manifest/reclaim"],
  },
];
