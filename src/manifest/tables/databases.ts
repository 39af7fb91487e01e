// Table "db": the databases that the manifest speaks about.
import {
  bool,
  defineTable,
  enumOf,
  fixedBytes,
  list,
  optional,
  record,
  type Table,
  text,
  timestamp,
  u16,
  u53,
  union,
} from "../../schema/schema.ts";

/** How a database's data is kept. */
export interface DatabaseOptions {
  /** Folder of its write-ahead log. */
  walDir?: string;
  /** Folder of its chunks. */
  chunkDir?: string;
  /** How chunks are compressed. */
  compression: "none" | "zstd";
  /** How chunks are encrypted. */
  encryption: "none" | "aes-256-gcm";
  /** Keeps all generations, or the newest `count`. */
  retention: { keep: "all" } | { keep: "generations"; count: number };
  /** Free labels. */
  labels?: string[];
}

/** Whether a database takes writes, is being emptied, or is gone. */
export type DatabaseStatus = { state: "active" } | { state: "draining" } | { state: "tombstoned"; at: number };

/** What the manifest knows of a database. */
export interface Database {
  /** Its name. */
  name: string;
  /** Milliseconds since 1970. */
  createdAt: number;
  /** Shards of its write-ahead log. */
  walShards: number;
  /** How its data is kept. */
  options: DatabaseOptions;
  /** Its status. */
  status: DatabaseStatus;
  /** Hash of its configuration, 32 bytes. */
  configHash?: Uint8Array;
  /** The database that it was forked from; kept by the engine. */
  forkOf?: number;
  /** Whether chunks or deltas of it name objects that another database wrote; kept by the engine. */
  foreign?: boolean;
}

/** What `putDb` takes: everything but the name has a default. */
export interface DatabaseInput {
  /** Its name. */
  name: string;
  /** Default: now. */
  createdAt?: number;
  /** Default 1. */
  walShards?: number;
  /** Defaults: no compression, no encryption, all generations kept. */
  options?: Partial<DatabaseOptions>;
  /** Default: active. */
  status?: DatabaseStatus;
  /** Default: none. */
  configHash?: Uint8Array;
}

/** Key: database id. */
export const databases: Table<[db: number], Database> = defineTable({
  name: "db",
  key: [u53("db")],
  value: {
    name: text(),
    createdAt: timestamp(),
    walShards: u16(),
    options: record({
      compression: enumOf("none", "zstd"),
      encryption: enumOf("none", "aes-256-gcm"),
      retention: union("keep", { all: {}, generations: { count: u53() } }),
      walDir: optional(text()),
      chunkDir: optional(text()),
      labels: optional(list(text())),
    }),
    status: union("state", { active: {}, draining: {}, tombstoned: { at: timestamp() } }),
    configHash: optional(fixedBytes(32)),
    forkOf: optional(u53()),
    foreign: optional(bool()),
  },
});

const ALL = { keep: "all" } as const;
const ACTIVE = { state: "active" } as const;

/** The whole record behind an input; `kept` holds what the engine keeps. */
export function databaseRecord(input: DatabaseInput, now: number, kept: Pick<Database, "forkOf" | "foreign"> | undefined): Database {
  const options = input.options;
  return {
    name: input.name,
    createdAt: input.createdAt ?? now,
    walShards: input.walShards ?? 1,
    options: {
      compression: options?.compression ?? "none",
      encryption: options?.encryption ?? "none",
      retention: options?.retention ?? ALL,
      walDir: options?.walDir,
      chunkDir: options?.chunkDir,
      labels: options?.labels,
    },
    status: input.status ?? ACTIVE,
    configHash: input.configHash,
    forkOf: kept?.forkOf,
    foreign: kept?.foreign,
  };
}
