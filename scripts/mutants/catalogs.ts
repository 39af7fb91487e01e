// Planted bugs in the catalogs on top of a manifest, and in their backups.
import type { Mutant } from "./mutant.ts";

const TAKE = "src/catalogs/backup/take.ts";
const RECORDED = "    await writeRecord(folder, environment, record);\n";
const SETTLED = "    await this.#objects.settle();\n";

/** See the head of the file. */
export const CATALOGS: readonly Mutant[] = [
  {
    name: "object-not-synced",
    what: "An object of a backup gets its name without being synced: a crash leaves a record whose objects are not there.",
    edits: [{ file: "src/catalogs/backup/objects.ts", find: "        await file.sync();\n", replace: "" }],
    likely: ["catalogs/backup/crash"],
  },
  {
    name: "record-before-objects",
    what: "The record of a backup is written before the names of its objects are durable.",
    edits: [
      { file: TAKE, find: SETTLED, replace: "" },
      { file: TAKE, find: RECORDED, replace: RECORDED + SETTLED },
    ],
    likely: ["catalogs/backup/crash"],
  },
  {
    name: "restored-names-not-synced",
    what: "A restore gets its name while the names in its directory are not durable: a crash leaves some of it.",
    edits: [{ file: "src/catalogs/backup/restore.ts", find: "      await into.syncDirectory(this.#draft);\n", replace: "" }],
    likely: ["catalogs/backup/crash"],
  },
  {
    name: "reused-by-length",
    what: "A backup that is to read the objects that it uses again looks at their length alone.",
    edits: [{
      file: TAKE,
      find: 'await this.#objects.reuse(name, this.#whole.has(text) ? "size" : reuse, ACTION);',
      replace: 'await this.#objects.reuse(name, "size", ACTION);',
    }],
    likely: ["catalogs/backup/mend"],
  },
  {
    name: "digest-not-compared",
    what: "The files of a set are read to verify them, and their digests are not compared.",
    edits: [{
      file: "src/catalogs/files/verify.ts",
      find: "    return sameDigest(digest, row.digest) ? undefined :",
      replace: "    return digest.length === row.digest.length ? undefined :",
    }],
    likely: ["catalogs/files/verify"],
  },
  {
    name: "named-before-synced",
    what: "A version of a file set commits while its new files are not synced.",
    edits: [{
      file: "src/catalogs/files/prepare.ts",
      find: "{ action: ACTION, algorithms, sync: true, signal, onBytes, onHead }",
      replace: "{ action: ACTION, algorithms, sync: false, signal, onBytes, onHead }",
    }],
    likely: ["catalogs/files/crash"],
  },
  {
    name: "prune-ignores-states",
    what: "A prune deletes files that a state names which somebody holds: a reader, or a backup that is under way.",
    edits: [{
      file: "src/catalogs/files/prune.ts",
      find: ".some((name) => desk.pins(name).names(name, folded))) continue;",
      replace: ".some(() => false)) continue;",
    }],
    likely: ["catalogs/files/pins", "catalogs/backup/backup"],
  },
  {
    name: "empty-set-trusted",
    what: "Orphans of a file set that names no file at all are deleted: whatever was lost takes all files with it.",
    edits: [{
      file: "src/catalogs/files/orphan_removal.ts",
      find: '    if (set.files + set.condemned === 0) throw refusal("empty", { catalog });\n',
      replace: "",
    }],
    likely: ["catalogs/files/orphans"],
  },
  {
    name: "flush-in-two-commits",
    what: "A flush takes its segment out in a commit of its own, behind the one that has the new table in.",
    edits: [{
      file: "src/catalogs/lsm/lsm_catalog.ts",
      find: "    return this.edit().flush(flush).commit();\n",
      replace:
        "    const { wal = [], ...rest } = flush;\n    await this.edit().flush(rest).commit();\n    return this.edit().flush({ wal }).commit();\n",
    }],
    likely: ["catalogs/lsm/edits"],
  },
  {
    name: "sweep-ignores-pins",
    what: "A file of sorted tables is told to be an orphan although a version that somebody holds names it.",
    edits: [{ file: "src/catalogs/lsm/orphans.ts", find: "  return core.holders.names(kind, id);\n", replace: "  return false;\n" }],
    likely: ["catalogs/lsm/orphans"],
  },
  {
    name: "deletable-ignores-pins",
    what: "Files of sorted tables are given for deletion although a version that somebody holds names them.",
    edits: [{
      file: "src/catalogs/lsm/lsm_catalog.ts",
      find: "edits.some((edit) => since <= edit && edit < removedAt);",
      replace: "edits.some((edit) => edit < 0 && since > removedAt);",
    }],
    likely: ["catalogs/lsm/versions"],
  },
];
