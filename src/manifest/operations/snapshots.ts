// Operations on snapshots: each counts, or releases, the objects in its row.
import { fail, failType } from "../../errors.ts";
import { type OperationKind, tagOf } from "../write/operation.ts";
import type { Staging } from "../write/staging.ts";
import { type Snapshot, type SnapshotChunk, type SnapshotInput, type SnapshotItem, snapshots } from "../tables/snapshots.ts";
import { chunkObjectOf, deltaOf } from "./chunks.ts";
import { componentsOf, requireDatabase, rowOf } from "./rows.ts";

const ACTION = "publish a snapshot";

/** A snapshot as the transaction has left it. */
function snapshotOf(staging: Staging, db: number, snapshot: number): Snapshot | undefined {
  return rowOf(staging, snapshots, db, snapshot, [db, snapshot]);
}

function checkNumber(item: SnapshotItem, field: "chunkId" | "deltaId" | "generation", needed: boolean): void {
  const value: unknown = item?.[field];
  if (typeof value === "number" || (value === undefined && !needed)) return;
  failType(`Cannot ${ACTION}: field "chunks[].${field}" is not a number`, { table: snapshots.name, field: `chunks[].${field}` });
}

function missing(db: number, what: string, detail: Record<string, unknown>): never {
  fail("NOT_FOUND", `Cannot ${ACTION}: database ${db} has no ${what}`, {
    detail: { table: snapshots.name, field: "chunks[].chunkId", db, ...detail },
  });
}

/** The object that an item of a snapshot stands for: the chunk's present one, or one of its deltas. */
function listed(staging: Staging, db: number, item: SnapshotItem): SnapshotChunk {
  const { chunkId, deltaId } = item;
  let { generation } = item;
  if (deltaId === undefined) {
    const chunk = chunkObjectOf(staging, db, chunkId);
    if (chunk === undefined) missing(db, `chunk ${chunkId}`, { chunkId });
    if (generation !== undefined && generation !== chunk.generation) {
      missing(db, `generation ${generation} of chunk ${chunkId}`, { chunkId, generation });
    }
    return { chunkId, originDb: chunk.originDb ?? db, generation: chunk.generation, deltaId: undefined, baseChunkId: undefined };
  }
  generation ??= chunkObjectOf(staging, db, chunkId)?.generation;
  if (generation === undefined) missing(db, `chunk ${chunkId}`, { chunkId });
  const delta = deltaOf(staging, [db, chunkId, generation, deltaId]);
  if (delta === undefined) missing(db, `delta ${deltaId} of chunk ${chunkId}`, { chunkId, generation, deltaId });
  return { chunkId, originDb: delta.originDb ?? db, generation, deltaId, baseChunkId: delta.baseChunkId ?? chunkId };
}

/** Publishes a snapshot: counts the object that each listed chunk has now, and the listed deltas. Over an existing one, its list is released in the same commit. */
export const PUBLISH_SNAPSHOT: OperationKind = {
  name: "publishSnapshot",
  tag: tagOf("publishSnapshot"),
  stage(staging, _table, key, value) {
    const [db, id] = componentsOf<[number, number]>(snapshots, key, 2);
    const input = value as SnapshotInput;
    if (typeof input !== "object" || input === null || !Array.isArray(input.chunks)) {
      failType(`Cannot ${ACTION}: field "chunks" is not an array`, { table: snapshots.name, field: "chunks" });
    }
    requireDatabase(staging, db, ACTION);
    const before = snapshotOf(staging, db, id);
    const { refcounts } = staging;
    const seen = new Set<number | string>();
    const list: SnapshotChunk[] = [];
    for (const item of input.chunks as SnapshotInput["chunks"]) {
      checkNumber(item, "chunkId", true);
      checkNumber(item, "deltaId", false);
      checkNumber(item, "generation", false);
      const entry = listed(staging, db, item);
      const name = entry.deltaId === undefined ? entry.chunkId : `${entry.chunkId}/${entry.generation}/${entry.deltaId}`;
      if (seen.has(name)) {
        failType(`Cannot ${ACTION}: chunk ${entry.chunkId} is listed twice`, { table: snapshots.name, chunkId: entry.chunkId });
      }
      seen.add(name);
      refcounts.increment(entry, ACTION);
      list.push(entry);
    }
    if (before !== undefined) { for (const object of before.chunks) refcounts.decrement(object); }
    const snapshot: Snapshot = { createdAt: input.createdAt ?? staging.now, sourceGeneration: input.sourceGeneration ?? 0, chunks: list };
    staging.put(staging.bind(snapshots), key, snapshot, this.tag, false);
    if (staging.many) staging.pending(snapshots).set(db, id, snapshot);
  },
};

/** Drops a snapshot: releases the objects that it counted. NOT_FOUND when there is none. */
export const DROP_SNAPSHOT: OperationKind = {
  name: "dropSnapshot",
  tag: tagOf("dropSnapshot"),
  stage(staging, _table, key) {
    const [db, id] = componentsOf<[number, number]>(snapshots, key, 2);
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
