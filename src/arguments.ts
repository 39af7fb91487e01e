// What callers give, looked at: objects of options are read once and refused when they hold a name that nobody knows.
//
// Invariant: what a caller's getter or proxy throws becomes an error of this package, and happens before anything is begun.
import { ArgumentTypeError, failType, isManifestError } from "./errors.ts";

/** The names of all options; the type makes the list complete. */
export type OptionNames<T> = Readonly<Record<keyof T, true>>;

const NAME_LENGTH = 64;

/** A copy of the options with only the names that there are; INVALID_ARGUMENT for others, for what is no object, and when one cannot be read. `action` completes "Cannot …". */
export function takeOptions<T extends object>(options: T | undefined, names: OptionNames<T>, action: string): T {
  if (options === undefined) return {} as T;
  if (typeof options !== "object" || options === null) failType(`Cannot ${action}: the options are not an object`);
  return readArgument(action, "the options", () => {
    const taken: Record<string, unknown> = {};
    for (const name in options) {
      if (!Object.hasOwn(names, name)) unknownOption(name, action);
      taken[name] = options[name];
    }
    return taken as T;
  });
}

/** What `read` makes of an argument; INVALID_ARGUMENT when a getter, a proxy or a function of the caller throws. `what` is named in the message. */
export function readArgument<T>(action: string, what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw unreadable(cause, action, what);
  }
}

/** The error for something of the caller's that has thrown while it was read; errors of this package and traps of the kernel pass. */
export function unreadable(cause: unknown, action: string, what: string): unknown {
  if (isManifestError(cause) || (cause instanceof Error && cause.name === "RuntimeError")) return cause;
  return new ArgumentTypeError(`Cannot ${action}: ${what} cannot be read`, { cause });
}

/** Throws unless this is an AbortSignal or undefined; returns it. */
export function checkSignal(signal: AbortSignal | undefined, action: string): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  return readArgument(action, "the signal", () => {
    if (typeof signal?.addEventListener !== "function" || typeof signal.aborted !== "boolean") {
      failType(`Cannot ${action}: the signal is not an AbortSignal`, { field: "signal" });
    }
    return signal;
  });
}

function unknownOption(name: string, action: string): never {
  const option = name.length > NAME_LENGTH ? `${name.slice(0, NAME_LENGTH)}…` : name;
  failType(`Cannot ${action}: there is no option ${option}`, { option });
}
