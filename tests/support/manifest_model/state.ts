// The reference: what a manifest holds, as Maps of plain records, and the rules of which follows from which.
//
// Nothing is kept that can be worked out: counts, states of objects and the indexes of jobs are made from the snapshots and the jobs each time somebody asks.
import type {
  Chunk,
  ChunkDelta,
  CursorRecord,
  Database,
  GenerationRecord,
  Job,
  MetaRecord,
  Metric,
  ObjectState,
  Refcount,
  RemoteNamespace,
  Snapshot,
  WalArtifact,
  WalState,
} from "../../../mod.ts";
import type { ErrorCode } from "../../../mod.ts";
import { compareKeys, type Key, Rows, type Undo } from "./rows.ts";
import type { UserDefinition, UserRow } from "./user_tables.ts";

/** A transaction is not possible, because of its present operation. */
export class Refusal {
  readonly code: ErrorCode;

  constructor(code: ErrorCode) {
    this.code = code;
  }
}

/** Refuses the present operation. */
export function refuse(code: ErrorCode): never {
  throw new Refusal(code);
}

/** What cannot be worked out of a stored object. */
export interface ObjectFacts {
  /** Holds of `adjustRefcount`. */
  readonly held: number;
  /** A snapshot has listed it since it was put. */
  readonly named: boolean;
  readonly condemned: boolean;
  /** State behind the last transaction, and since when. */
  readonly state: ObjectState | undefined;
  readonly since: number | undefined;
}

/** A user table that exists. Dropped and made again it is another one. */
export interface UserTable {
  readonly incarnation: number;
  readonly definition: UserDefinition;
  readonly rows: Rows<UserRow>;
}

/** An operation as consumers of the change log must see it. */
export interface Shown {
  readonly op: string;
  readonly table: string;
  /** Of a deleted range its bounds. */
  readonly key: unknown;
  readonly value?: unknown;
  /** Which of the user tables of that name. */
  readonly incarnation?: number;
}

/** Key of a stored object: origin database, chunk, generation, delta or −1. */
export type ObjectKey = readonly [originDb: number, chunk: number, generation: number, delta: number];

const UNKNOWN: ObjectFacts = { held: 0, named: false, condemned: false, state: undefined, since: undefined };

/** One state of a manifest. */
export class State {
  /** The time. */
  now = 0;
  /** The newest change. */
  sequence = 0;
  /** The newest change that consumers may have seen. */
  durable = 0;
  /** User tables made so far. */
  incarnations = 0;
  /** What the present transaction shows, and the generations that it bumps. */
  shown: Shown[] = [];
  generationsBumped: Record<number, number> = {};
  /** Notes an event: a transition of an object or of a job. */
  note: (what: string) => void = () => {};
  readonly undo: Undo = [];
  databases = new Rows<Database>(this.undo);
  walStates = new Rows<WalState>(this.undo);
  walArtifacts = new Rows<WalArtifact>(this.undo);
  chunks = new Rows<Chunk>(this.undo);
  deltas = new Rows<ChunkDelta>(this.undo);
  snapshots = new Rows<Snapshot>(this.undo);
  jobs = new Rows<Job>(this.undo);
  metrics = new Rows<Metric>(this.undo);
  generations = new Rows<GenerationRecord>(this.undo);
  namespaces = new Rows<RemoteNamespace>(this.undo);
  objects = new Rows<ObjectFacts>(this.undo);
  cursors = new Rows<CursorRecord>(this.undo);
  meta = new Rows<MetaRecord>(this.undo);
  userTables = new Map<string, UserTable>();

  /** The same state, apart. Only between transactions. */
  copy(): State {
    const copy = new State();
    const { undo } = copy;
    copy.now = this.now;
    copy.sequence = this.sequence;
    copy.durable = this.durable;
    copy.incarnations = this.incarnations;
    copy.note = this.note;
    copy.databases = this.databases.copy(undo);
    copy.walStates = this.walStates.copy(undo);
    copy.walArtifacts = this.walArtifacts.copy(undo);
    copy.chunks = this.chunks.copy(undo);
    copy.deltas = this.deltas.copy(undo);
    copy.snapshots = this.snapshots.copy(undo);
    copy.jobs = this.jobs.copy(undo);
    copy.metrics = this.metrics.copy(undo);
    copy.generations = this.generations.copy(undo);
    copy.namespaces = this.namespaces.copy(undo);
    copy.objects = this.objects.copy(undo);
    copy.cursors = this.cursors.copy(undo);
    copy.meta = this.meta.copy(undo);
    for (const [name, table] of this.userTables) copy.userTables.set(name, { ...table, rows: table.rows.copy(undo) });
    return copy;
  }

  // ---- transactions -----------------------------------------------------------------------------------------

  /** Begins a transaction. */
  begin(now: number): void {
    this.now = now;
    this.undo.length = 0;
    this.shown = [];
    this.generationsBumped = {};
  }

  /** Takes everything since `begin` back, or since there were so many steps. */
  rollback(to = 0): void {
    while (this.undo.length > to) this.undo.pop()!.back();
  }

  /** Ends a transaction: what has become of objects is noted with the time. */
  commit(): void {
    const counts = this.counts();
    for (const { key, value } of this.objects.all()) {
      const state = stateOf(value, counts.get(key.join("/")) ?? 0);
      if (state === value.state) continue;
      this.note(`object ${value.state ?? "none"} to ${state}`);
      this.objects.set(key, { ...value, state, since: state === "live" ? undefined : this.now });
    }
  }

  /** Shows an operation to consumers. */
  show(op: string, table: string, key: unknown, value?: unknown, incarnation?: number): void {
    this.shown.push({ op, table, key, value, incarnation });
  }

  // ---- databases --------------------------------------------------------------------------------------------

  /** The database, which must exist. */
  requireDb(db: number): Database {
    return this.databases.get(db) ?? refuse("NOT_FOUND");
  }

  // ---- stored objects ---------------------------------------------------------------------------------------

  /** How many snapshots list each object. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { value } of this.snapshots.all()) {
      for (const { originDb, chunkId, generation, deltaId } of value.chunks) {
        const name = `${originDb}/${chunkId}/${generation}/${deltaId ?? -1}`;
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
    }
    return counts;
  }

  /** What is known of an object, also of one that was never heard of. */
  facts(key: ObjectKey): ObjectFacts {
    return this.objects.get(...key) ?? UNKNOWN;
  }

  /** A catalog row (`anew`: that did not name it before) or a snapshot names an object: it must not be condemned. */
  name(key: ObjectKey, listed: boolean, anew = false): void {
    const facts = this.facts(key);
    if (facts.condemned) refuse("OBJECT_CONDEMNED");
    const forgotten = anew && !this.counts().has(key.join("/"));
    this.objects.set(key, { ...facts, named: listed || (facts.named && !forgotten) });
  }

  /** An object's row, given what the snapshots count. */
  refcount(key: ObjectKey, facts: ObjectFacts, counts: ReadonlyMap<string, number>): Refcount {
    const strong = counts.get(key.join("/")) ?? 0;
    const state = stateOf(facts, strong);
    const since = state === "live" ? undefined : state === facts.state ? facts.since : this.now;
    const unlisted = state === "live" && !facts.named ? true : undefined;
    return { strong, state, held: facts.held === 0 ? undefined : facts.held, since, unlisted };
  }

  /** Objects in a state with the time they got there, those that have waited longest first. */
  waiting(state: ObjectState): { since: number; key: ObjectKey }[] {
    const out: { since: number; key: ObjectKey }[] = [];
    for (const { key, value } of this.objects.all()) {
      if (value.state === state) out.push({ since: value.since ?? -1, key: key as unknown as ObjectKey });
    }
    return out.sort((a, b) => a.since - b.since || compareKeys(a.key, b.key));
  }

  /** Catalog rows that name an object. */
  namedBy([originDb, chunk, generation, delta]: ObjectKey): { delta: boolean; key: Key }[] {
    const out: { delta: boolean; key: Key }[] = [];
    if (delta < 0) {
      for (const { key, value } of this.chunks.all()) {
        if (key[1] === chunk && value.generation === generation && (value.originDb ?? key[0]) === originDb) out.push({ delta: false, key });
      }
      return out;
    }
    for (const { key, value } of this.deltas.all()) {
      const named = key[1] === chunk && key[2] === generation && key[3] === delta && (value.originDb ?? key[0]) === originDb;
      if (named) out.push({ delta: true, key });
    }
    return out;
  }

  // ---- jobs and user tables ---------------------------------------------------------------------------------

  /** The id that the next job gets at least. */
  get nextJobId(): number {
    return this.meta.get("next_job_id")?.number ?? 1;
  }

  /** A user table, made when it is not there; a definition with more fields replaces the one before. */
  userTable(definition: UserDefinition): UserTable {
    const { name } = definition.table;
    const there = this.userTables.get(name);
    if (there !== undefined && there.definition.version === definition.version) return there;
    if (there !== undefined && there.definition.version > definition.version) refuse("SCHEMA_TOO_NEW");
    const table: UserTable = there === undefined
      ? { incarnation: ++this.incarnations, definition, rows: new Rows(this.undo) }
      : { ...there, definition };
    this.userTables.set(name, table);
    this.undo.push({ back: () => void (there === undefined ? this.userTables.delete(name) : this.userTables.set(name, there)) });
    return table;
  }
}

function stateOf({ held, named, condemned }: ObjectFacts, strong: number): ObjectState {
  if (strong + held > 0) return "live";
  if (condemned) return "condemned";
  return named ? "collectable" : "unnamed";
}
