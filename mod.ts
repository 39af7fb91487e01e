/**
 * Waybill: the crash-safe source of truth that a storage system keeps about itself, in one file.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * await manifest.begin()
 *   .putDb(1, { name: "events" })
 *   .upsertChunk([1, 42], { fileName: "c-42.seg", generation: 7, sizeBytes: 1 << 20 })
 *   .publishSnapshot([1, 1], { sourceGeneration: 7, chunks: [{ chunkId: 42 }] })
 *   .commit();
 * for (const [[, chunk], { fileName }] of manifest.listChunks(1)) console.log(chunk, fileName);
 * ```
 *
 * @module
 */
export { type DurabilityReport, Manifest, type ManifestStats, type TableSummary } from "./src/manifest/manifest.ts";
export type { ManifestOptions } from "./src/manifest/options.ts";
export type { CommitReceipt } from "./src/manifest/write/receipt.ts";
export type { TransactOptions, TransactResult } from "./src/manifest/transact/transact.ts";
export { Savepoint, Transaction } from "./src/manifest/transact/transaction.ts";
export { type CommitOptions, ManifestTxn, type TxnOptions } from "./src/manifest/write/txn.ts";
export { OperationBuilder } from "./src/manifest/write/operation_builder.ts";
export type { KernelModule } from "./src/kernel/loader.ts";
export { ReadTransaction } from "./src/manifest/read/read_transaction.ts";
export { type CollectableObject, type JobFilter, type ListOptions, type QueuedJob, Reader } from "./src/manifest/read/reader.ts";
export { Range, type RangeOptions } from "./src/manifest/read/range.ts";
export type { KeyBound, Position, RangeBounds } from "./src/manifest/read/bounds.ts";
export type { Change, Generations } from "./src/manifest/log/change.ts";
export type { ChangeOperation, RowDeleted, RowPut, UnreadableOperation } from "./src/manifest/log/change_operation.ts";
export type { ChangeCursor, ChangePage, CursorOptions, CursorStart } from "./src/manifest/log/change_cursor.ts";
export type { ChangesOptions } from "./src/manifest/log/changes.ts";
export type { ChangeFollower, FollowOptions } from "./src/manifest/log/follower.ts";
export {
  ChangeCache,
  type ChangeCacheId,
  type ChangeCacheKey,
  type ChangeCacheMetrics,
  type ChangeCacheObserver,
  type ChangeCacheOptions,
} from "./src/manifest/log/change_cache.ts";
export type { WaitOptions } from "./src/manifest/log/waiters.ts";
export type {
  CheckpointEvent,
  ClockBackwardsEvent,
  ClosedEvent,
  CompactedEvent,
  CursorLaggingEvent,
  CursorTruncatedEvent,
  EventListener,
  ManifestEvent,
  RecoveredEvent,
  WriteFailedEvent,
} from "./src/manifest/events.ts";
export type { Diagnostics } from "./src/manifest/diagnostics.ts";
export { changeLog } from "./src/manifest/tables/change_log.ts";
export { type PendingBatch, pendingBatches } from "./src/manifest/tables/pending_batches.ts";
export { type RuntimeState, runtimeStates } from "./src/manifest/tables/runtime_state.ts";
export type { LogRetention } from "./src/manifest/log/change_log.ts";
export type { DeleteObject, ReclaimOptions, ReclaimReport } from "./src/manifest/gc/reclaim.ts";
export { memoryStorage } from "./src/manifest/memory_storage.ts";

export {
  type Database,
  type DatabaseInput,
  type DatabaseOptions,
  databases,
  type DatabaseStatus,
} from "./src/manifest/tables/databases.ts";
export { type FlushGate, type WalState, type WalStateInput, walStates } from "./src/manifest/tables/wal_states.ts";
export { type Chunk, type ChunkInput, chunks } from "./src/manifest/tables/chunks.ts";
export { type ChunkDelta, type ChunkDeltaInput, chunkDeltas } from "./src/manifest/tables/chunk_deltas.ts";
export type { Residency } from "./src/manifest/tables/residency.ts";
export type { RemoteObject } from "./src/manifest/tables/remote_object.ts";
export { type Snapshot, type SnapshotChunk, type SnapshotInput, type SnapshotItem, snapshots } from "./src/manifest/tables/snapshots.ts";
export { type WalArtifact, type WalArtifactInput, type WalArtifactKind, walArtifacts } from "./src/manifest/tables/wal_artifacts.ts";
export {
  type Job,
  type JobIndexEntry,
  type JobInput,
  type JobKind,
  type JobPayload,
  jobs,
  type JobState,
  type JobStateInput,
  type JobStateName,
  jobStates,
  pendingJobs,
} from "./src/manifest/tables/jobs.ts";
export { type Metric, type MetricInput, metrics } from "./src/manifest/tables/metrics.ts";
export { type GenerationRecord, generations } from "./src/manifest/tables/generations.ts";
export {
  type Collectable,
  collectable,
  type ObjectState,
  type Refcount,
  refcounts,
  type StoredObject,
} from "./src/manifest/tables/refcounts.ts";
export { type RemoteNamespace, type RemoteNamespaceInput, remoteNamespaces } from "./src/manifest/tables/remote_namespaces.ts";
export { type CursorRecord, cursors } from "./src/manifest/tables/cursors.ts";
export { meta, type MetaRecord } from "./src/manifest/tables/meta.ts";

export * from "./src/schema/schema.ts";
export type { Flat, OptionalNames, ScalarBuilder } from "./src/schema/field.ts";
export type { Member, ScalarName, Type, Variant } from "./src/schema/type.ts";

export type {
  CheckProblem,
  CheckReport,
  DurabilityMode,
  ReaderStats,
  RecoveryReport,
  Resolution,
  StoreOptions,
  StoreStats,
  SyncMode,
} from "./src/store/store.ts";
export { type Environment, systemEnvironment, type Timer } from "./src/store/environment.ts";
export type { Durability, LockHolder, LockRequest, LockStrength, Storage, StorageLock } from "./src/storage/storage.ts";
export {
  ArgumentRangeError,
  ArgumentTypeError,
  ERROR_CODES,
  type ErrorCode,
  type ErrorDetail,
  type ErrorHandle,
  type ErrorJson,
  type ErrorKind,
  type ErrorOptions,
  type ErrorOutcome,
  isManifestError,
  ManifestError,
  type ManifestErrorFields,
} from "./src/errors.ts";
