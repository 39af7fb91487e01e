// One case: damage is done to a file, the file is opened, everything is read, and what was found must be what the damage calls for.
import { Store } from "../../../src/store/store.ts";
import { PAGE_REASONS, reasonName, reasonText } from "../../../src/store/status.ts";
import { isManifestError } from "../../../src/errors.ts";
import type { RecoveryReport, StoreOptions } from "../../../src/store/store.ts";
import { type TestEnvironment, testEnvironment } from "../environment.ts";
import type { Expected } from "./expected.ts";
import { type FlatFile, FlatStorage } from "./flat_storage.ts";
import { Footprint } from "./footprint.ts";
import { Interrogation, type Named, named } from "./interrogate.ts";

/** How a file is opened. */
export type Mode = "read" | "write";

/** Storage calls that a case may make: a hundred times what an undamaged file of this size takes. */
export const BUDGET = 20_000;

/** What became of a case. */
export interface Result {
  /** How it ended: opened and everything right, some rows refused by name, or opening refused by name. */
  readonly at: "equal" | "rows" | "open";
  readonly named: Named | undefined;
  /** Why each damaged page was refused, as far as reading came. */
  readonly pages: ReadonlyMap<number, string>;
  readonly recovery: RecoveryReport | undefined;
  /** Still open, unless opening failed. */
  readonly store: Store | undefined;
}

/** Options under which cases open. */
export function caseOptions(environment: TestEnvironment, mode: Mode): StoreOptions {
  return { readOnly: mode === "read", environment, cacheBytes: 1 << 18, syncMode: "inline", idleCheckpoint: 0 };
}

/** Opens a damaged file and reads everything. */
export async function look(file: FlatFile, expected: Expected, mode: Mode, damaged: ReadonlySet<number>): Promise<Result> {
  file.budget = BUDGET;
  using footprint = new Footprint();
  const environment = testEnvironment(1);
  let store: Store;
  try {
    store = await Store.open(new FlatStorage(file, mode === "read"), caseOptions(environment, mode));
  } catch (error) {
    file.checkEnded();
    footprint.check("refused");
    return { at: "open", named: named(error, "open"), pages: new Map(), recovery: undefined, store: undefined };
  }
  const { first, pages } = new Interrogation(store, expected, damaged).run();
  file.checkEnded();
  footprint.check("read");
  return { at: first === undefined ? "equal" : "rows", named: first, pages, recovery: store.recovery, store };
}

/** Closes a store of a case; errors of damage are what closing a damaged file gives. */
export async function closeQuietly(store: Store | undefined): Promise<void> {
  try {
    await store?.close();
  } catch (error) {
    if (!isManifestError(error) || error.kind !== "data") throw error;
  }
}

const NAMES = new Map(Object.values(PAGE_REASONS).map((reason) => [reasonText(reason), reasonName(reason)]));

/** What the whole-file check says: the pages that its errors name, and the reasons' names. */
export async function checkedPages(store: Store): Promise<Map<number, string>> {
  using footprint = new Footprint();
  const { problems } = await store.check();
  footprint.check("checked");
  return new Map(problems.filter(({ severity }) => severity === "error").map(({ page, reason }) => [page, NAMES.get(reason) ?? reason]));
}
