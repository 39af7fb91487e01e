// Exit codes: the same meaning for every command.
import { isManifestError } from "../errors.ts";

/** How a command ended. */
export const ExitCode = {
  /** All is well. */
  clean: 0,
  /** Something was damaged and has been absorbed or repaired: nothing is lost. */
  repaired: 1,
  /** Damage was found. */
  damage: 2,
  /** It could not be read or done: no such file, not a manifest, no permission, a failing device, no room, interrupted. */
  failed: 3,
  /** The arguments are wrong. */
  usage: 4,
  /** Another process holds the file. */
  locked: 5,
} as const;

/** One of the exit codes 0 to 5. */
export type ExitCode = typeof ExitCode[keyof typeof ExitCode];

/** Codes of kind "usage" that no other arguments would help against. */
const OTHER_STATE: ReadonlySet<string> = new Set([
  "NOT_FOUND",
  "ABORTED",
  "HANDLE_CLOSED",
  "READ_ONLY",
  "SCHEMA_TOO_NEW",
  "SCHEMA_MISMATCH",
]);

/** Whether a code of an error or a finding says that something is damaged, and not what else a file may be. */
export function isDamage(code: string): boolean {
  return /^(CORRUPT_|TRUNCATED$|ROLLED_BACK$|BACKUP_DAMAGED$|BACKUP_INCOMPLETE$|FILE_DAMAGED$|INCONSISTENT$)/.test(code);
}

/** The exit code that stands for an error. */
export function exitCodeOf(error: unknown): ExitCode {
  if (!isManifestError(error)) return ExitCode.failed;
  const { code, kind } = error;
  if (code === "LOCKED" || code === "FENCED") return ExitCode.locked;
  if (isDamage(code)) return ExitCode.damage;
  if (kind === "usage" && !OTHER_STATE.has(code)) return ExitCode.usage;
  return ExitCode.failed;
}

/** What two parts of a command add up to: damage outweighs failing, failing outweighs repairs. */
export function worse(a: ExitCode, b: ExitCode): ExitCode {
  const rank = (code: ExitCode): number => RANK.indexOf(code);
  return rank(a) >= rank(b) ? a : b;
}

const RANK: readonly ExitCode[] = [ExitCode.clean, ExitCode.repaired, ExitCode.failed, ExitCode.damage, ExitCode.locked, ExitCode.usage];
