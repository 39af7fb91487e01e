// Operations on snapshots: each counts, or releases, the objects in its row.
import { fail, failType } from "../../errors.ts";
import { type OperationKind, tagOf } from "../operation.ts";
import type { Staging } from "../staging.ts";
import { type Snapshot, type SnapshotChunk, type SnapshotInput, snapshots } from "../tables/snapshots.ts";
import { chunkOf, pairOf } from "./chunks.ts";
import { requireDatabase } from "./databases.ts";

/** A snapshot as the transaction has left it. */
function snapshotOf(staging: Staging, db: number, snapshot: number): Snapshot | undefined {
  const pending = staging.many ? staging.pending(snapshots).get(db, snapshot) : undefined;
  if (pending !== undefined) return pending ?? undefined;
  return staging.reader(snapshots).get([db, snapshot]) as Snapshot | undefined;
}

/** Publishes a snapshot: counts the object that each listed chunk has now. Over an existing one, its list is released in the same commit. */
export const PUBLISH_SNAPSHOT: OperationKind = {
  name: "publishSnapshot",
  tag: tagOf("publishSnapshot"),
  stage(staging, _table, key, value) {
    const [db, id] = pairOf(snapshots.name, key);
    const input = value as SnapshotInput;
    if (typeof input !== "object" || input === null || !Array.isArray(input.chunks)) {
      failType('Cannot publish a snapshot: field "chunks" is not an array', { table: snapshots.name, field: "chunks" });
    }
    requireDatabase(staging, db, "publish a snapshot");
    const before = snapshotOf(staging, db, id);
    const { refcounts } = staging;
    const seen = new Set<number>();
    const listed: SnapshotChunk[] = [];
    for (const item of input.chunks as SnapshotInput["chunks"]) {
      const chunkId = item?.chunkId;
      if (typeof chunkId !== "number") {
        failType('Cannot publish a snapshot: field "chunks[].chunkId" is not a number', {
          table: snapshots.name,
          field: "chunks[].chunkId",
        });
      }
      if (seen.has(chunkId)) failType(`Cannot publish a snapshot: chunk ${chunkId} is listed twice`, { table: snapshots.name, chunkId });
      seen.add(chunkId);
      const chunk = chunkOf(staging, db, chunkId);
      if (chunk === undefined) {
        fail("NOT_FOUND", `Cannot publish a snapshot: database ${db} has no chunk ${chunkId}`, {
          detail: { table: snapshots.name, field: "chunks[].chunkId", db, chunkId },
        });
      }
      const entry: SnapshotChunk = {
        chunkId,
        originDb: chunk.originDb ?? db,
        generation: chunk.generation,
        deltaId: undefined,
        baseChunkId: undefined,
      };
      refcounts.increment(entry);
      listed.push(entry);
    }
    if (before !== undefined) { for (const object of before.chunks) refcounts.decrement(object); }
    const snapshot: Snapshot = { createdAt: input.createdAt ?? staging.now, sourceGeneration: input.sourceGeneration ?? 0, chunks: listed };
    staging.put(staging.bind(snapshots), key, snapshot, this.tag, false);
    if (staging.many) staging.pending(snapshots).set(db, id, snapshot);
  },
};

/** Drops a snapshot: releases the objects that it counted. NOT_FOUND when there is none. */
export const DROP_SNAPSHOT: OperationKind = {
  name: "dropSnapshot",
  tag: tagOf("dropSnapshot"),
  stage(staging, _table, key) {
    const [db, id] = pairOf(snapshots.name, key);
    const snapshot = snapshotOf(staging, db, id);
    if (snapshot === undefined) {
      fail("NOT_FOUND", `Cannot drop a snapshot: database ${db} has no snapshot ${id}`, {
        detail: { table: snapshots.name, db, snapshot: id },
      });
    }
    for (const object of snapshot.chunks) staging.refcounts.decrement(object);
    staging.delete(staging.bind(snapshots), key, this.tag, false);
    if (staging.many) staging.pending(snapshots).set(db, id, null);
  },
};
