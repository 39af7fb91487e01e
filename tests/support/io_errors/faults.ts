// The faults of the stage "io_errors": what a platform can answer to one call of a storage, by name.
import type { ErrorCode } from "../../../mod.ts";
import { type Fault, type FaultKind, STALLED } from "../faulty_storage.ts";

/** A way to fail. */
export interface FaultForm {
  /** Calls that can fail so. */
  readonly kinds: readonly FaultKind[];
  readonly errno: string;
  /** Calls that fail from there on, of the same kinds. Default 1. */
  readonly times?: number;
  /** How much of a write is done before. Default none. */
  readonly part?: number;
  /** Codes that the first error may have. */
  readonly codes: readonly ErrorCode[];
}

const FOREVER = Infinity;

/** Every fault, by the name that `--fault` takes. */
export const FAULTS: Readonly<Record<string, FaultForm>> = {
  "read-EIO": { kinds: ["read"], errno: "EIO", codes: ["IO_READ"] },
  "read-EIO-for-good": { kinds: ["read"], errno: "EIO", times: FOREVER, codes: ["IO_READ"] },
  "read-EACCES": { kinds: ["read"], errno: "EACCES", codes: ["PERMISSION"] },
  "read-stalled": { kinds: ["read"], errno: STALLED, codes: ["IO_READ"] },
  "write-EIO": { kinds: ["write", "truncate"], errno: "EIO", codes: ["IO_WRITE"] },
  "write-EIO-for-good": { kinds: ["write", "truncate"], errno: "EIO", times: FOREVER, codes: ["IO_WRITE"] },
  "write-short-EIO": { kinds: ["write"], errno: "EIO", part: 0.6, codes: ["IO_WRITE"] },
  "write-short-EIO-for-good": { kinds: ["write"], errno: "EIO", part: 0.6, times: FOREVER, codes: ["IO_WRITE"] },
  "ENOSPC": { kinds: ["write", "truncate"], errno: "ENOSPC", codes: ["NO_SPACE"] },
  "ENOSPC-until-freed": { kinds: ["write", "truncate"], errno: "ENOSPC", times: FOREVER, codes: ["NO_SPACE"] },
  "ENOSPC-short-until-freed": { kinds: ["write"], errno: "ENOSPC", part: 0.7, times: FOREVER, codes: ["NO_SPACE"] },
  "EDQUOT": { kinds: ["write", "truncate"], errno: "EDQUOT", times: 3, codes: ["QUOTA"] },
  "write-EACCES": { kinds: ["write", "truncate"], errno: "EACCES", times: FOREVER, codes: ["PERMISSION"] },
  "EROFS": { kinds: ["write", "truncate"], errno: "EROFS", times: FOREVER, codes: ["READ_ONLY_MEDIUM"] },
  "write-stalled": { kinds: ["write"], errno: STALLED, codes: ["IO_WRITE"] },
  "sync-once": { kinds: ["sync"], errno: "EIO", codes: ["SYNC_FAILED"] },
  "sync-for-good": { kinds: ["sync"], errno: "EIO", times: FOREVER, codes: ["SYNC_FAILED"] },
  "sync-ENOSPC": { kinds: ["sync"], errno: "ENOSPC", codes: ["SYNC_FAILED"] },
  "size-EIO": { kinds: ["size"], errno: "EIO", codes: ["IO_READ"] },
  "size-EIO-for-good": { kinds: ["size"], errno: "EIO", times: FOREVER, codes: ["IO_READ"] },
  "size-EACCES": { kinds: ["size"], errno: "EACCES", codes: ["PERMISSION"] },
  "lock-EIO": { kinds: ["lock"], errno: "EIO", codes: ["IO_WRITE"] },
  "lock-ENOSPC": { kinds: ["lock"], errno: "ENOSPC", codes: ["NO_SPACE"] },
  "lock-EACCES": { kinds: ["lock"], errno: "EACCES", codes: ["PERMISSION"] },
  "lock-EROFS": { kinds: ["lock"], errno: "EROFS", codes: ["READ_ONLY_MEDIUM"] },
};

/** Names of the faults that a call of a kind can have. */
export function faultsOf(kind: FaultKind): string[] {
  return Object.keys(FAULTS).filter((name) => FAULTS[name]!.kinds.includes(kind));
}

/** The plan of a fault at call `at`, all calls counted. */
export function faultAt(name: string, at: number): Fault {
  const form = FAULTS[name];
  if (form === undefined) throw new Error(`Cannot inject "${name}": there are ${Object.keys(FAULTS).join(", ")}`);
  return { at, errno: form.errno, fails: form.kinds, times: form.times ?? 1, part: form.part ?? 0 };
}
