// What a salvage takes rows from: states, the journal behind them, and the highest numbers that were seen.
import { TABLE_ID_CHANGES, TABLE_ID_COMMITS } from "../../assembly/format.ts";
import { type ErrorCode, fail } from "../errors.ts";
import type { Meta } from "../store/meta.ts";
import type { Finding } from "./finding.ts";
import { type Header, reportHeader } from "./header.ts";
import type { Inspection } from "./inspection.ts";
import { walkJournal } from "./journal.ts";
import { Overlay } from "./overlay.ts";
import type { SalvageFrom } from "./salvage_types.ts";
import { identify, scan, slotFor, type State, stateOf } from "./states.ts";
import { nameOfTable } from "./table_names.ts";
import { birthOf, Visitor } from "./visitor.ts";
import { findJournal, type LooseJournal } from "./loose_journal.ts";

/** What is to be salvaged. */
export interface Plan {
  /** Page size, pages and file id for visits. */
  readonly meta: Meta;
  readonly visitor: Visitor;
  /** Newest first. */
  readonly states: readonly State[];
  readonly overlay: Overlay;
  readonly generation: number | undefined;
  readonly groups: number;
  readonly frames: number;
  /** Highest numbers that were seen. */
  readonly sequence: number;
  readonly frame: number;
  readonly committedAt: number;
  /** Whole leaf pages of the file; of a scan only. */
  readonly leaves: ReadonlySet<number> | undefined;
  /** The slot that names the newest state; undefined when none does. */
  readonly named: Meta | undefined;
  /** Names of tables for findings; filled in by whoever reads the registry. */
  readonly names: Map<number, string>;
  readonly sourceFileId: string | undefined;
}

/** Findings of a source: what is there, and when a writer is at work, that nothing is. */
export type Tell = (findings: Finding[]) => void;

/** Looks at the source and decides. */
export async function makePlan(
  inspection: Inspection,
  from: SalvageFrom,
  journal: boolean,
  tell: Tell,
  watch: (meta: Meta | undefined) => void,
): Promise<Plan> {
  const header = await inspection.header();
  watch(from === "older" ? undefined : header.newest);
  reportHeader(header, inspection.findings);
  const names = new Map<number, string>();
  const nameOf = (id: number): string => nameOfTable(names, id);
  const highest = highestOf(header);
  const meta = from === "scan" ? await scanned(inspection, header) : chosen(inspection, header, from);
  if (from === "older") watch(meta);
  const visitor = new Visitor(inspection, meta, nameOf);
  const base = from === "scan" ? header.newest : meta;
  const shared: Pick<Plan, "meta" | "visitor" | "names" | "generation" | "sourceFileId"> = {
    meta,
    visitor,
    names,
    generation: base?.generation,
    sourceFileId: header.newest?.fileId,
  };
  if (from !== "scan") {
    const read = await behind(inspection, meta, meta !== header.newest || header.metas.includes(undefined), highest);
    return {
      ...shared,
      ...journal ? read : NO_JOURNAL(),
      ...highest,
      states: [await stateOf(visitor, meta, tell)],
      leaves: undefined,
      named: meta,
    };
  }
  const found = await scan(inspection, meta);
  const states = await statesOf(visitor, header, found.states, tell);
  const named = base !== undefined && states[0]!.birth === birthOf(base) ? base : undefined;
  let read: Read;
  if (named !== undefined) read = await behindBoth(inspection, named, header.older, highest);
  else {
    // The newest tree is one that no slot names: log and ids of commits tell its numbers.
    const told = await numbersIn(visitor, states);
    read = await findJournal(inspection, meta, told.frame);
    const { changes, lastFrame } = read as LooseJournal;
    highest.sequence = Math.max(highest.sequence, told.sequence, told.sequence + changes);
    highest.frame = Math.max(highest.frame, told.frame, lastFrame);
  }
  const { overlay, groups, frames } = journal ? read : NO_JOURNAL();
  return { ...shared, ...highest, overlay, groups, frames, states, leaves: found.leaves, named };
}

type Read = Pick<Plan, "overlay" | "groups" | "frames">;

interface Highest {
  sequence: number;
  frame: number;
  committedAt: number;
}

const NO_JOURNAL = (): Read => ({ overlay: new Overlay(), groups: 0, frames: 0 });

/** The journal behind a state that a slot names. */
async function behind(
  inspection: Inspection,
  base: Meta,
  older: boolean,
  highest: Highest,
  overlay: Overlay = new Overlay(),
): Promise<Read> {
  const walked = await walkJournal(inspection, base, {
    found: (finding) => inspection.findings.add(finding),
    frame: (kernel, at, length) => {
      if (overlay.take(kernel, at, length)) return;
      inspection.findings.add({
        severity: "error",
        code: "CORRUPT_JOURNAL",
        reason: "frame",
        message: "A frame of the journal cannot be read.",
        advice: "What it changed is lost.",
      });
    },
    older,
  });
  highest.sequence = Math.max(highest.sequence, walked.sequence);
  highest.frame = Math.max(highest.frame, walked.frame);
  highest.committedAt = Math.max(highest.committedAt, walked.committedAt);
  return { overlay, groups: walked.groups - walked.damaged, frames: walked.frames };
}

/**
 * The same with the journal behind the state before, where it is still there up to the newest state: then what the newest tree has lost can be had from the older tree and those groups, as it was. Applying them over the newest tree
 * does no harm: they end where it ends, or behind.
 */
async function behindBoth(inspection: Inspection, newest: Meta, older: Meta | undefined, highest: Highest): Promise<Read> {
  const overlay = new Overlay();
  if (older !== undefined) {
    const walked = await walkJournal(inspection, older, {
      found: () => {},
      frame: (kernel, at, length) => void overlay.take(kernel, at, length),
      older: true,
    });
    if (walked.frame >= newest.frame && !older.clean) return await behind(inspection, newest, false, highest, overlay);
  }
  return await behind(inspection, newest, false, highest);
}

function highestOf({ contents }: Header): Highest {
  const all = contents.filter((meta) => meta !== undefined);
  const most = (pick: (meta: Meta) => number): number => Math.max(0, ...all.map(pick).filter(Number.isFinite));
  return {
    sequence: most(({ sequence }) => sequence),
    frame: most(({ frame }) => frame),
    committedAt: most(({ committedAt }) => committedAt),
  };
}

function refuse(inspection: Inspection, header: Header, hint: string): never {
  const { name } = inspection.source;
  const known: readonly string[] = ["EMPTY_FILE", "NOT_A_MANIFEST", "FORMAT_TOO_NEW", "FORMAT_TOO_OLD", "UNKNOWN_FEATURE"];
  const code = header.findings.find((finding) => known.includes(finding.code))?.code ?? "CORRUPT_HEADER";
  fail(code as ErrorCode, `Cannot salvage "${name}": ${hint}`, { detail: { file: name } });
}

/** The state of a meta slot, by the caller's choice: never silently an older one. */
function chosen(inspection: Inspection, header: Header, from: "best" | "older"): Meta {
  const { newest, metas } = header;
  if (newest === undefined) refuse(inspection, header, 'no meta generation is readable; "scan" looks at every page');
  if (from === "best") {
    if (metas.includes(undefined)) {
      refuse(
        inspection,
        header,
        'a meta generation is unreadable that may be the newest; "older" takes the other one, "scan" looks at every page',
      );
    }
    return newest;
  }
  const other = metas[0] === newest ? metas[1] : metas[0];
  return other ?? newest;
}

/** The slot for a scan: every page of the file, whatever any slot says of them. */
async function scanned(inspection: Inspection, header: Header): Promise<Meta> {
  const { newest, findings } = header;
  const size = inspection.source.size();
  if (newest !== undefined) return slotFor(newest.pageShift, newest.bytes.subarray(32, 48), size);
  if (findings.some(({ code }) => code === "FORMAT_TOO_NEW" || code === "FORMAT_TOO_OLD" || code === "UNKNOWN_FEATURE")) {
    refuse(inspection, header, "it needs another version");
  }
  return await identify(inspection) ?? refuse(inspection, header, "no page of it is whole");
}

/** States for a scan, newest first. */
async function statesOf(visitor: Visitor, { newest, older, metas }: Header, found: readonly State[], tell: Tell): Promise<State[]> {
  if (newest === undefined) return [...found];
  const first = await stateOf(visitor, newest, tell);
  const states = older === undefined ? [first] : [first, await stateOf(visitor, older, () => {})];
  // With both generations there, pages that are newer belong to a checkpoint that was never finished.
  if (!metas.includes(undefined)) return [...states, ...found.filter(({ birth }) => birth <= first.birth)];
  return [...found.filter(({ birth }) => birth > first.birth), ...states, ...found.filter(({ birth }) => birth <= first.birth)];
}

/** Highest sequence and frame number in logs and ids of commits, of every state. */
async function numbersIn(visitor: Visitor, states: readonly State[]): Promise<{ sequence: number; frame: number }> {
  const highest = { sequence: 0, frame: 0 };
  const seen = new Set<string>();
  for (const { roots } of states) {
    for (const table of [TABLE_ID_CHANGES, TABLE_ID_COMMITS]) {
      const root = roots.get(table);
      if (root === undefined || seen.has(root.pointer.join())) continue;
      seen.add(root.pointer.join());
      for await (const visit of visitor.visit(root, () => {})) {
        if (visit.type !== "leaf") continue;
        for (const { key } of visit.rows()) {
          if (key.length !== 8) continue;
          const number = Number(new DataView(key.buffer, key.byteOffset).getBigUint64(0));
          if (!Number.isSafeInteger(number)) continue;
          if (table === TABLE_ID_CHANGES) highest.sequence = Math.max(highest.sequence, number);
          else highest.frame = Math.max(highest.frame, number);
        }
      }
    }
  }
  return highest;
}
