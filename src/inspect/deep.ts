// Level "deep" of a check: every record, and what the tables say of each other, in the newest state that can be opened.
import { isManifestError, type ManifestErrorFields } from "../errors.ts";
import { ManifestCore } from "../manifest/core.ts";
import { DeepCheck } from "../manifest/gc/deep_check.ts";
import { BUILT_IN } from "../manifest/operations/built_in.ts";
import type { Meta } from "../store/meta.ts";
import { Store } from "../store/store.ts";
import type { Storage } from "../storage/storage.ts";
import type { Finding, FindingCode } from "./finding.ts";
import { type Inspection, Replaced } from "./inspection.ts";
import { StateSource } from "./state_source.ts";
import { incomplete } from "./tree_check.ts";

const ADVICE = "Keep a copy of the file, then salvage it into a new one: counts and indexes are made anew.";

/** Opens a state for reading, past a damaged bitmap and past slots that name others. */
export function openState(inspection: Inspection, storage: Storage, meta: Meta, cacheBytes: number): Promise<Store> {
  return Store.open(new StateSource(storage, meta, inspection.kernel()), {
    readOnly: true,
    cacheBytes,
    idleCheckpoint: 0,
    environment: inspection.environment,
    ...inspection.wasm === undefined ? {} : { wasm: inspection.wasm },
  });
}

/** Checks what the tables say of each other. `named`: damage was found before. Throws Replaced when a writer has gone on meanwhile. */
export async function checkTables(inspection: Inspection, storage: Storage, meta: Meta, cacheBytes: number, named: boolean): Promise<void> {
  try {
    const store = await openState(inspection, storage, meta, cacheBytes);
    try {
      await judge(inspection, store, meta, named);
    } finally {
      await store.close();
    }
  } catch (error) {
    if (!isManifestError(error) || (error.kind !== "data" && error.kind !== "io" && error.code !== "LIMIT")) throw error;
    const { newest } = await inspection.header();
    if (newest !== undefined && newest.generation > meta.generation) throw new Replaced();
    inspection.findings.add(named ? incomplete("What the tables say of each other") : asFinding(error));
  }
}

async function judge(inspection: Inspection, store: Store, meta: Meta, named: boolean): Promise<void> {
  const { findings } = inspection;
  const there = new Set(store.listTables().map(({ name }) => name));
  const missing = BUILT_IN.map(({ table }) => table.name).filter((name) => !there.has(name));
  if (missing.length > 0) {
    // A file that was never opened as a manifest has none of them, and nothing to be checked.
    if (missing.length === BUILT_IN.length && there.size === 0) return;
    for (const table of missing) {
      findings.add({ ...contradiction("INCONSISTENT", `Table ${table} is missing.`), table });
    }
    return;
  }
  const core = new ManifestCore(store, inspection.environment, { retention: undefined, cache: undefined, cacheId: undefined });
  const view = store.read();
  try {
    const deep = new DeepCheck(core, view);
    await deep.run();
    if (deep.count > 0) inspection.still(meta); // what a writer has replaced contradicts everything
    for (const { reason, expected, actual } of deep.problems) {
      // What lies on pages that other findings name need not be said again.
      if (named && reason.endsWith("(CORRUPT_PAGE)")) continue;
      const [table] = reason.split(": ", 1) as [string];
      const code = table === "change_log" ? "CORRUPT_LOG" : / a record /.test(` ${reason}`) ? "CORRUPT_RECORD" : "INCONSISTENT";
      findings.add({ ...contradiction(code, `Table ${reason}.`), table, expected, actual });
    }
    findings.uncounted("error", deep.count - deep.problems.length);
  } finally {
    view.close();
  }
}

function contradiction(code: FindingCode, message: string): Finding {
  return { severity: "error", code, reason: "contradiction", message, advice: ADVICE };
}

/** Damage that only opening has met. */
function asFinding({ code, message, detail }: ManifestErrorFields): Finding {
  const known = code === "CORRUPT_JOURNAL" || code === "CORRUPT_RECORD" || code === "CORRUPT_LOG" || code === "IO_READ" ||
    code === "CORRUPT_PAGE";
  return {
    severity: "error",
    code: known ? code : "INCOMPLETE",
    reason: "opening",
    message: `${message}.`,
    advice: ADVICE,
    ...typeof detail.page === "number" ? { page: detail.page } : {},
    ...typeof detail.group === "number" ? { group: detail.group } : {},
  };
}
