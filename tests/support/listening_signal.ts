// An abort signal that counts who listens to it: what waited must leave no listener behind.

/** A controller whose signal counts its listeners. */
export class ListeningController extends AbortController {
  /** Listeners now. */
  listeners = 0;

  constructor() {
    super();
    const { signal } = this;
    const add = signal.addEventListener.bind(signal) as (...args: unknown[]) => void;
    const remove = signal.removeEventListener.bind(signal) as (...args: unknown[]) => void;
    signal.addEventListener = (...args: unknown[]): void => {
      this.listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: unknown[]): void => {
      this.listeners--;
      remove(...args);
    };
  }
}
