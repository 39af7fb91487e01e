// The user tables of the model: definitions, one of which grows by an optional field, and one that does not fit its name.
import { bytes, defineTable, f64, optional, type Table, text, u53 } from "../../../mod.ts";

/** A row of any of them. */
export type UserRow = Record<string, unknown>;

/** A definition with what its keys look like. */
export interface UserDefinition {
  readonly table: Table<(number | string)[], UserRow>;
  /** Whether keys have a number before their text. */
  readonly pairs: boolean;
  /** Counts the definitions of one name: a later one has more fields. */
  readonly version: number;
}

const any = (table: unknown): UserDefinition["table"] => table as UserDefinition["table"];

const GROWING = { n: u53(), note: optional(text()) };

/** What the program may use. The last two share a name. */
export const USER_DEFINITIONS: readonly UserDefinition[] = [
  {
    table: any(defineTable({ name: "owners", key: [u53("db"), text("path")], value: { n: u53(), note: optional(text()) } })),
    pairs: true,
    version: 1,
  },
  { table: any(defineTable({ name: "blobs", key: [text("name")], value: { data: bytes() } })), pairs: false, version: 1 },
  { table: any(defineTable({ name: "scores", key: [u53("db"), text("player")], value: { score: f64() } })), pairs: true, version: 1 },
  { table: any(defineTable({ name: "growing", key: [text("name")], value: GROWING })), pairs: false, version: 1 },
  {
    table: any(defineTable({ name: "growing", key: [text("name")], value: { ...GROWING, more: optional(u53()) } })),
    pairs: false,
    version: 2,
  },
];

/** Has the name of another one and does not fit it. */
export const MISFIT: UserDefinition["table"] = any(defineTable({ name: "owners", key: [text("path")], value: { n: u53() } }));
