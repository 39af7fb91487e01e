// The simulated folder itself: a crash test is worth what its images are worth.
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Fate } from "../support/disk/change.ts";
import { planFates } from "../support/disk/fates.ts";
import { SimFolder } from "../support/disk/sim_folder.ts";
import { type MachineImage, SimMachine } from "../support/disk/sim_machine.ts";
import { hashPair, type TreeState } from "../support/disk/tree_state.ts";
import { fileText, folderSuite, putFile } from "../support/folder_suite.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const DEVICE = { sector: 512, garbage: true };

folderSuite({ name: "SimFolder", make: () => ({ folder: new SimFolder(), dispose() {} }), durability: ["memory"] });

/** A tree in one line. */
function line(tree: TreeState): string {
  return [...tree.paths()].map(([path, data]) => `${path}=${new TextDecoder().decode(data)}`).sort().join(" ");
}

/** The trees that a crash after a call can leave when every change is kept or dropped. */
function trees(folder: SimFolder, at = folder.calls): string[] {
  const { changes, build } = folder.crash(at);
  const found = new Set<string>();
  for (let kept = 0; kept < 1 << changes.length; kept++) {
    found.add(line(build(changes.map((_, i): Fate => (kept >>> i) & 1 ? "keep" : "drop"))));
  }
  return [...found].sort();
}

test("SimFolder: the bytes of a file are durable when it was synced, its name when its directory was", async () => {
  const folder = new SimFolder();
  const file = await folder.create("a");
  await file.write(0, bytes("one"));
  assertEquals(trees(folder), ["", "a=", "a=one"]);
  await file.sync();
  assertEquals(trees(folder), ["", "a=one"], "the name may still be lost");
  await folder.syncDirectory("");
  assertEquals(trees(folder), ["a=one"]);
  const other = await folder.create("b");
  await other.write(0, bytes("two"));
  await folder.syncDirectory("");
  assertEquals(trees(folder), ["a=one b=", "a=one b=two"], "the bytes may still be lost");
  await other.sync();
  assertEquals(trees(folder), ["a=one b=two"]);
});

test("SimFolder: a sync covers its own file alone, and what was written before it began", async () => {
  let release = () => {};
  const folder = new SimFolder(undefined, { syncTime: () => new Promise((resolve) => release = resolve) });
  const a = await folder.create("a"), b = await folder.create("b");
  const syncing = folder.syncDirectory("");
  release();
  await syncing;
  await a.write(0, bytes("1"));
  await b.write(0, bytes("1"));
  const first = a.sync();
  await a.write(1, bytes("2"));
  assertEquals(trees(folder).length, 8);
  release();
  await first;
  assertEquals(trees(folder), ["a=1 b=", "a=1 b=1", "a=12 b=", "a=12 b=1"]);
});

test("SimFolder: a rename within a directory is one change, between two directories each of them tells its own half", async () => {
  const folder = new SimFolder();
  await putFile(folder, "a", "new");
  await putFile(folder, "b", "old");
  await folder.makeDirectory("d");
  for (const path of ["a", "b"]) {
    const file = await folder.open(path);
    await file.sync();
    await file.close();
  }
  await folder.syncDirectory("");
  await folder.rename("a", "b");
  assertEquals(trees(folder), ["a=new b=old", "b=new"]);
  await folder.syncDirectory("");
  await folder.rename("b", "d/c");
  assertEquals(trees(folder), ["", "b=new", "b=new d/c=new", "d/c=new"], "none, either or both of the names");
  await folder.syncDirectory("d");
  assertEquals(trees(folder), ["b=new d/c=new", "d/c=new"]);
  await folder.syncDirectory("");
  assertEquals(trees(folder), ["d/c=new"]);
});

test("SimFolder: a removal may be lost until its directory is synced, and the file comes back whole", async () => {
  const folder = new SimFolder();
  const file = await folder.create("a");
  await file.write(0, bytes("text"));
  await file.sync();
  await folder.syncDirectory("");
  await folder.remove("a");
  assertEquals(trees(folder), ["", "a=text"]);
  await putFile(folder, "a", "x");
  assertEquals(trees(folder), ["", "a=", "a=text", "a=x"], "another file of this name");
  await folder.remove("a");
  await folder.syncDirectory("");
  assertEquals(trees(folder), [""]);
});

test("SimFolder: what is in a directory whose own name was lost is lost with it; renamed, it takes everything along", async () => {
  const folder = new SimFolder();
  await folder.makeDirectory("d");
  const file = await folder.create("d/a");
  await file.write(0, bytes("text"));
  await file.sync();
  await folder.syncDirectory("d");
  assertEquals(trees(folder), ["", "d/a=text"]);
  await folder.syncDirectory("");
  assertEquals(trees(folder), ["d/a=text"]);
  await folder.rename("d", "e");
  assertEquals(trees(folder), ["d/a=text", "e/a=text"]);
});

test("SimFolder: writes are cut at sectors and at bytes, spoilt, reordered and grown with zeros, as on a disk", async () => {
  const folder = new SimFolder();
  const file = await folder.create("a");
  await folder.syncDirectory("");
  await file.write(0, new Uint8Array(2048).fill(1));
  await file.write(2048, new Uint8Array(1000).fill(2));
  const { changes, build } = folder.crash(folder.calls);
  assertEquals(changes.length, 2);
  const seen = { cut: 0, hole: 0, zeros: 0, garbage: 0, whole: 0 };
  let number = 0;
  for (const fates of planFates(changes, DEVICE, seeded(3))) {
    if (number++ === 600) break;
    const data = build(fates).paths().get("a")!;
    if (data.length === 3048 && data.every((byte, i) => byte === (i < 2048 ? 1 : 2))) seen.whole++;
    else if (data.some((byte, i) => byte !== 0 && byte !== (i < 2048 ? 1 : 2))) seen.garbage++;
    else if (data.length > 0 && data.every((byte) => byte === 0)) seen.zeros++;
    else if (data.subarray(0, data.findLastIndex((byte) => byte !== 0)).includes(0)) seen.hole++;
    else seen.cut++;
  }
  for (const [what, count] of Object.entries(seen)) assert(count > 0, what);
});

test("SimFolder: an image is a folder like any other, and what is done to it changes no other image", async () => {
  const folder = new SimFolder();
  await putFile(folder, "a", "text");
  const { build } = folder.crash(folder.calls);
  const tree = build(["keep", "keep"]);
  const first = new SimFolder(tree);
  const before = (await first.facts("a"))!;
  const file = await first.create("b");
  await file.write(0, bytes("more"));
  await first.remove("a");
  assertEquals([...first.live().keys()], ["b"]);
  assertEquals(trees(first), ["", "a=text", "a=text b=", "a=text b=more", "b=", "b=more"]);
  const second = new SimFolder(tree);
  assertEquals([await fileText(second, "a"), line(tree), before.sizeBytes], ["text", "a=text", 4]);
});

test("SimFolder: the crash after any call can be asked for in any order", async () => {
  const folder = new SimFolder();
  for (let i = 0; i < 6; i++) {
    const file = await folder.create(`f${i}`);
    await file.write(0, bytes(`${i}`));
    if (i % 2 === 0) await file.sync();
    if (i % 3 === 2) await folder.syncDirectory("");
  }
  const forward = Array.from({ length: folder.calls + 1 }, (_, at) => trees(folder, at).join("|"));
  const order = seeded(5).shuffle([...forward.keys()]);
  for (const at of order) assertEquals(trees(folder, at).join("|"), forward[at]);
  assertThrows(() => folder.crash(folder.calls + 1), RangeError);
  assertThrows(() => folder.crash(-1), RangeError);
});

test("TreeState.hash: is that of names and bytes, whatever the numbers and the order", async () => {
  const make = async (paths: string[], extra?: string): Promise<number> => {
    const folder = new SimFolder();
    await folder.makeDirectory("d");
    for (const path of paths) await putFile(folder, path, path);
    if (extra !== undefined) await putFile(folder, "x", extra);
    const { changes, build } = folder.crash(folder.calls);
    return build(changes.map(() => "keep")).hash();
  };
  const paths = ["a", "b", "d/a", "d/b", "c"];
  const hash = await make(paths);
  assertEquals(await make([...paths].reverse()), hash);
  const others = [
    await make(["a", "b", "d/a", "d/c", "c"]),
    await make(paths.slice(1)),
    await make(paths, ""),
    await make(paths, "x"),
    await make(paths, "y"),
  ];
  assertEquals(new Set([hash, ...others]).size, 6);
  assertEquals(new Set([hashPair(1, 2), hashPair(2, 1), hashPair(1, 2), hashPair(0, 0)]).size, 3);
});

/** What an image of a machine holds, as marks: the byte of the disk at each place, and the tree. */
const marks = (image: MachineImage): string => `${[...image.disk.bytes()].join("")} ${line(image.tree)}`;

test("SimMachine: moments are every call of either in the order in which they were made, and each moment once", async () => {
  const machine = new SimMachine();
  const storage = machine.disk.open();
  const expected = ["0 0"];
  const note = (): void => void expected.push(`${machine.disk.calls} ${machine.folder.calls}`);
  const file = await machine.folder.create("a");
  note();
  storage.write(0, Uint8Array.of(1));
  note();
  storage.sync();
  note();
  await file.write(0, bytes("1"));
  note();
  await file.sync();
  note();
  storage.write(1, Uint8Array.of(2));
  note();
  assertEquals(machine.moments().map(({ disk, folder }) => `${disk} ${folder}`), expected);
  assertEquals(machine.calls, expected.length - 1);
});

test("SimMachine: what the disk and the folder may lose is lost in every combination, and nothing else is", async () => {
  const machine = new SimMachine();
  const storage = machine.disk.open();
  storage.write(0, Uint8Array.of(7));
  storage.sync();
  const file = await machine.folder.create("a");
  await file.write(0, bytes("x"));
  storage.write(1, Uint8Array.of(8));
  const seen = new Map<string, number>();
  const limit = 200;
  let number = 0;
  for (const image of machine.crashes(machine.moments().at(-1)!, seeded(1))) {
    seen.set(marks(image).replaceAll("\0", "0"), image.hash);
    if (++number === limit) break;
  }
  for (const disk of ["7", "78"]) for (const tree of ["", "a=", "a=x"]) assert(seen.has(`${disk} ${tree}`), `${disk} ${tree}`);
  for (const found of seen.keys()) assert(found.startsWith("7"), found);
  assertEquals(new Set(seen.values()).size, seen.size, "different images have different hashes");
  await file.sync();
  await machine.folder.syncDirectory("");
  storage.sync();
  assertEquals([...machine.crashes(machine.moments().at(-1)!, seeded(1))].map(marks), ["78 a=x"]);
});

test("SimMachine: the same seed gives the same images; what recovery does can crash again", async () => {
  const machine = new SimMachine();
  const storage = machine.disk.open();
  const file = await machine.folder.create("a");
  for (let i = 0; i < 6; i++) {
    storage.write(i, Uint8Array.of(i));
    await file.write(i, bytes(`${i}`));
  }
  const some = (): string[] => {
    const found: string[] = [];
    for (const image of machine.crashes(machine.moments().at(-1)!, seeded(9))) {
      found.push(marks(image));
      if (found.length === 100) return found;
    }
    return found;
  };
  const first = some();
  assertEquals(some(), first);
  for (const image of machine.crashes(machine.moments().at(-1)!, seeded(9))) { // everything kept
    const recovering = image.open();
    recovering.storage.truncate(1);
    await recovering.folder.remove("a");
    recovering.storage.sync();
    const moments = recovering.moments();
    assertEquals(moments.map(({ disk, folder }) => `${disk} ${folder}`), ["0 0", "1 0", "1 1", "2 1"]);
    const left = (number: number): string[] => [...new Set(someMarks(recovering.crashes(moments[number]!, seeded(2)), 20))].sort();
    assertEquals(left(0), ["012345 a=012345"]);
    assertEquals(left(1), ["0 a=012345", "012345 a=012345"]);
    assertEquals(left(2), ["0 ", "0 a=012345", "012345 ", "012345 a=012345"]);
    assertEquals(left(3), ["0 ", "0 a=012345"]);
    break;
  }
});

/** The marks of the first images; each is looked at before the next one is built. */
function* someMarks(images: Iterable<MachineImage>, count: number): Generator<string, void, void> {
  for (const image of images) {
    if (count-- === 0) return;
    yield marks(image);
  }
}
