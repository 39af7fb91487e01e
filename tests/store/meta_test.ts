// Choosing the meta slot: the truth table of what the four slots can hold.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { BLOCK_SIZE, FORMAT_VERSION, META_BYTES, META_EPOCH, META_MIN_READER } from "../../assembly/format.ts";
import { ManifestError } from "../../src/errors.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { kernelModule } from "../../src/kernel/loader.ts";
import { isInterruptedCreation } from "../../src/store/interrupted_creation.ts";
import { blankSlot, chooseMeta, sealSlot, slotChecksum, slotOffset, writeFields } from "../../src/store/meta.ts";
import { checkBounds, checkFeatures } from "../../src/store/meta_limits.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";

const checksum = slotChecksum(new Kernel(kernelModule()));
const FILE = seeded(1).bytes(16);
const OTHER = seeded(2).bytes(16);

function slot(generation: number, copy: 1 | 2, fileId = FILE, change: (bytes: Uint8Array) => void = () => {}): Uint8Array {
  const bytes = blankSlot(12, fileId, fileId);
  writeFields(bytes, {
    generation,
    epoch: 1 + generation,
    clean: false,
    group: generation * 10,
    extent: 0,
    block: 0,
    committedAt: 0,
    durability: 0,
    extents: [{ page: 4, pages: 32 }],
  });
  change(bytes);
  return sealSlot(bytes, copy, checksum);
}

type Content = "valid" | "torn" | "blank" | "stale" | "foreign";

/** A region whose newest generation is 5 (in B) and older one 4 (in A); `contents` in slot order A1 B1 A2 B2. */
function region(contents: readonly Content[]): Uint8Array {
  const out = new Uint8Array(META_BYTES);
  contents.forEach((content, index) => {
    const copy = index < 2 ? 1 : 2;
    const generation = 4 + index % 2;
    let bytes = slot(generation, copy);
    if (content === "stale") bytes = slot(generation - 2, copy);
    if (content === "foreign") bytes = slot(generation, copy, OTHER);
    if (content === "torn") bytes.fill(0, 100, 300);
    if (content === "blank") bytes.fill(0);
    out.set(bytes, index * BLOCK_SIZE);
  });
  return out;
}

function choose(bytes: Uint8Array): string {
  try {
    const { current, older, stale } = chooseMeta(bytes, checksum, "file");
    const repair = stale.some(({ meta }) => meta === current);
    return `${current.generation}/${older?.generation ?? "-"}${repair ? " repair" : ""}`;
  } catch (error) {
    return (error as ManifestError).code;
  }
}

test("chooseMeta: the newest generation with a readable copy, for every mix of slots", () => {
  const kinds: Content[] = ["valid", "torn", "blank", "stale", "foreign"];
  const counts = new Map<string, number>();
  for (const a1 of kinds) {
    for (const b1 of kinds) {
      for (const a2 of kinds) {
        for (const b2 of kinds) {
          const foreign = [a1, b1, a2, b2].filter((kind) => kind === "foreign").length;
          const ours = [a1, b1, a2, b2].filter((kind) => kind === "valid" || kind === "stale").length;
          if (foreign > ours) continue; // then the file is the other one
          const got = choose(region([a1, b1, a2, b2]));
          const generation = (one: Content, two: Content, newest: number): number | undefined => {
            const found = [one, two].map((kind) => kind === "valid" ? newest : kind === "stale" ? newest - 2 : -1);
            return Math.max(...found) < 0 ? undefined : Math.max(...found);
          };
          const a = generation(a1, a2, 4);
          const b = generation(b1, b2, 5);
          let wanted: string;
          if (ours === 0 && foreign === 0) wanted = [a1, b1, a2, b2].includes("torn") ? "CORRUPT_HEADER" : "NOT_A_MANIFEST";
          else if (foreign === ours || a === undefined || b === undefined) wanted = "CORRUPT_HEADER";
          else {
            const newest = Math.max(a, b);
            const same = newest === a ? a1 === a2 && a1 !== "foreign" : b1 === b2 && b1 !== "foreign";
            wanted = `${newest}/${Math.min(a, b) === newest - 1 ? newest - 1 : "-"}${same ? "" : " repair"}`;
          }
          assertEquals(got, wanted, [a1, b1, a2, b2].join(" "));
          counts.set(got, (counts.get(got) ?? 0) + 1);
        }
      }
    }
  }
  // The table is not all one answer.
  assert(counts.get("5/4")! > 0 && counts.get("5/4 repair")! > 0 && counts.get("4/3 repair")! > 0 && counts.get("CORRUPT_HEADER")! > 0);
});

test("chooseMeta: of two copies of one generation that of the later writer counts", () => {
  for (const stale of [1, 2] as const) {
    const bytes = region(["valid", "valid", "valid", "valid"]);
    // A writer that was taken over has written its copy of a generation that its successor had made too.
    const late = slot(5, stale, FILE, (slot) => new DataView(slot.buffer).setUint32(META_EPOCH, 5, true));
    bytes.set(late, slotOffset(5, stale));
    const { current, stale: slots } = chooseMeta(bytes, checksum, "x");
    assertEquals([current.generation, current.epoch, slots], [5, 6, [{ slot: stale === 1 ? 1 : 3, meta: current }]]);
  }
});

test("chooseMeta: a slot in another slot's place is not believed", () => {
  const bytes = region(["valid", "valid", "valid", "valid"]);
  bytes.set(bytes.subarray(slotOffset(5, 1), slotOffset(5, 1) + BLOCK_SIZE), slotOffset(4, 1));
  assertEquals(choose(bytes), "5/4");
  bytes.set(bytes.subarray(slotOffset(5, 1), slotOffset(5, 1) + BLOCK_SIZE), slotOffset(4, 2));
  assertEquals(choose(bytes), "CORRUPT_HEADER");
});

test("chooseMeta: any one damaged bit leaves the newest generation readable", () => {
  const random = seeded(31);
  const whole = region(["valid", "valid", "valid", "valid"]);
  for (let round = 0; round < 500; round++) {
    const bytes = whole.slice();
    bytes[random.int(bytes.length)]! ^= 1 << random.int(8);
    const { current } = chooseMeta(bytes, checksum, "file");
    assertEquals(current.generation, 5, `seed 31 round ${round}`);
  }
});

test("chooseMeta: other files, short files and newer formats are told apart", () => {
  assertEquals(choose(seeded(5).bytes(META_BYTES)), "NOT_A_MANIFEST");
  assertEquals(choose(new TextEncoder().encode("just some text")), "NOT_A_MANIFEST");
  assertEquals(choose(region(["valid", "valid", "valid", "valid"]).subarray(0, 10_000)), "TRUNCATED");
  const newer = region(["valid", "valid", "valid", "valid"]);
  newer.set(slot(4, 1, FILE, (bytes) => new DataView(bytes.buffer).setUint16(META_MIN_READER, FORMAT_VERSION + 1, true)), 0);
  assertEquals(choose(newer), "FORMAT_TOO_NEW");
});

test("checkFeatures: unknown bits are refused by those they concern", () => {
  const meta = (at: number, value: number) => {
    const bytes = region(["valid", "valid", "valid", "valid"]);
    for (const copy of [1, 2] as const) {
      bytes.set(slot(5, copy, FILE, (b) => new DataView(b.buffer).setUint32(at, value, true)), slotOffset(5, copy));
    }
    return chooseMeta(bytes, checksum, "file").current;
  };
  checkFeatures(meta(16, 1), true, "file");
  checkFeatures(meta(20, 1), false, "file");
  assertThrows(() => checkFeatures(meta(20, 1), true, "file"), ManifestError);
  assertThrows(() => checkFeatures(meta(24, 1), false, "file"), ManifestError);
  assertThrows(() => checkFeatures(meta(64, 1), false, "file"), ManifestError);
});

test("checkBounds: numbers that cannot be are refused whatever the checksum says", () => {
  const meta = (extents: { page: number; pages: number }[], pageCount: number, extent = 0, block = 0) => {
    const bytes = slot(5, 1, FILE, (b) => {
      writeFields(b, { generation: 5, epoch: 1, clean: true, group: 1, extent, block, committedAt: 0, durability: 0, extents });
      new DataView(b.buffer).setUint32(80, pageCount, true);
    });
    const all = region(["valid", "valid", "valid", "valid"]);
    all.set(bytes, slotOffset(5, 1));
    all.set(sealSlot(bytes, 2, checksum), slotOffset(5, 2));
    return chooseMeta(all, checksum, "file").current;
  };
  checkBounds(meta([{ page: 4, pages: 32 }], 36), 36 * 4096, "file");
  checkBounds(meta([{ page: 4, pages: 32 }], 36, 0, 32), 36 * 4096, "file");
  for (
    const bad of [
      meta([{ page: 3, pages: 32 }], 36),
      meta([{ page: 4, pages: 0 }], 36),
      meta([{ page: 4, pages: 33 }], 36),
      meta([{ page: 4, pages: 32 }], 36, 1),
      meta([{ page: 4, pages: 32 }], 36, 0, 33),
    ]
  ) assertThrows(() => checkBounds(bad, 36 * 4096, "file"), ManifestError);
  assertThrows(() => checkBounds(meta([{ page: 4, pages: 32 }], 37), 36 * 4096, "file"), ManifestError, "shorter");
});

test("isInterruptedCreation: takes what a creation leaves behind, and nothing else", () => {
  const fresh = new Uint8Array(36 * 4096);
  for (const generation of [0, 1]) {
    for (const copy of [1, 2] as const) {
      const bytes = blankSlot(12, FILE, FILE);
      writeFields(bytes, {
        generation,
        epoch: 1,
        clean: false,
        group: 1,
        extent: 0,
        block: 0,
        committedAt: 0,
        durability: 0,
        extents: [{ page: 4, pages: 32 }],
      });
      fresh.set(sealSlot(bytes, copy, checksum), slotOffset(generation, copy));
    }
  }
  const is = (bytes: Uint8Array): boolean => isInterruptedCreation(bytes, checksum, [36 * 4096]);
  assert(is(new Uint8Array(1)));
  assert(is(new Uint8Array(36 * 4096)));
  const garbage = seeded(9).bytes(META_BYTES);
  for (const cut of [1, 5, 8, 100, 4095, 4096]) {
    const bytes = fresh.slice();
    bytes.fill(0, cut, META_BYTES);
    assert(is(bytes), `A1 cut at ${cut}`);
    bytes.set(garbage.subarray(0, cut));
    assert(cut === 4096 || is(bytes), `A1 garbage up to ${cut}`);
  }
  const others = fresh.slice();
  others.set(seeded(10).bytes(others.length - 4096), 4096);
  assert(is(others), "A1 and garbage");
  const both = others.slice();
  both.set(garbage.subarray(0, 4096));
  assert(!is(both));
  assert(!is(fresh), "complete");
  const lost = fresh.slice();
  for (const slot of [1, 3]) lost.fill(7, slot * BLOCK_SIZE, (slot + 1) * BLOCK_SIZE);
  assert(is(lost), "a file without a commit");
  const view = new DataView(lost.buffer);
  view.setUint32(20_480 + 4, 0x314a4257, true);
  lost.set(FILE.subarray(0, 8), 20_480 + 8);
  assert(is(lost), "a blank block");
  view.setUint32(20_480 + 16, 1, true);
  assert(!is(lost), "one with a commit");
  const text = new Uint8Array(36 * 4096 + 1);
  text.set(new TextEncoder().encode("#!/bin/sh"));
  assert(!is(text));
  const used = new Uint8Array(36 * 4096);
  used.set(slot(4, 1), slotOffset(4, 1));
  assert(!is(used));
});
