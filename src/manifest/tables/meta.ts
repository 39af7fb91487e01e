// Table "meta": the manifest's own counters by name.
import { defineTable, optional, type Table, text, u53 } from "../../schema/schema.ts";

/** A fact about the manifest. */
export interface MetaRecord {
  /** Its value, when it is a number. */
  number?: number;
  /** Its value, when it is text. */
  text?: string;
}

/** The next cursor id. */
export const NEXT_CURSOR_ID = "next_cursor_id";

/** The id that the next job gets. */
export const NEXT_JOB_ID = "next_job_id";

/** Key: name. */
export const meta: Table<[name: string], MetaRecord> = defineTable({
  name: "meta",
  key: [text("name")],
  value: { number: optional(u53()), text: optional(text()) },
});
