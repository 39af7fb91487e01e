// What the source document and its code have, and what the test list asks for: the parity page must name all of it.

/** Tables. */
export const SOURCE_TABLES: readonly string[] = [
  "db",
  "wal_state",
  "chunk_catalog",
  "chunk_delta_index",
  "snapshot_index",
  "wal_catalog",
  "job_queue",
  "job_pending_index",
  "metrics",
  "generation_watermarks",
  "gc_refcounts",
  "remote_namespaces",
  "change_log",
  "change_cursors",
  "pending_batches",
  "runtime_state",
];

/** Operations: the 21 that the code has. */
export const SOURCE_OPERATIONS: readonly string[] = [
  "PutDb",
  "DeleteDb",
  "PutWalState",
  "DeleteWalState",
  "UpsertChunk",
  "DeleteChunk",
  "UpsertChunkDelta",
  "DeleteChunkDelta",
  "PublishSnapshot",
  "DropSnapshot",
  "UpsertWalArtifact",
  "DeleteWalArtifact",
  "PutJob",
  "UpdateJobState",
  "RemoveJob",
  "UpsertPendingJob",
  "DeletePendingJob",
  "MergeMetric",
  "AdjustRefcount",
  "BumpGeneration",
  "PersistJobCounter",
];

/** Methods of the transaction that are an operation each. */
export const SOURCE_TXN_METHODS: readonly string[] = [
  "put_db",
  "delete_db",
  "put_wal_state",
  "delete_wal_state",
  "upsert_chunk",
  "delete_chunk",
  "upsert_chunk_delta",
  "delete_chunk_delta",
  "publish_snapshot",
  "drop_snapshot",
  "register_wal_artifact",
  "remove_wal_artifact",
  "update_job_state",
  "remove_job",
  "upsert_pending_job",
  "delete_pending_job",
  "merge_metric",
  "adjust_refcount",
  "bump_generation",
];

/** Methods of the manifest and the others of the transaction. */
export const SOURCE_METHODS: readonly string[] = [
  "open",
  "begin",
  "begin_with_capacity",
  "commit",
  "enqueue_job",
  "register_change_cursor",
  "acknowledge_changes",
  "fetch_change_page",
  "wait_for_change",
  "latest_change_sequence",
  "wait_for_generation",
  "current_generation",
  "fork_db",
  "reserve_job_id",
  "wal_artifacts",
  "wal_state",
  "list_dbs",
  "max_db_id",
  "diagnostics",
  "page_cache_metrics",
  "crash_detected",
  "runtime_state",
  "Drop",
  "apply_flush",
];

/** Options. */
export const SOURCE_OPTIONS: readonly string[] = [
  "map_size",
  "max_dbs",
  "queue_capacity",
  "commit_latency",
  "page_cache",
  "change_log_cache_object_id",
];

/** Errors. */
export const SOURCE_ERRORS: readonly string[] = [
  "Io",
  "Heed",
  "WorkerClosed",
  "WaitTimeout",
  "CommitFailed",
  "InvariantViolation",
  "CacheSerialization",
];

/** Items of the test list. */
export const ITEMS: readonly string[] = [
  ...["1", "2", "3", "4", "5", "6", "7", "8", "9", "13", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "29", "30", "31"],
  ...["36", "37", "38", "40", "41", "42", "43", "44", "45", "49"],
];

/** Defects of the original. */
export const DEFECTS: readonly string[] = Array.from({ length: 11 }, (_, i) => `2.7.${i + 1}`);

/** Kinds of bad input. */
export const BAD_INPUT = 9;
