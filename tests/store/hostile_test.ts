// Forged files whose checksums are right: one of each kind, and the error that names it. The stage "hostile" makes a hundred thousand more.
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CELL_OVERFLOW,
  META_EPOCH,
  META_EXTENTS,
  META_GROUP,
  META_JOURNAL_BLOCK,
  META_PAGE_COUNT,
  META_ROOTS_LEVEL,
  META_SEQUENCE,
  PAGE_BITMAP,
  PAGE_BRANCH,
  PAGE_CRC,
  PAGE_HEADER,
  PAGE_LEAF,
  PAGE_RUN,
  POINTER_CRC,
  POINTER_SIZE,
  ROOT_LEVEL,
  ROOT_ROWS,
  RUN_LENGTH,
  SLOT_KEY,
  SLOT_OFFSET,
  SLOT_SIZE,
} from "../../assembly/format.ts";
import { isManifestError, type ManifestErrorFields } from "../../src/errors.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { Store } from "../../src/store/store.ts";
import { Image, type PageNode } from "../support/damage/image.ts";
import { Manifest } from "../../mod.ts";
import { notes, smallFile } from "../support/damage/small_file.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { patchChecksum } from "../support/hostile/crc_patch.ts";
import { Draft } from "../support/hostile/draft.ts";
import { TALL_TABLE, tallFile } from "../support/hostile/tall_file.ts";

let tall: Promise<Image> | undefined;
let small: Promise<Image> | undefined;

/** A file with a tree of three levels, and one of a manifest. */
const tallImage = (): Promise<Image> => tall ??= tallFile(1).then((bytes) => new Image(bytes));
const smallImage = (): Promise<Image> => small ??= smallFile(1).then(({ closed }) => new Image(closed));

function open(bytes: Uint8Array, readOnly = true): Promise<Store> {
  return Store.open(new MemoryStorage(bytes), { readOnly, idleCheckpoint: 0, syncMode: "inline", environment: testEnvironment(1) });
}

/** Code, and reason where there is one, of the first error of reading a table in every way. */
async function readingSays(bytes: Uint8Array, table = TALL_TABLE): Promise<string> {
  try {
    await using store = await open(bytes);
    using view = store.read();
    const tree = view.tree(table);
    for (const reverse of [false, true]) {
      using scan = tree.scan({ reverse });
      let rows = 0;
      while (scan.next(7, 1 << 12) > 0) {
        for (let row = 0; row < scan.rows; row++) scan.value(row);
        assert((rows += scan.rows) < 10_000, "a scan without end");
      }
    }
    return "nothing";
  } catch (error) {
    return nameOf(error);
  }
}

function nameOf(error: unknown): string {
  if (!isManifestError(error)) throw error;
  const { reason } = error.detail as { reason?: string };
  return reason === undefined ? error.code : `${error.code} ${reason}`;
}

/** Reasons of the errors that the whole-file check finds. */
async function checkSays(bytes: Uint8Array): Promise<string[]> {
  await using store = await open(bytes);
  const { problems } = await store.check();
  return [...new Set(problems.filter(({ severity }) => severity === "error").map(({ reason }) => reason))];
}

function branchOf(image: Image, level: number): PageNode {
  return [...image.nodes.values()].find((node) => node.table === TALL_TABLE && node.type === PAGE_BRANCH && node.level === level)!;
}

function leafOf(image: Image, table: number, rows = 1): PageNode {
  return [...image.nodes.values()].find((node) =>
    node.table === table && node.type === PAGE_LEAF && image.slots(node.page).length >= rows
  )!;
}

function forge(image: Image, change: (draft: Draft) => void): Uint8Array {
  const draft = new Draft(image);
  change(draft);
  return draft.seal();
}

/** The record of a table in the roots tree. */
function rootRecord(image: Image, table: number): { leaf: PageNode; at: number } {
  const leaf = leafOf(image, 0);
  const place = image.slots(leaf.page).find((each) => new DataView(image.key(leaf.page, each).buffer).getUint32(0) === table)!;
  return { leaf, at: place.cell + 2 + place.rest };
}

function inMeta(draft: Draft, change: (view: DataView) => void): void {
  for (const slot of draft.image.newest) change(new DataView(draft.bytes.buffer, slot * 4096, 4096));
}

test("Store: the files that forgeries start from are read and pass the check", async () => {
  for (const image of [await tallImage(), await smallImage()]) {
    assertEquals(await readingSays(forge(image, () => {})), "nothing");
    assertEquals(await checkSays(forge(image, () => {})), []);
  }
});

test("Store: a page that is its own ancestor is named", async () => {
  const image = await tallImage();
  const root = branchOf(image, 2), branch = root.children[0]!;
  const draft = new Draft(image);
  // The branch names the root as a child, with the checksum that the root is going to have: four bytes of its free space see to that.
  const chosen = 0x12345678;
  const { cell } = image.slots(branch.page)[0]!;
  draft.aim(cell, branch, root.page);
  draft.seal();
  draft.view.setUint32(cell + POINTER_CRC, chosen, true);
  const again = new Draft(new Image(image.bytes));
  again.bytes.set(draft.bytes);
  const at = (node: PageNode): number => node.page * image.pageSize;
  reseal(again, branch);
  const slots = image.slots(root.page);
  const free = slots.at(-1)!.slot + SLOT_SIZE;
  again.view.setUint32(root.pointers[0]! + POINTER_CRC, chosen, true);
  patchChecksum(again.bytes.subarray(at(root) + 4, at(root) + image.pageSize), free - at(root) - 4, chosen);
  again.view.setUint32(at(root) + PAGE_CRC, chosen, true);
  again.touch(root.parent!);
  const bytes = again.seal();
  assertEquals(await readingSays(bytes), "CORRUPT_PAGE type");
  assertEquals(await checkSays(bytes), ["it is its own ancestor"]);
});

/** Makes one page's checksum right, and its parent's pointer. */
function reseal(draft: Draft, node: PageNode): void {
  const single = new Draft(draft.image);
  single.bytes.set(draft.bytes);
  single.touch(node);
  single.seal();
  const at = draft.at(node);
  draft.view.setUint32(at + PAGE_CRC, single.view.getUint32(at + PAGE_CRC, true), true);
  for (const pointer of node.pointers) draft.view.setUint32(pointer + POINTER_CRC, single.view.getUint32(at + PAGE_CRC, true), true);
}

test("Store: a subtree that hangs in two places is named", async () => {
  const image = await tallImage();
  for (const level of [1, 2]) {
    const branch = branchOf(image, level);
    const [first, second] = branch.children;
    const bytes = forge(image, (draft) => draft.aim(second!.pointers[0]!, branch, first!.page));
    assertEquals(await readingSays(bytes), "CORRUPT_PAGE order", `level ${level}`);
    assert((await checkSays(bytes)).includes("it is reachable twice"), `level ${level}`);
  }
});

test("Store: children in each other's place are named", async () => {
  const image = await tallImage();
  const branch = branchOf(image, 1);
  const [first, second] = branch.children;
  const bytes = forge(image, (draft) => {
    draft.aim(first!.pointers[0]!, branch, second!.page);
    draft.aim(second!.pointers[0]!, branch, first!.page);
  });
  assertEquals(await readingSays(bytes), "CORRUPT_PAGE order");
});

test("Store: a page of another table or level in a tree is named", async () => {
  const image = await tallImage();
  const branch = branchOf(image, 2);
  const leaf = leafOf(image, TALL_TABLE);
  const bytes = forge(image, (draft) => draft.aim(branch.children[0]!.pointers[0]!, branch, leaf.page));
  assertEquals(await readingSays(bytes), "CORRUPT_PAGE type");
});

test("Store: child pointers that name no page of the file are named", async () => {
  const image = await tallImage();
  const branch = branchOf(image, 1);
  for (const page of [0, 0x80000000, 0x80000005, 0xffffffff]) {
    const bytes = forge(image, (draft) => draft.aim(branch.children[1]!.pointers[0]!, branch, page));
    assertEquals(await readingSays(bytes), "CORRUPT_PAGE bounds", `page ${page}`);
  }
  for (const page of [image.state.pageCount + 5, 0x7fffffff]) {
    const bytes = forge(image, (draft) => draft.aim(branch.children[1]!.pointers[0]!, branch, page));
    assertEquals(await readingSays(bytes), "CORRUPT_PAGE bounds", `page ${page}`);
  }
});

test("Store: keys out of order in a page are named", async () => {
  const image = await tallImage();
  for (const node of [leafOf(image, TALL_TABLE, 2), branchOf(image, 1)]) {
    const [, a, b] = [undefined, ...image.slots(node.page).slice(-2)];
    const bytes = forge(image, (draft) => {
      const kept = draft.bytes.slice(a!.slot, a!.slot + SLOT_SIZE);
      draft.bytes.copyWithin(a!.slot, b!.slot, b!.slot + SLOT_SIZE);
      draft.bytes.set(kept, b!.slot);
      draft.touch(node);
    });
    assertEquals(await readingSays(bytes), "CORRUPT_PAGE order");
  }
});

test("Store: lengths and offsets that leave their page are named", async () => {
  const image = await tallImage();
  const leaf = leafOf(image, TALL_TABLE, 2);
  const [place] = image.slots(leaf.page);
  const fields: [string, (draft: Draft) => void][] = [
    ["cell offset", ({ view }) => view.setUint16(place!.slot + SLOT_OFFSET, 4095, true)],
    ["cell offset before the cells", ({ view }) => view.setUint16(place!.slot + SLOT_OFFSET, PAGE_HEADER, true)],
    ["key length", ({ view }) => view.setUint16(place!.slot + SLOT_KEY, 0xffff, true)],
    ["value length", ({ view }) => view.setUint16(place!.cell, 0x7fff, true)],
    ["slots", ({ view }) => view.setUint16(leaf.page * 4096 + 6, 0xffff, true)],
    ["no slots", ({ view }) => view.setUint16(leaf.page * 4096 + 6, 0, true)],
    ["prefix", ({ view }) => view.setUint16(leaf.page * 4096 + 26, 4000, true)],
    ["cells", ({ view }) => view.setUint16(leaf.page * 4096 + 28, 0xffff, true)],
    ["holes", ({ view }) => view.setUint16(leaf.page * 4096 + 30, 9, true)],
  ];
  for (const [name, change] of fields) {
    const bytes = forge(image, (draft) => {
      change(draft);
      draft.touch(leaf);
    });
    assertEquals(await readingSays(bytes), "CORRUPT_PAGE bounds", name);
  }
});

test("Store: roots of trees too deep, with impossible counts or pointers are named", async () => {
  const image = await tallImage();
  const { leaf, at } = rootRecord(image, TALL_TABLE);
  const cases: [string, (draft: Draft) => void, string][] = [
    ["level 32", ({ bytes }) => bytes[at + ROOT_LEVEL] = 32, "CORRUPT_PAGE depth"],
    ["level 255", ({ bytes }) => bytes[at + ROOT_LEVEL] = 255, "CORRUPT_PAGE depth"],
    ["another level", ({ bytes }) => bytes[at + ROOT_LEVEL] = 1, "CORRUPT_PAGE type"],
    ["no rows", ({ view }) => view.setBigUint64(at + ROOT_ROWS, 0n, true), "CORRUPT_PAGE count"],
    ["2^53 rows", ({ view }) => view.setBigUint64(at + ROOT_ROWS, 2n ** 53n, true), "CORRUPT_PAGE count"],
    ["2^64 − 1 rows", ({ view }) => view.setBigUint64(at + ROOT_ROWS, 2n ** 64n - 1n, true), "CORRUPT_PAGE count"],
    ["an id of memory", ({ view }) => view.setUint32(at, 0x80000003, true), "CORRUPT_PAGE bounds"],
    ["a meta slot", ({ view }) => view.setUint32(at, 2, true), "CORRUPT_PAGE bounds"],
  ];
  for (const [name, change, wanted] of cases) {
    const bytes = forge(image, (draft) => {
      change(draft);
      draft.touch(leaf);
    });
    assertEquals(await readingSays(bytes), wanted, name);
  }
});

test("Store: meta slots with numbers that cannot be are CORRUPT_HEADER", async () => {
  const image = await tallImage();
  const cases: [string, (view: DataView) => void, string][] = [
    ["sequence 2^53", (view) => view.setBigUint64(META_SEQUENCE, 2n ** 53n, true), "CORRUPT_HEADER"],
    ["group 2^48", (view) => view.setBigUint64(META_GROUP, 2n ** 48n, true), "CORRUPT_HEADER"],
    ["the last epoch", (view) => view.setUint32(META_EPOCH, 0xffffffff, true), "CORRUPT_HEADER"],
    ["journal position", (view) => view.setUint32(META_JOURNAL_BLOCK, 99_999, true), "CORRUPT_HEADER"],
    ["journal in the meta slots", (view) => view.setUint32(META_EXTENTS, 0, true), "CORRUPT_HEADER"],
    ["pages", (view) => view.setUint32(META_PAGE_COUNT, 0x7fffffff, true), "TRUNCATED"],
    ["levels", (view) => view.setUint8(META_ROOTS_LEVEL, 255), "CORRUPT_PAGE depth"],
  ];
  for (const [name, change, wanted] of cases) {
    for (const readOnly of [true, false]) {
      const bytes = forge(image, (draft) => inMeta(draft, change));
      const error = await assertRejects(() => open(bytes, readOnly)) as ManifestErrorFields;
      assertEquals(nameOf(error), wanted, name);
    }
  }
});

test("Store: overflow values longer than the file, and runs of another value, are named before anything is allocated", async () => {
  const image = await tallImage();
  const run = [...image.nodes.values()].find(({ type }) => type === PAGE_RUN)!;
  const [at] = run.pointers;
  for (const length of [0x7fffffff, 0xffffffff, 0xffffffd8]) {
    const bytes = forge(image, (draft) => {
      draft.view.setUint32(at! + POINTER_SIZE, length, true);
      draft.view.setUint32(draft.at(run) + RUN_LENGTH, length, true);
      draft.touch(run);
      draft.touch(run.parent!);
    });
    assertEquals(await readingSays(bytes, run.table), "CORRUPT_PAGE bounds", `length ${length}`);
  }
  const longer = forge(image, (draft) => {
    draft.view.setUint32(at! + POINTER_SIZE, draft.view.getUint32(at! + POINTER_SIZE, true) - 1, true);
    draft.touch(run.parent!);
  });
  assertEquals(await readingSays(longer, run.table), "CORRUPT_PAGE bounds");
});

test("Store: a bitmap that says that pages in use are free is named, and nothing is written over them", async () => {
  const image = await tallImage();
  const bitmap = [...image.nodes.values()].find(({ type }) => type === PAGE_BITMAP)!;
  const bytes = forge(image, (draft) => {
    const from = draft.at(bitmap) + PAGE_HEADER;
    for (const node of image.nodes.values()) {
      if (node.table === TALL_TABLE && node.type === PAGE_LEAF) draft.bytes[from + (node.page >> 3)]! &= ~(1 << (node.page & 7));
    }
    draft.touch(bitmap);
  });
  assert((await checkSays(bytes)).length > 0);
});

test("Store: what a crafted value cell makes of its neighbour is named", async () => {
  const image = await tallImage();
  const leaf = leafOf(image, TALL_TABLE, 2);
  const [place] = image.slots(leaf.page);
  const bytes = forge(image, (draft) => {
    draft.view.setUint16(place!.cell, draft.view.getUint16(place!.cell, true) ^ CELL_OVERFLOW, true);
    draft.touch(leaf);
  });
  assertEquals(await readingSays(bytes), "CORRUPT_PAGE bounds");
});

test("Store: rows of the registry that no table can have are CORRUPT_RECORD", async () => {
  const image = await smallImage();
  const leaf = leafOf(image, 1, 3);
  const [, first, second] = image.slots(leaf.page);
  const id = (place: { cell: number; rest: number }): number => place.cell + 2 + place.rest;
  const cases: [string, (draft: Draft) => void][] = [
    ["an id of the engine", ({ view }) => view.setUint32(id(first!), 2, true)],
    ["an id of a dropped table", ({ view }) => view.setUint32(id(first!), 0x80000010, true)],
    ["an id twice", ({ view }) => view.setUint32(id(first!), view.getUint32(id(second!), true), true)],
    ["a name that is not UTF-8", ({ bytes }) => bytes[first!.cell + 2] = 0xff],
    ["a name with NUL", ({ bytes }) => bytes[first!.cell + 2] = 0],
  ];
  for (const [name, change] of cases) {
    const bytes = forge(image, (draft) => {
      change(draft);
      draft.touch(leaf);
    });
    await using store = await open(bytes);
    try {
      store.listTables();
      throw new Error(`${name}: the tables are listed`);
    } catch (error) {
      assertEquals(nameOf(error), "CORRUPT_RECORD", name);
    }
  }
});

/** The code of reading a user's row whose value bytes are forged. */
async function recordSays(forgery: (value: Uint8Array) => void): Promise<string> {
  const image = await smallImage();
  const leaf = [...image.nodes.values()].find((node) =>
    node.type === PAGE_LEAF && node.children.some(({ type }) => type === PAGE_RUN) && node.table > 16
  )!;
  const place = image.slots(leaf.page).find((each) =>
    image.view.getUint16(each.cell, true) > 8 && image.view.getUint16(each.cell, true) < 100
  )!;
  const bytes = forge(image, (draft) => {
    forgery(draft.bytes.subarray(place.cell + 2 + place.rest, place.cell + 2 + place.rest + image.payload(place)));
    draft.touch(leaf);
  });
  try {
    await using manifest = await Manifest.open(new MemoryStorage(bytes), { readOnly: true, environment: testEnvironment(1), pollMs: 0 });
    for (const [, { n }] of manifest.range(notes)) assert(Number.isSafeInteger(n));
    return "nothing";
  } catch (error) {
    return nameOf(error);
  }
}

test("Manifest: records with numbers above 2^53, encodings that are not the shortest, and lengths beyond their end are CORRUPT_RECORD", async () => {
  assertEquals(await recordSays(() => {}), "nothing");
  assertEquals(await recordSays((value) => value.set([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10])), "CORRUPT_RECORD");
  assertEquals(await recordSays((value) => value.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])), "CORRUPT_RECORD");
  assertEquals(await recordSays((value) => value.set([0x80, 0x00])), "CORRUPT_RECORD");
  assertEquals(await recordSays((value) => value.fill(0xff, 1)), "CORRUPT_RECORD");
});
