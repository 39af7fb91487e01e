// How far work on files has come.

/** How far work on files has come. */
export interface FileProgress {
  /** What is being done: reading and syncing files, syncing directories, looking at files without reading them, deleting. */
  readonly step: "digest" | "sync" | "look" | "delete";
  /** Files done. */
  readonly files: number;
  /** Of so many. */
  readonly filesTotal: number;
  /** Bytes read. */
  readonly bytes: number;
  /** Of so many. */
  readonly bytesTotal: number;
}
