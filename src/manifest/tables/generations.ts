// Table "generation_watermarks": the current generation of each component.
import { defineTable, type Table, timestamp, u53 } from "../../schema/schema.ts";

/** The current generation of a component. */
export interface GenerationRecord {
  /** The generation: it only rises. */
  generation: number;
  /** When it last rose, milliseconds since 1970. */
  updatedAt: number;
}

/** Key: component id. */
export const generations: Table<[component: number], GenerationRecord> = defineTable({
  name: "generation_watermarks",
  key: [u53("component")],
  value: { generation: u53(), updatedAt: timestamp() },
});
