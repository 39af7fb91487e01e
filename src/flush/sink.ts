// What a flush is, and where its result goes.
//
// A sealed segment of a write-ahead log is flushed in two steps: its data become durable in chunks, which is the caller's work; then the sink remembers how far the log has been applied. Only behind the
// second one may the segment be called durable.

/** A sealed segment of a database's write-ahead log. Segment numbers and targets of one database grow together. */
export interface FlushSegment {
  /** Database id. */
  readonly db: number;
  /** Number of the segment. */
  readonly segment: number;
  /** Its last log sequence number: with this segment and those before it in the chunks, everything up to here is. */
  readonly target: number;
}

/** A segment whose data are durable in chunks. */
export interface FlushRequest extends FlushSegment {
  /** Aborted when nobody waits for the result any more. */
  readonly signal?: AbortSignal;
}

/** Remembers how far logs have been applied. */
export interface FlushSink {
  /**
   * Remembers that everything up to the target is in the chunks. Resolves when that is durable, and not before; never goes back. May be called again for the same segment, also when an earlier call has
   * failed or was given up although it was done.
   */
  apply(request: FlushRequest): Promise<void>;
  /** Remembers that flushes of a database fail since `at`, milliseconds since 1970, unless that is remembered already. The next `apply` ends it. */
  recordFailure?(db: number, at: number, signal?: AbortSignal): Promise<void>;
}
