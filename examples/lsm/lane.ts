// Jobs one after the other.

/** Runs jobs in the order in which they were given. */
export class Lane {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs a job when all before it have ended, well or not. */
  run<T>(job: () => Promise<T>): Promise<T> {
    const done = this.#last.then(job);
    this.#last = done.catch(() => {});
    return done;
  }
}
