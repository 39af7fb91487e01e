// Which versions of a catalog prunes of this process have dropped: so that a handle whose state is older than a prune does not hand out what is gone.
//
// Invariant: a range (after, last] holds no kept version. There is a range for each version that was kept below dropped ones, so what is remembered grows with pins, not with prunes.
import type { Reader } from "../../manifest/read/reader.ts";
import { fileVersions } from "./tables.ts";

/** Versions that are dropped. */
export class DroppedVersions {
  /** Last dropped version by the kept version before; 0: by none. */
  readonly #lasts = new Map<number, number>();

  /** Versions behind `after` up to `last` are dropped. */
  add(after: number, last: number): void {
    for (const [start, end] of this.#lasts) if (start > after && end <= last) this.#lasts.delete(start);
    this.#lasts.set(after, Math.max(last, this.#lasts.get(after) ?? 0));
  }

  /** Whether a version is dropped. */
  has(version: number): boolean {
    for (const [after, last] of this.#lasts) if (version > after && version <= last) return true;
    return false;
  }

  /** A dropped version that a state shows as kept; undefined: none. */
  shownBy(reader: Reader, catalog: string): number | undefined {
    for (const [after, last] of this.#lasts) {
      const bounds = { prefix: [catalog], gt: [catalog, after], lte: [catalog, last], limit: 1 } as const;
      for (const [, version] of reader.keys(fileVersions, bounds)) return version;
    }
    return undefined;
  }

  /** Forgets everything. */
  clear(): void {
    this.#lasts.clear();
  }
}
