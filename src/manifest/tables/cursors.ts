// Table "change_cursors": how far each consumer of the change log has come.
import { defineTable, optional, type Table, text, timestamp, u53 } from "../../schema/schema.ts";

/** A change cursor as it is stored. */
export interface CursorRecord {
  /** Its name. */
  name: string;
  /** Every change before this sequence is done. */
  next: number;
  /** When it was registered, milliseconds since 1970. */
  createdAt: number;
  /** When it last moved, milliseconds since 1970. */
  updatedAt: number;
  /** The log is kept for at most so many changes before it. */
  maxLag?: number;
}

/** Key: cursor id. Ids are never reused. */
export const cursors: Table<[cursor: number], CursorRecord> = defineTable({
  name: "change_cursors",
  key: [u53("cursor")],
  value: { name: text(), next: u53(), createdAt: timestamp(), updatedAt: timestamp(), maxLag: optional(u53()) },
});
