// Table "change_log": the change log as a table. Its rows are computed from the log: it can be read, never written.
import { defineTable, type Table, u53 } from "../../schema/schema.ts";
import type { Change } from "../log/change.ts";

/**
 * Key: sequence. The changes that a state holds, each as a consumer sees it. To follow the log use cursors, `changes` or `follow`: a scan of this table notices no gap. With relaxed durability it also
 * shows changes that are not durable yet.
 */
export const changeLog: Table<[sequence: number], Change> = defineTable({
  name: "change_log",
  key: [u53("sequence")],
  value: {},
}) as unknown as Table<[sequence: number], Change>;
