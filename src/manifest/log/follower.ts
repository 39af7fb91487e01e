// Followers: a consumer of the change log as a loop that never ends by itself.
//
// Asking for the next change says that the one before is done. What is done is acknowledged behind the consumer's back: one acknowledgement is on its way at a time, and the next covers everything done
// meanwhile. However the loop ends, what was done is acknowledged before the end is told; the change handed out last is not, so a consumer that dies with it gets it again.
import type { OptionNames } from "../../arguments.ts";
import { isManifestError, ManifestError } from "../../errors.ts";
import type { Change } from "./change.ts";
import { type ChangeCursors, CURSOR_OPTIONS, type CursorOptions } from "./change_cursor.ts";
import { abortedError } from "./waiters.ts";
import type { Watch } from "./watch.ts";

/** How to follow the change log. */
export interface FollowOptions extends CursorOptions {
  /** Ends it with ABORTED, also while it waits. */
  signal?: AbortSignal;
  /** Changes fetched at a time. Default 100. */
  pageSize?: number;
}

/** The names of all options. */
export const FOLLOW_OPTIONS: OptionNames<FollowOptions> = { ...CURSOR_OPTIONS, signal: true, pageSize: true };

/** A loop over the change log that never ends by itself. */
export interface ChangeFollower extends AsyncIterableIterator<Change>, AsyncDisposable {
  /** The next change; the one before is done. */
  next(): Promise<IteratorResult<Change>>;
  /** Ends it: resolves when what is done is acknowledged. The change handed out last is not done. */
  return(): Promise<IteratorResult<Change>>;
  /** The same with an error of the consumer. */
  throw(error: unknown): Promise<IteratorResult<Change>>;
}

/** What a follower needs of its manifest. */
export interface FollowHost {
  readonly cursors: ChangeCursors;
  readonly watch: Watch;
  /** Whether the queue of commits has room. */
  hasRoom(): boolean;
  /** Begins and ends: the manifest tells those who are under way that it is closed. */
  readonly followers: Set<Follower>;
}

const ACTION = "follow the change log";
const END: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** The loop of one consumer. Made by `Manifest.follow`. */
export class Follower implements ChangeFollower {
  readonly #host: FollowHost;
  readonly #name: string;
  readonly #options: FollowOptions;
  readonly #pageSize: number;
  /** Ends waiting: the caller's signal, `return`, or the manifest's end. */
  readonly #stop = new AbortController();
  #unlisten: (() => void) | undefined;
  /** Calls come one behind the other. */
  #tail: Promise<unknown> = Promise.resolve();
  #cursorId: number | undefined;
  #page: readonly Change[] = [];
  #at = 0;
  /** The next change to fetch. */
  #next = 0;
  /** The change handed out last; 0 = none. */
  #given = 0;
  /** Everything before this is done, and acknowledged. */
  #done = 0;
  #acknowledged = 0;
  #sending: Promise<void> | undefined;
  /** Why acknowledging has ended. */
  #failure: unknown;
  #ended = false;
  #returned = false;
  #closed: ManifestError | undefined;

  constructor(host: FollowHost, name: string, pageSize: number, options: FollowOptions) {
    this.#host = host;
    this.#name = name;
    this.#pageSize = pageSize;
    this.#options = options;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next change; the one before is done. */
  next(): Promise<IteratorResult<Change>> {
    return this.#queue(() => this.#step());
  }

  /** Ends it: resolves when what is done is acknowledged. The change handed out last is not done. */
  return(): Promise<IteratorResult<Change>> {
    this.#returned = true;
    this.#stop.abort();
    return this.#queue(async () => {
      await this.#finish(true);
      return END;
    });
  }

  /** The same with an error of the consumer. */
  throw(error: unknown): Promise<IteratorResult<Change>> {
    this.#returned = true;
    this.#stop.abort();
    return this.#queue(async () => {
      await this.#finish(false);
      throw error;
    });
  }

  /** The same as `return`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** The manifest is about to close: what is done is handed to the queue at once. */
  close(error: ManifestError): void {
    this.#closed = error;
    const upTo = this.#done;
    if (this.#cursorId !== undefined && this.#acknowledged < upTo && this.#failure === undefined) {
      const before = this.#sending;
      const last = this.#host.cursors.move(this.#cursorId, upTo).then(() => void (this.#acknowledged = upTo), (failure) => {
        this.#failure ??= failure;
      });
      this.#sending = Promise.all([before, last]).then(() => {});
    }
    this.#stop.abort();
  }

  /** A cursor has been unregistered: a follower of it ends with CURSOR_UNKNOWN, also while it waits. */
  unregistered(cursorId: number): void {
    if (cursorId !== this.#cursorId || this.#ended) return;
    this.#failure ??= new ManifestError("CURSOR_UNKNOWN", `Cannot ${ACTION}: its cursor has been unregistered`, { detail: { cursorId } });
    this.#stop.abort();
  }

  #queue<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(step);
    this.#tail = result.catch(() => {});
    return result;
  }

  async #step(): Promise<IteratorResult<Change>> {
    if (this.#ended) return END;
    try {
      if (this.#given > 0) {
        this.#done = this.#given + 1;
        this.#given = 0;
        this.#send();
      }
      this.#check();
      if (this.#cursorId === undefined) await this.#register();
      while (this.#at === this.#page.length) await this.#fetch();
      const change = this.#page[this.#at++]!;
      this.#given = change.sequence;
      this.#next = change.sequence + 1;
      return { done: false, value: change };
    } catch (error) {
      await this.#finish(false);
      if (this.#returned) return END;
      throw this.#reason(error);
    }
  }

  /** Why it ends: the first reason counts. */
  #reason(error: unknown): unknown {
    if (this.#closed !== undefined) return this.#closed;
    const { signal } = this.#options;
    if (signal?.aborted === true) return abortedError(ACTION, signal);
    return this.#failure ?? error;
  }

  #check(): void {
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#failure !== undefined) throw this.#failure;
    const { signal } = this.#options;
    if (signal?.aborted === true) throw abortedError(ACTION, signal);
    if (this.#returned) throw new ManifestError("ABORTED", `Cannot ${ACTION}: the consumer has ended it`);
  }

  async #register(): Promise<void> {
    const { signal, start, maxLag } = this.#options;
    if (signal !== undefined) {
      const abort = (): void => this.#stop.abort();
      signal.addEventListener("abort", abort, { once: true });
      this.#unlisten = () => signal.removeEventListener("abort", abort);
    }
    this.#host.followers.add(this);
    const { id, nextSequence, gap, oldestSequence, latestSequence } = await this.#host.cursors.register(this.#name, { start, maxLag });
    this.#check();
    this.#cursorId = id;
    this.#next = this.#done = this.#acknowledged = nextSequence;
    if (gap === undefined) return;
    throw new ManifestError(
      "CURSOR_TRUNCATED",
      `Cannot ${ACTION} from ${gap.first}: it begins at ${oldestSequence}, where the cursor stands now`,
      { detail: { cursorId: id, nextSequence: gap.first, oldestSequence, latestSequence } },
    );
  }

  async #fetch(): Promise<void> {
    const { cursors, watch } = this.#host;
    this.#check();
    this.#page = cursors.pageFrom(this.#cursorId!, this.#next, this.#pageSize);
    this.#at = 0;
    if (this.#page.length === 0) await watch.waitForChange(this.#next - 1, { signal: this.#stop.signal });
  }

  // ---- acknowledging ----------------------------------------------------------------------------------------

  #send(): void {
    if (this.#sending !== undefined || this.#failure !== undefined || this.#closed !== undefined) return;
    if (this.#acknowledged >= this.#done) return;
    this.#sending = this.#acknowledge(this.#done).finally(() => {
      this.#sending = undefined;
      this.#send();
    });
  }

  async #acknowledge(upTo: number): Promise<void> {
    const { cursors, watch, hasRoom } = this.#host;
    try {
      await cursors.move(this.#cursorId!, upTo);
      this.#acknowledged = upTo;
    } catch (error) {
      // A full queue is no failure: it is sent again when there is room.
      if (isManifestError(error) && error.code === "UNAVAILABLE" && !hasRoom()) {
        await watch.ready({}).catch((failure) => void (this.#failure ??= failure));
      } else this.#failure ??= error;
    }
  }

  /** Ends it when everything done is acknowledged, or cannot be; `tell`: throws why it cannot. */
  async #finish(tell: boolean): Promise<void> {
    const first = !this.#ended;
    this.#ended = true;
    this.#page = [];
    this.#at = this.#given = 0;
    // Behind the one on its way there may be another.
    while (this.#sending !== undefined && this.#closed === undefined) await this.#sending;
    await this.#sending;
    this.#host.followers.delete(this);
    this.#unlisten?.();
    this.#unlisten = undefined;
    if (tell && first && this.#acknowledged < this.#done) throw this.#failure ?? this.#closed;
  }
}
