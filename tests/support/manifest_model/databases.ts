// Operations on databases, as their documentation has them.
import type { Database, DatabaseInput } from "../../../mod.ts";
import type { ModelOperation } from "./operation.ts";
import { endWaitingJobs } from "./jobs.ts";
import type { Key, Rows } from "./rows.ts";
import { type ObjectKey, refuse, type State } from "./state.ts";

function put(state: State, db: number, input: DatabaseInput): void {
  const before = state.databases.get(db);
  const { options } = input;
  const row: Database = {
    name: input.name,
    createdAt: input.createdAt ?? state.now,
    walShards: input.walShards ?? 1,
    options: {
      compression: options?.compression ?? "none",
      encryption: options?.encryption ?? "none",
      retention: options?.retention ?? { keep: "all" },
      walDir: options?.walDir,
      chunkDir: options?.chunkDir,
      labels: options?.labels,
    },
    status: input.status ?? { state: "active" },
    configHash: input.configHash,
    forkOf: before?.forkOf,
    foreign: before?.foreign,
  };
  state.databases.set([db], row);
  state.show("putDb", "db", [db], row);
}

export function putDb(db: number, input: DatabaseInput): ModelOperation {
  return { name: "putDb", add: (txn) => txn.putDb(db, input), apply: (state) => put(state, db, input) };
}

export function createDb(db: number, input: DatabaseInput): ModelOperation {
  return {
    name: "createDb",
    add: (txn) => txn.createDb(db, input),
    apply(state) {
      if (state.databases.has(db)) refuse("EXISTS");
      put(state, db, input);
    },
  };
}

export function deleteDb(db: number): ModelOperation {
  return {
    name: "deleteDb",
    add: (txn) => txn.deleteDb(db),
    apply(state) {
      state.requireDb(db);
      for (const table of [state.databases, state.walStates, state.walArtifacts, state.chunks, state.deltas, state.snapshots]) {
        for (const { key } of table.of(db)) table.delete(...key);
      }
      endWaitingJobs(state, db);
      state.show("deleteDb", "db", [db]);
    },
  };
}

export function forkDb(source: number, target: number, input: Partial<DatabaseInput>): ModelOperation {
  return {
    name: "forkDb",
    add: (txn) => txn.forkDb(source, target, input),
    apply(state) {
      const from = state.requireDb(source);
      if (state.databases.has(target)) refuse("EXISTS");
      const row: Database = {
        name: input.name ?? from.name,
        createdAt: input.createdAt ?? state.now,
        walShards: input.walShards ?? from.walShards,
        options: { ...from.options, ...input.options },
        status: input.status ?? from.status,
        configHash: input.configHash ?? from.configHash,
        forkOf: source,
        foreign: true,
      };
      state.databases.set([target], row);
      state.show("forkDb", "db", [target], row);
      const copy = <V>(table: Rows<V>, change: (key: Key, value: V) => V): void => {
        for (const { key, value } of table.of(source)) table.set([target, ...key.slice(1)], change(key, value));
      };
      copy(state.walStates, (_key, value) => ({ ...value, flushGate: { lastSuccessAt: value.flushGate.lastSuccessAt } }));
      copy(state.walArtifacts, (_key, value) => value);
      copy(state.chunks, ([, chunk], value) => {
        const originDb = value.originDb ?? source;
        state.name([originDb, chunk as number, value.generation, -1], false);
        return { ...value, originDb };
      });
      copy(state.deltas, ([, chunk, generation, delta], value) => {
        const originDb = value.originDb ?? source;
        state.name([originDb, chunk, generation, delta] as unknown as ObjectKey, false);
        return { ...value, originDb };
      });
      copy(state.snapshots, (_key, value) => {
        for (const one of value.chunks) state.name([one.originDb, one.chunkId, one.generation, one.deltaId ?? -1], true);
        return value;
      });
    },
  };
}
