// A file whose space takes more than one bitmap, and so an index page above them: the one kind of page that no small file has.
//
// Its journal lies behind so many free pages that the first bitmap does not reach it. Nothing else is large: all but a few pages are zeros.
import { BLOCK_SIZE, PAGE_BITMAP_INDEX, PAGE_HEADER } from "../../../assembly/format.ts";
import { Manifest } from "../../../mod.ts";
import { MemoryFile, MemoryStorage } from "../../../src/storage/memory.ts";
import { testEnvironment } from "../environment.ts";
import { Subject } from "./byte_case.ts";
import { createSmall, notes, SMALL_OPTIONS } from "./small_file.ts";

/** Pages that one bitmap of 4 KiB tells of. */
const REACH = (BLOCK_SIZE - PAGE_HEADER) * 8;
const JOURNAL_PAGES = 8;

/** The file, left by a crash with a commit in the journal alone, and where its index page lies. */
export async function indexFile(seed: number): Promise<{ subject: Subject; at: number }> {
  const file = new MemoryFile();
  const environment = testEnvironment(seed);
  await createSmall(file, environment, JOURNAL_PAGES, REACH + 100);
  const manifest = await Manifest.open(new MemoryStorage(file), { ...SMALL_OPTIONS, environment });
  for (let n = 0; n < 20; n++) await manifest.begin().put(notes, [`note ${n}`], { n }).commit();
  await manifest.close();
  const again = await Manifest.open(new MemoryStorage(file), { ...SMALL_OPTIONS, environment });
  await again.begin().put(notes, ["later"], { n: 20 }).commit();
  const subject = new Subject(file.bytes());
  const pages = [...subject.expected.image.nodes.values()].filter(({ type }) => type === PAGE_BITMAP_INDEX);
  if (pages.length !== 1) throw new Error(`the file has ${pages.length} index pages`);
  return { subject, at: pages[0]!.page * BLOCK_SIZE };
}
