// Every call of the folder fails once, before it does anything or behind it: what was going on ends with an error of this package or tells it in its report, nothing that is named is lost, and doing it again succeeds.
import { assert, assertEquals } from "@std/assert";
import { isManifestError, type ManifestErrorFields } from "../../../mod.ts";
import { type Folder, type FolderFile, memoryFolder } from "../../../src/catalogs/files/mod.ts";
import { ManifestError } from "../../../src/errors.ts";
import { test } from "../../support/harness.ts";
import { altered, data, filesIn, Place, putFile } from "./parts.ts";

type When = "before" | "behind";

/** A folder whose n-th call fails. */
class FailingFolder {
  calls = 0;
  failed = "";
  readonly #n: number;
  readonly #when: When;

  constructor(n: number, when: When) {
    this.#n = n;
    this.#when = when;
  }

  over(folder: Folder): Folder {
    const call = <T>(name: string, work: () => Promise<T>): Promise<T> => this.#call(name, work);
    return altered(folder, {
      list: (directory) => call("list", () => folder.list(directory)),
      facts: (path) => call("facts", () => folder.facts(path)),
      open: (path) => call("open", async () => this.#file(await folder.open(path))),
      remove: (path) => call("remove", () => folder.remove(path)),
      syncDirectory: (directory) => call("syncDirectory", () => folder.syncDirectory(directory)),
    });
  }

  #file(file: FolderFile): FolderFile {
    return {
      facts: () => this.#call("file.facts", () => file.facts()),
      read: (at, into) => this.#call("file.read", () => file.read(at, into)),
      write: (at, from) => file.write(at, from),
      sync: () => this.#call("file.sync", () => file.sync()),
      close: () => this.#call("file.close", () => file.close()),
    };
  }

  async #call<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (this.calls++ !== this.#n) return await work();
    this.failed = name;
    if (this.#when === "behind") await work();
    throw new ManifestError("IO_WRITE", "Cannot write: it is a test", { detail: { file: "x" } });
  }
}

/** What is done; each may be done again. Returns what went wrong, also what a report says. */
const STEPS: readonly ((place: Place, folder: Folder) => Promise<unknown>)[] = [
  async (place, folder) =>
    void await (await place.over(folder)).commit({ set: [data("a", "a2"), data("b", "d/b2"), data("c", "c1")] }, { expectedVersion: 1 }),
  async (place, folder) => void await (await place.over(folder)).verify(),
  async (place, folder) => (await (await place.over(folder)).prune(1)).failed[0]?.error,
  async (place, folder) => {
    const catalog = await place.over(folder);
    return (await catalog.deleteOrphans(await catalog.orphans({ minAgeMs: 0 }))).failed[0]?.error;
  },
];

async function start(): Promise<Place> {
  const place = new Place((clock) => memoryFolder(clock), { parallel: 1 });
  await place.open();
  await place.commit({ a: "a1", b: "d/b1" });
  for (const path of ["a2", "d/b2", "c1", "left"]) await putFile(place.folder, path, path);
  return place;
}

/** Runs a step; what it ended with or reported. */
async function attempt(step: () => Promise<unknown>): Promise<ManifestErrorFields | undefined> {
  try {
    const told = await step();
    return told === undefined ? undefined : told as ManifestErrorFields;
  } catch (error) {
    assert(isManifestError(error), `not an error of this package: ${error}`);
    return error;
  }
}

test("faults: whatever call of the folder fails, nothing that is named is lost, it is told, and doing it again succeeds", async () => {
  let runs = 0;
  const seen = new Set<string>();
  for (const when of ["before", "behind"] as const) {
    for (const [at, step] of STEPS.entries()) {
      for (let n = 0;; n++) {
        const place = await start();
        for (const earlier of STEPS.slice(0, at)) await earlier(place, place.folder);
        const failing = new FailingFolder(n, when);
        const error = await attempt(() => step(place, failing.over(place.folder)));
        const where = `step ${at}, call ${n} (${failing.failed}) fails ${when}`;
        assertEquals(place.catalog.check(), { ok: true, problems: [] }, where);
        assertEquals((await place.catalog.verify()).damaged, [], where);
        // Verification has told it in its report.
        if (failing.failed !== "" && at !== 1) assert(error !== undefined, where);
        if (failing.failed !== "") {
          seen.add(failing.failed);
          const again = await attempt(() => step(place, place.folder));
          if (at === 0 && error?.code !== undefined) assertEquals(again?.code, undefined, where);
        }
        for (const later of STEPS.slice(Math.max(at, 1))) assertEquals(await attempt(() => later(place, place.folder)), undefined, where);
        assertEquals([place.names(), await filesIn(place.folder)], [{ a: "a2", b: "d/b2", c: "c1" }, ["a2", "c1", "d/b2"]], where);
        await place.manifest.close();
        runs++;
        if (failing.failed === "") break;
      }
    }
  }
  assertEquals([...seen].sort(), [
    "facts",
    "file.close",
    "file.facts",
    "file.read",
    "file.sync",
    "list",
    "open",
    "remove",
    "syncDirectory",
  ]);
  assert(runs > 100, `${runs} runs`);
  console.log(`${runs} runs`);
});
