// Hostile and damaged files: every inspection ends, with few reads and little memory, whatever the bytes say.
import { assert, assertEquals } from "@std/assert";
import { META_EXTENT_COUNT, META_EXTENTS, META_PAGE_COUNT, META_ROOTS, PAGE_BRANCH, PAGE_LEAF } from "../../assembly/format.ts";
import { isManifestError } from "../../src/errors.ts";
import { checkFile, describePage, dumpTables, salvage } from "../../src/inspect/mod.ts";
import { Inspection } from "../../src/inspect/inspection.ts";
import { lookAtHeader } from "../../src/inspect/header.ts";
import { checkPages } from "../../src/inspect/tree_check.ts";
import { Visitor } from "../../src/inspect/visitor.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { CountingStorage } from "../support/counting_storage.ts";
import { Footprint } from "../support/damage/footprint.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";
import { BLOCK, check, damaged, fill, pagesOfKind, sealPage, sealSlot } from "./filled.ts";

const { bytes, pageSize } = await fill({ notes: 200 });
const MIB = 1 << 20;
/** Most that an inspection takes, all its kernels together: bitmaps of as many pages as they are made for at most are more than half of it. */
const MEMORY = 96 * MIB;

/** The same change in all slots, sealed. */
function inSlots(change: (view: DataView, at: number) => void): Uint8Array {
  return damaged(bytes, (copy) => {
    for (const slot of [0, 1, 2, 3]) {
      change(new DataView(copy.buffer), slot * BLOCK);
      sealSlot(copy, slot);
    }
  });
}

/** Everything that looks into a file, one after the other: each ends, with an error of this package or none, in bounded memory. Bytes read of the worst. */
async function inspectAll(image: Uint8Array, label: string): Promise<number> {
  const options = { environment: testEnvironment(1) };
  const storage = new CountingStorage(new MemoryStorage(new MemoryFile(image)));
  let worst = 0;
  const part = async (name: string, body: () => Promise<unknown>): Promise<void> => {
    storage.reset();
    using footprint = new Footprint(MEMORY);
    try {
      await body();
    } catch (error) {
      assert(isManifestError(error), `${label}, ${name}: ${error}`);
      assert(error.code !== "INVARIANT" && error.code !== "CORE_TRAP", `${label}, ${name}: ${error.message}`);
    }
    footprint.check(`${label}, ${name}`);
    worst = Math.max(worst, storage.bytesRead);
    assertEquals(storage.changes, 0);
  };
  await part("check", () => checkFile(storage, { ...options, level: "deep" }));
  await part("describe", async () => {
    for (let page = 0; page < 4; page++) await describePage(storage, page * 137, { ...options, values: true });
  });
  await part("dump", async () => {
    for await (const _ of dumpTables(storage, { ...options, values: true }));
  });
  for (const from of ["best", "older", "scan"] as const) {
    await part(`salvage ${from}`, () => salvage(storage, undefined, { ...options, from, dryRun: true }));
  }
  return worst;
}

test("inspections: page counts, extents and roots beyond all reason end soon, with few reads", async () => {
  const cases: [label: string, image: Uint8Array][] = [
    ["2^31 pages", inSlots((view, at) => view.setUint32(at + META_PAGE_COUNT, 0x7ffffffe, true))],
    ["no pages", inSlots((view, at) => view.setUint32(at + META_PAGE_COUNT, 0, true))],
    [
      "extents everywhere",
      inSlots((view, at) => {
        view.setUint16(at + META_EXTENT_COUNT, 32, true);
        for (let i = 0; i < 32; i++) {
          view.setUint32(at + META_EXTENTS + i * 8, 4, true);
          view.setUint32(at + META_EXTENTS + i * 8 + 4, 500, true);
        }
      }),
    ],
    [
      "extents of 2^31 pages in a file of 2^31 pages",
      inSlots((view, at) => {
        view.setUint32(at + META_PAGE_COUNT, 0x7ffffffe, true);
        view.setUint32(at + META_EXTENTS + 4, 0x7ffffff0, true);
      }),
    ],
    ["roots at page 0xffffffff", inSlots((view, at) => view.setUint32(at + META_ROOTS, 0xffffffff, true))],
    ["roots in the journal", inSlots((view, at) => view.setUint32(at + META_ROOTS, 5, true))],
    ["page size 2^255", inSlots((view, at) => view.setUint8(at + 28, 255))],
    ["page size 65536", inSlots((view, at) => view.setUint8(at + 28, 16))],
  ];
  for (const [label, image] of cases) {
    const worst = await inspectAll(image, label);
    assert(worst < 40 * image.length, `${label}: ${Math.round(worst / image.length)} times the file was read`);
  }
});

test("inspections: sealed nonsense in tree pages ends with named errors, without reading the file over and over", async () => {
  const random = seeded(4242);
  const pages = [...pagesOfKind(bytes, pageSize, PAGE_BRANCH), ...pagesOfKind(bytes, pageSize, PAGE_LEAF)];
  for (let round = 0; round < 6; round++) {
    // Checksums are right again in the page, and wrong in what points to it: a scan believes it.
    const image = damaged(bytes, (copy) => {
      for (let i = 0; i < 4; i++) {
        const page = random.pick(pages);
        const at = page * pageSize;
        for (let k = 0; k < 6; k++) copy[at + 6 + random.int(k < 3 ? 60 : pageSize - 6)] = random.int(256);
        sealPage(copy, page, pageSize);
      }
    });
    const worst = await inspectAll(image, `seed 4242, round ${round}`);
    assert(worst < 60 * image.length, `round ${round}: ${Math.round(worst / image.length)} times the file was read`);
  }
});

test("inspections: random bytes behind right slots, and random cuts, end with named errors", async () => {
  const random = seeded(4343);
  for (let round = 0; round < 4; round++) {
    const image = bytes.slice(0, round % 2 === 0 ? bytes.length : 16384 + random.int(bytes.length - 16384));
    for (let i = 0; i < 3; i++) {
      const at = 16384 + random.int(Math.max(1, image.length - 16384 - 20_000));
      image.set(random.bytes(Math.min(20_000, image.length - at)), at);
    }
    await inspectAll(image, `seed 4343, round ${round}`);
  }
});

test("checkFile: linear memory stays small, whatever a slot claims", async () => {
  const claims = inSlots((view, at) => view.setUint32(at + META_PAGE_COUNT, 0x7ffffffe, true));
  for (const [label, image] of [["whole", bytes], ["2^31 pages", claims]] as const) {
    const inspection = new Inspection(new MemoryStorage(image), "check", { environment: testEnvironment(1) });
    const kernels: ReturnType<Inspection["kernel"]>[] = [];
    const made = inspection.kernel.bind(inspection);
    inspection.kernel = () => {
      kernels.push(made());
      return kernels.at(-1)!;
    };
    const meta = lookAtHeader(inspection.source, made()).newest!;
    await checkPages(inspection, meta);
    const visitor = new Visitor(inspection, meta, String);
    assert(kernels.length > 1);
    for (const kernel of [...kernels, visitor.kernel]) assert(kernel.memoryBytes < 40 * MIB, `${label}: ${kernel.memoryBytes >> 20} MiB`);
  }
});

test("checkFile: reads of a whole file are few: each page once, the header and the journal", async () => {
  const { bytesRead, pages, journal } = await check(bytes);
  const reached = (pages!.branch + pages!.leaf + pages!.overflow + 2 * pages!.bitmap) * pageSize;
  // The journal is read once for its groups and once for later ones.
  assert(bytesRead < reached + 4 * journal!.bytes + 16 * 16384, `${bytesRead} bytes`);
});
