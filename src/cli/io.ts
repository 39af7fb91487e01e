// What the command line takes from outside: outputs, signals, environment variables. The program gives the process's, a test its own.

/** Where text goes. */
export interface CliOutput {
  /** Whether somebody looks at it as it comes: colours and progress are for terminals only. */
  readonly isTerminal: boolean;
  /** Characters in a line, where that is known. */
  readonly columns?: number;
  /** Writes text. Resolves when there is room for more; does nothing when nobody reads any more. */
  write(text: string): void | Promise<void>;
}

/** What a run of the command line takes from outside. */
export interface CliIo {
  /** Results. */
  readonly stdout: CliOutput;
  /** Errors and progress. */
  readonly stderr: CliOutput;
  /** Aborted when the run is to end: SIGINT, SIGTERM. */
  readonly signal: AbortSignal;
  /** Aborted when nobody reads `stdout` any more. */
  readonly closed: AbortSignal;
  /** An environment variable. */
  env(name: string): string | undefined;
}
