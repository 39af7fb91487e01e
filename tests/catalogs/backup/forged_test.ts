// Backups whose digests are right and whose contents are not: whatever a restore refuses a verification tells, by the same rules, and the target is left alone.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ManifestError } from "../../../mod.ts";
import { contentName } from "../../../src/catalogs/backup/content.ts";
import { PIECE_MOST } from "../../../src/catalogs/backup/limits.ts";
import { type ObjectName, objectPath, recordPath } from "../../../src/catalogs/backup/names.ts";
import { type BackupRecord, encodeRecord } from "../../../src/catalogs/backup/record.ts";
import { decodedRows, type RawRow } from "../../../src/catalogs/backup/rows.ts";
import { type FileFacts, type Folder, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { test } from "../../support/harness.ts";
import { altered } from "../files/parts.ts";
import { forge, listOf, newest, pieceOf, putObject, rowsIn } from "./forging.ts";
import { commitFiles, fileBytes, filesIn, notes, putFile, type Scene, scene } from "./parts.ts";

type Change = (record: BackupRecord, place: Folder) => BackupRecord | Promise<BackupRecord>;

/** Two files, and so many rows that there are several pieces. */
async function backedUp(seed: number, rows = 20, place?: Folder): Promise<Scene> {
  const made = await scene(seed, place);
  await commitFiles(made, { "a": "first", "b/c": "second" });
  for (let at = 0; at < rows;) {
    await made.manifest.transact((txn) => {
      for (const end = Math.min(rows, at + 1000); at < end; at++) txn.put(notes, [`note ${at}`.padEnd(40, "x")], { n: at });
    });
  }
  await made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog] });
  return made;
}

/** Both refuse, as BACKUP_DAMAGED, and nothing is left. */
async function refused({ place, backups }: Scene, what: string, level: "size" | "digest" = "digest"): Promise<void> {
  const { number } = await newest(place);
  const into = memoryFolder();
  await putFile(into, "mine", "untouched");
  const error = await assertRejects(() => backups.restore({ into, name: "r" }), ManifestError, undefined, what);
  assertEquals(error.code, "BACKUP_DAMAGED", `${what}: ${error.message}`);
  assertEquals(typeof (error.detail as { reason?: unknown }).reason, "string", what);
  assertEquals((await into.list("")).map(({ name }) => name), ["mine"], what);
  const { ok, problems } = await backups.verify({ level });
  assert(!ok && problems.some(({ backups }) => backups.includes(number)), `${what}: verify says ${JSON.stringify(problems)}`);
}

function manifest(change: (part: BackupRecord["manifest"]) => Partial<BackupRecord["manifest"]>): Change {
  return (record) => ({ ...record, manifest: { ...record.manifest, ...change(record.manifest) } });
}

/** The manifest's rows are others, in one piece, and counted. */
function rows(change: (rows: RawRow[]) => RawRow[]): Change {
  return async (record, place) => {
    const all = change(await rowsIn(place, record));
    return { ...record, manifest: { ...record.manifest, rows: all.length, pieces: [await putObject(place, pieceOf(all))] } };
  };
}

/** The files are others. */
function files(make: (object: ObjectName) => readonly (readonly (readonly [string, ObjectName])[])[]): Change {
  return async (record, place) => {
    const lists = make(await putObject(place, "x"));
    const names: ObjectName[] = [];
    for (const list of lists) names.push(await putObject(place, listOf(list)));
    const count = lists.flat().length;
    return { ...record, fileSets: [{ ...record.fileSets[0]!, files: count, bytes: count, lists: names }] };
  };
}

const row = (table: number, key: Uint8Array, value: Uint8Array): RawRow => ({ table, key, value });
const word = new Uint8Array([7, 7, 7]);
const last = (rows: RawRow[]): RawRow => rows.at(-1)!;

const CASES: readonly (readonly [what: string, change: Change])[] = [
  ["one row more by the record", manifest(({ rows }) => ({ rows: rows + 7 }))],
  ["one row less by the record", manifest(({ rows }) => ({ rows: rows - 1 }))],
  ["a piece twice", manifest(({ pieces, rows }) => ({ pieces: [...pieces, ...pieces], rows: rows * 2 }))],
  ["no pieces", manifest(() => ({ pieces: [], rows: 0 }))],
  ["another sequence", manifest(({ sequence }) => ({ sequence: sequence + 5 }))],
  ["an impossible frame", manifest(() => ({ frame: 2 ** 53 - 1 }))],
  ["an impossible sequence", manifest(() => ({ sequence: 2 ** 53 - 1 }))],
  ["a frame before its commits", manifest(() => ({ frame: 0 }))],
  ["an impossible time", (record) => ({ ...record, takenAt: 2 ** 50 })],
  ["an empty piece", async (record, place) => ({
    ...record,
    manifest: { ...record.manifest, pieces: [...record.manifest.pieces, await putObject(place, "")] },
  })],
  ["a row of a table 0xffffffff", rows((all) => [...all, row(0xffffffff, word, word)])],
  ["a row of a table that nobody made", rows((all) => [...all, row(last(all).table + 1, word, word)])],
  ["a row twice", rows((all) => [...all, last(all)])],
  ["rows in another order", rows((all) => [...all.slice(0, -2), last(all), all.at(-2)!])],
  ["a key that is too long", rows((all) => [...all, row(last(all).table, new Uint8Array(1025).fill(255), word)])],
  ["a registry row that is too short", rows((all) => [row(1, new Uint8Array([1]), word), ...all])],
  [
    "a registry row with the id of the engine's",
    rows((all) => [all[0]!, row(1, new Uint8Array([1]), new Uint8Array(8).fill(0, 1)), ...all.slice(1)]),
  ],
  [
    "a registry row that is no text",
    rows((all) => [all[0]!, row(1, new Uint8Array([1, 0xff]), new Uint8Array(9).fill(9)), ...all.slice(1)]),
  ],
  [
    "two tables of one id",
    rows((all) => [...all.slice(0, 2), { ...all[1]!, key: new Uint8Array([...all[1]!.key, 0x7a]) }, ...all.slice(2)]),
  ],
  [
    "a change with half a number",
    rows((all) => {
      const at = all.findIndex(({ table }) => table === 2);
      return [...all.slice(0, at), row(2, word.slice(0, 1).fill(0), word), ...all.slice(at)];
    }),
  ],
  ["half a row", async (record, place) => {
    const bytes = pieceOf(await rowsIn(place, record));
    return { ...record, manifest: { ...record.manifest, pieces: [await putObject(place, bytes.subarray(0, -1))] } };
  }],
  ["half a header", async (record, place) => {
    const bytes = pieceOf(await rowsIn(place, record));
    return { ...record, manifest: { ...record.manifest, pieces: [await putObject(place, new Uint8Array([...bytes, 1, 2, 3]))] } };
  }],
  ["no file sets", (record) => ({ ...record, fileSets: [] })],
  ["a file set twice", (record) => ({ ...record, fileSets: [record.fileSets[0]!, record.fileSets[0]!] })],
  ["another file set", (record) => ({ ...record, fileSets: [{ ...record.fileSets[0]!, catalog: "other" }] })],
  ["a file more", (record) => ({ ...record, fileSets: record.fileSets.map((set) => ({ ...set, files: set.files + 1 })) })],
  ["a byte more", (record) => ({ ...record, fileSets: record.fileSets.map((set) => ({ ...set, bytes: set.bytes + 1 })) })],
  [
    "no files, by the record",
    (record) => ({ ...record, fileSets: record.fileSets.map((set) => ({ ...set, files: 0, bytes: 0, lists: [] })) }),
  ],
  ["two paths that differ in case", files((x) => [[["A", x], ["a", x]]])],
  ["two paths that differ in case, in two lists", files((x) => [[["A", x]], [["a", x]]])],
  ["a file that is a directory", files((x) => [[["a", x], ["a-b", x], ["a/b", x]]])],
  ["a file that is a directory, in two lists", files((x) => [[["a", x], ["a-b", x]], [["a/b", x]]])],
  ["paths in another order", files((x) => [[["b", x], ["a", x]]])],
  ["lists in another order", files((x) => [[["b", x]], [["a", x]]])],
  ["a list of far too deep JSON", async (record, place) => ({
    ...record,
    fileSets: [{ ...record.fileSets[0]!, lists: [await putObject(place, `${"[".repeat(300_000)}\n`)] }],
  })],
];

for (const [what, change] of CASES) {
  test(`BackupStore.verify and restore: a forged backup is told by the one and refused by the other: ${what}`, async () => {
    const made = await backedUp(1);
    await forge(made.place, (record) => change(record, made.place));
    await refused(made, what);
    // What is known without a look at the manifest is told without one.
    if (/path|list|a file that|file set twice|a file more|a byte more|impossible/.test(what)) await refused(made, what, "size");
    await made.manifest.close();
  });
}

test("BackupStore.verify and restore: a backup is not whole without any one of its pieces, whose digests are right", async () => {
  const made = await backedUp(2, 6000);
  const whole = await newest(made.place);
  const { pieces } = whole.manifest;
  assert(pieces.length > 2, `${pieces.length} pieces`);
  for (const left of pieces.keys()) {
    await forge(made.place, () => ({ ...whole, manifest: { ...whole.manifest, pieces: pieces.filter((_, i) => i !== left) } }));
    await refused(made, `without piece ${left}`);
  }
  await forge(made.place, () => ({ ...whole, manifest: { ...whole.manifest, pieces: [...pieces].reverse() } }));
  await refused(made, "pieces in another order");
  await forge(
    made.place,
    () => ({ ...whole, manifest: { ...whole.manifest, pieces: [...pieces.slice(0, -2), pieces.at(-1)!, pieces.at(-2)!] } }),
  );
  await refused(made, "the last two pieces in another order");
  await forge(made.place, () => whole);
  assertEquals((await made.backups.verify()).problems, []);
  await made.backups.restore({ into: memoryFolder(), name: "r" });
  await made.manifest.close();
});

test("BackupStore.verify and restore: a list of other files, as many and as long as those of the manifest", async () => {
  for (const other of ["first", "f1rst"]) {
    const made = await backedUp(3);
    await forge(made.place, async (record) => {
      const first = await putObject(made.place, other), second = await putObject(made.place, "second");
      const list = await putObject(made.place, listOf([[other === "first" ? "A" : "a", first], ["b/c", second]]));
      return { ...record, fileSets: [{ ...record.fileSets[0]!, lists: [list] }] };
    });
    await refused(made, other);
    await made.manifest.close();
  }
});

/** A folder in which one object is said to be there, of the length that its name says, and whose bytes nobody may ask for. */
function withGiant(folder: Folder, object: ObjectName): Folder {
  const path = objectPath(object);
  return altered(folder, {
    facts: async (asked): Promise<FileFacts | undefined> =>
      asked === path
        ? { kind: "file", sizeBytes: object.sizeBytes, modifiedAt: 0, identity: "giant" } as FileFacts
        : await folder.facts(asked),
    open: async (asked) => {
      if (asked === path) throw new Error("the giant was opened");
      return await folder.open(asked);
    },
  });
}

for (const sizeBytes of [PIECE_MOST + 1, 6e9, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
  for (const kind of ["list", "piece"] as const) {
    test(`BackupStore.verify and restore: a ${kind} of ${sizeBytes} bytes is refused before memory is taken, or a byte read`, async () => {
      const giant: ObjectName = { algorithm: "blake3", digest: "ab".repeat(32), sizeBytes };
      const made = await backedUp(4, 20, withGiant(memoryFolder(), giant));
      await forge(
        made.place,
        (record) =>
          kind === "list"
            ? { ...record, fileSets: [{ ...record.fileSets[0]!, lists: [giant] }] }
            : { ...record, manifest: { ...record.manifest, pieces: [giant] } },
      );
      for (const level of ["size", "digest"] as const) {
        await refused(made, `${kind} ${level}`, level);
        const { problems } = await made.backups.verify({ level });
        assertEquals(problems.filter(({ file }) => file === objectPath(giant)).map(({ reason }) => reason), ["limit"]);
      }
      await made.manifest.close();
    });
  }
}

test("BackupStore.verify and restore: a record longer than any is refused, and not read", async () => {
  const made = await backedUp(5);
  const record = await newest(made.place);
  const path = recordPath({ number: record.number, digest: (await contentName(encodeRecord(record))).digest });
  const place = altered(made.place, {
    facts: async (asked) => {
      const facts = await made.place.facts(asked);
      return asked === path ? { ...facts!, sizeBytes: 2 ** 40 } : facts;
    },
    open: async (asked) => {
      if (asked === path) throw new Error("the giant was opened");
      return await made.place.open(asked);
    },
  });
  const { BackupStore } = await import("../../../src/catalogs/backup/mod.ts");
  const backups = await BackupStore.open(place);
  const error = await assertRejects(() => backups.restore({ into: memoryFolder(), name: "r" }), ManifestError);
  assertEquals([error.code, (error.detail as { reason?: string }).reason], ["BACKUP_DAMAGED", "size"]);
  assertEquals((await backups.verify()).problems.map(({ file, reason }) => [file, reason]), [[path, "record"]]);
  await made.manifest.close();
});

test("BackupStore.verify and restore: a record in another form than its own, with a digest that is right, is refused", async () => {
  const forms: ((text: string) => string)[] = [
    (text) => `${text}\n`,
    (text) => text.replace(`"number":`, `"number": `),
    (text) => text.replace(`"format":1,`, `"format":1,"extra":true,`),
    (text) => text.replace(/"format":1,("number":\d+),/, `$1,"format":1,`),
  ];
  for (const form of forms) {
    const made = await backedUp(6);
    const record = await newest(made.place);
    const old = encodeRecord(record);
    const bytes = new TextEncoder().encode(form(new TextDecoder().decode(old)));
    assert(bytes.length !== old.length || bytes.some((byte, i) => byte !== old[i]), "another form");
    await made.place.remove(recordPath({ number: record.number, digest: (await contentName(old)).digest }));
    await putFile(made.place, recordPath({ number: record.number, digest: (await contentName(bytes)).digest }), bytes);
    const error = await assertRejects(() => made.backups.restore({ into: memoryFolder(), name: "r" }), ManifestError);
    assertEquals(error.code, "BACKUP_DAMAGED");
    assertEquals((await made.backups.verify()).problems.map(({ reason }) => reason).sort()[0], "record");
    assertEquals(await filesIn(made.place, "backups").then(({ length }) => length), 1);
    await made.manifest.close();
  }
});

test("BackupStore.verify: what an earlier backup has shown of a piece says nothing under other tables", async () => {
  const made = await scene(7);
  await commitFiles(made, { "a": "first" });
  // A log of so many short changes is cut before the rows of tables begin.
  for (let i = 0; i < 1500; i++) await made.manifest.transact((txn) => txn.put(notes, [`note ${i}`.padEnd(60, "x")], { n: i }));
  await made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog] });
  const { manifest: first } = await newest(made.place);
  await made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog] });
  const registry = await fileBytes(made.place, objectPath(first.pieces[0]!));
  const text = new TextDecoder("latin1").decode(registry);
  const tables = new Set([...decodedRows(registry, "piece")].map(({ table }) => table));
  assert(
    tables.size > 0 && [...tables].every((id) => id < 16) && text.split("file_sets").length === 2,
    `the first piece is of ${[...tables]}`,
  );
  registry.set(new TextEncoder().encode("file_setz"), text.indexOf("file_sets"));
  await forge(made.place, async (record) => ({
    ...record,
    manifest: { ...first, pieces: [await putObject(made.place, registry), ...first.pieces.slice(1)] },
  }));
  await refused(made, "another name of a table");
  assertEquals((await made.backups.verify()).problems.flatMap(({ backups }) => backups), [2]);
  await made.manifest.close();
});

test("BackupStore.verify: what an earlier backup has shown of a list says nothing in another place", async () => {
  const made = await scene(8);
  await commitFiles(made, Object.fromEntries(Array.from({ length: 2500 }, (_, i) => [`${i}${"n".repeat(90)}`, `${i % 9}`])));
  for (let i = 0; i < 2; i++) await made.backups.backup({ manifest: made.manifest, fileSets: [made.catalog] });
  await forge(made.place, (record) => ({
    ...record,
    fileSets: record.fileSets.map((set) => {
      assert(set.lists.length > 1, `${set.lists.length} lists`);
      return { ...set, lists: [...set.lists].reverse() };
    }),
  }));
  await refused(made, "lists in another order", "size");
  await refused(made, "lists in another order");
  await made.manifest.close();
});
