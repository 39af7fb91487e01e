// What the shapes of the model of a manifest must come across together: every operation, error, transition and kind of opening.
import { OPERATION_NAMES } from "../../../src/manifest/write/operation.ts";
import { ACKNOWLEDGE } from "./cursors.ts";
import { JOB_WAYS } from "./jobs.ts";

/** Operations as transactions have them; a change shows all of them but `createDb` and `acknowledge`. */
const OPERATIONS: readonly string[] = [...OPERATION_NAMES, "delete", "deleteRange", "createDb", ACKNOWLEDGE];

/** Ways of stored objects between two transactions. */
const OBJECT_WAYS = [
  "none to unnamed",
  "none to live",
  "none to collectable",
  "unnamed to live",
  "unnamed to collectable",
  "unnamed to condemned",
  "live to collectable",
  "live to unnamed",
  "collectable to live",
  "collectable to unnamed",
  "collectable to condemned",
  "condemned to none",
];

/** Codes that a caller of a sound manifest can meet. */
const CODES = [
  "ABORTED",
  "CALLBACK_FAILED",
  "CURSOR_UNKNOWN",
  "EXISTS",
  "HANDLE_CLOSED",
  "ILLEGAL_TRANSITION",
  "INVALID_ARGUMENT",
  "LIMIT",
  "NOT_FOUND",
  "OBJECT_CONDEMNED",
  "READ_ONLY",
  "REFCOUNT_UNDERFLOW",
  "SCHEMA_MISMATCH",
  "SCHEMA_TOO_NEW",
  "TABLE_UNKNOWN",
  "TXN_CLOSED",
];

/** What else there is. */
const EVENTS = [
  "open created",
  "open clean",
  "open crash",
  "open read-only",
  "commits taken back",
  "group replayed",
  "checkpoint",
  "page read",
  "condemned behind a clean",
  "condemned behind a crash",
  "requeued by opening",
  "left under way by opening",
  "requeue",
  "requeue of nothing",
  "reserved job id",
  "reclaim done",
  "reclaim fails before",
  "reclaim fails behind",
  "deleted again",
  "reclaim of all",
  "reclaim of nothing",
  "reclaim up to the limit",
  "reclaim with catalog rows",
  "commit within a reclaim",
  "crash within a reclaim",
  "cursor from oldest",
  "cursor from latest",
  "cursor from a sequence",
  "cursor with a gap",
  "cursor registered again",
  "cursor ended",
  "acknowledge",
  "acknowledge that goes back",
  "log cut for cursors",
  "log cut by retention",
  "unreadable change",
  "group of transactions",
  "read between commits",
  "read transaction",
  "commit of nothing",
  "resolve applied",
  "resolve not_applied",
  "table made",
  "table made again",
  "table with more fields",
  "table dropped",
  "comparison of everything",
  "deep check",
];

/** Everything, by the names that runs count under. */
export const COVERAGE: readonly string[] = [
  ...OPERATIONS.map((name) => `operation ${name}`),
  ...OPERATIONS.filter((name) => name !== "createDb" && name !== ACKNOWLEDGE).map((name) => `shown ${name}`),
  ...OPERATIONS.map((name) => `rejected ${name}`),
  ...CODES.map((code) => `code ${code}`),
  ...OBJECT_WAYS.map((way) => `object ${way}`),
  ...JOB_WAYS,
  ...EVENTS,
];
