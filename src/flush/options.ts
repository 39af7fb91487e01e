// How a flush controller is made, and what it tells.
import { type OptionNames, takeOptions } from "../arguments.ts";
import { failType, type ManifestErrorFields } from "../errors.ts";
import { type Environment, systemEnvironment } from "../store/environment.ts";
import { checkFunction, checkObject, checkTime, checkWhole } from "./check.ts";
import type { FlushSegment, FlushSink } from "./sink.ts";

/** Makes a segment's data durable in chunks. It may be called again for the same segment, and stops when the signal is aborted. */
export type FlushFunction<S extends FlushSegment = FlushSegment> = (segment: S, signal: AbortSignal) => void | Promise<void>;

/** How a {@linkcode FlushController} is made. */
export interface FlushControllerOptions<S extends FlushSegment = FlushSegment> {
  /** Makes a segment's data durable. */
  flush: FlushFunction<S>;
  /** Remembers how far logs have been applied. */
  sink: FlushSink;
  /** How many segments may wait beside those that `concurrency` allows to be under way. Default 64. */
  queueCapacity?: number;
  /** How many calls of `flush` run at once, for all databases together. Default 2. */
  concurrency?: number;
  /** How often `flush`, and then the sink, is tried again when it has failed. Default 5. */
  retries?: number;
  /** Milliseconds before the first retry; each further one waits twice as long as the one before. Default 10. */
  backoffMs?: number;
  /** The most milliseconds before a retry. Default 1,000. */
  backoffMaxMs?: number;
  /** Milliseconds after which one call of `flush` or of the sink is given up and counts as failed. Default: never. */
  timeoutMs?: number;
  /** Is told what happens. What it throws is ignored. */
  onEvent?: (event: FlushEvent) => void;
  /** Clock and timers. Default: those of the platform. */
  environment?: Environment;
}

/** The two steps of a flush. */
export type FlushStage = "flush" | "sink";

/** What happens in a {@linkcode FlushController}. */
export type FlushEvent =
  & FlushSegment
  & (
    | {
      /** A step failed and is tried again. */
      readonly type: "retry";
      /** The step. */
      readonly stage: FlushStage;
      /** How often it has been tried. */
      readonly attempt: number;
      /** Milliseconds until it is tried again. */
      readonly delayMs: number;
      /** Why it failed. */
      readonly error: unknown;
    }
    | {
      /** The segment is durable. */
      readonly type: "durable";
    }
    | {
      /** The segment was not flushed: it failed, or was called off. */
      readonly type: "failed" | "aborted";
      /** What `enqueue` rejects with. */
      readonly error: ManifestErrorFields;
    }
    | {
      /** The sink could not remember the failure either. */
      readonly type: "unrecorded";
      /** Why not. */
      readonly error: unknown;
    }
  );

/** Options with their defaults. */
export type ResolvedOptions<S extends FlushSegment> = Required<Omit<FlushControllerOptions<S>, "timeoutMs" | "onEvent">> & {
  readonly timeoutMs: number | undefined;
  readonly onEvent: ((event: FlushEvent) => void) | undefined;
};

const NAMES: OptionNames<FlushControllerOptions> = {
  flush: true,
  sink: true,
  queueCapacity: true,
  concurrency: true,
  retries: true,
  backoffMs: true,
  backoffMaxMs: true,
  timeoutMs: true,
  onEvent: true,
  environment: true,
};

/** Checks options and fills in the defaults. */
export function resolveOptions<S extends FlushSegment>(options: FlushControllerOptions<S>): ResolvedOptions<S> {
  const action = "make a flush controller";
  if (options === undefined) failType(`Cannot ${action}: the options are not an object`);
  const taken = takeOptions<FlushControllerOptions<S>>(options, NAMES, action);
  const { flush, sink, queueCapacity = 64, concurrency = 2, retries = 5, backoffMs = 10, backoffMaxMs = 1000, timeoutMs, onEvent } = taken;
  const { environment = systemEnvironment } = taken;
  checkFunction(action, "flush", flush);
  checkObject(action, "the sink", sink);
  checkFunction(action, "sink.apply", sink.apply);
  if (sink.recordFailure !== undefined) checkFunction(action, "sink.recordFailure", sink.recordFailure);
  checkWhole(action, "queueCapacity", queueCapacity);
  checkWhole(action, "concurrency", concurrency, 1);
  checkWhole(action, "retries", retries);
  checkTime(action, "backoffMs", backoffMs);
  checkTime(action, "backoffMaxMs", backoffMaxMs);
  if (timeoutMs !== undefined) checkTime(action, "timeoutMs", timeoutMs, 1);
  if (onEvent !== undefined) checkFunction(action, "onEvent", onEvent);
  checkObject(action, "the environment", environment);
  return { flush, sink, queueCapacity, concurrency, retries, backoffMs, backoffMaxMs, timeoutMs, onEvent, environment };
}
