// Durable pins: a version, or all versions there are, kept for an owner until a time. For work that outlives a process: a backup that runs, and is begun again after a crash under the same name.
//
// A pin whose time is over goes with the next prune that looks. As long as its row is there, everything that it pinned is: so it can be renewed until then.
import { takeOptions } from "../../arguments.ts";
import { fail } from "../../errors.ts";
import type { Reader } from "../../manifest/read/reader.ts";
import type { Transaction } from "../../manifest/transact/transaction.ts";
import { checkOwner, checkWhole, failVersion } from "./names.ts";
import { setRow } from "./rows.ts";
import { filePins, fileVersions } from "./tables.ts";

/** What to pin. */
export interface PinRequest {
  /** Who keeps it: a name of up to 128 bytes. Pinning the same version again under the same name sets a new end. */
  owner: string;
  /** Which version. Default: the newest. "all": every one that there is. */
  version?: number | "all";
  /** When the pin ends by itself, in milliseconds from now. */
  ttlMs: number;
}

/** A durable pin. */
export interface PinInfo {
  /** Who keeps it. */
  readonly owner: string;
  /** Which version. */
  readonly version: number;
  /** Also every version before it. */
  readonly all: boolean;
  /** Since when, milliseconds since 1970. */
  readonly since: number;
  /** Until when. */
  readonly expiresAt: number;
}

/** A pin as asked for, or an error. */
export function takePin(request: PinRequest, action: string): { owner: string; version: number | "all" | undefined; ttlMs: number } {
  const { owner, version, ttlMs } = takeOptions(request, { owner: true, version: true, ttlMs: true }, action);
  checkOwner(owner, action);
  if (version !== undefined && version !== "all") checkWhole(version, "version", 1, action);
  return { owner, version, ttlMs: checkWhole(ttlMs, "ttlMs", 1, action) };
}

/** Puts a pin. */
export function stagePin(
  txn: Transaction,
  catalog: string,
  { owner, version, ttlMs }: ReturnType<typeof takePin>,
  now: number,
): PinInfo {
  const action = "pin a version";
  const number = typeof version === "number" ? version : setRow(txn, catalog).current;
  if (number === 0) fail("NOT_FOUND", `Cannot ${action}: there is none yet`, { detail: { catalog } });
  if (!txn.has(fileVersions, [catalog, number])) failVersion(action, catalog, number);
  const before = txn.get(filePins, [catalog, owner, number]);
  const row = { all: version === "all" || before?.all === true, since: before?.since ?? now, expiresAt: now + ttlMs };
  txn.put(filePins, [catalog, owner, number], row);
  return { owner, version: number, ...row };
}

/** Sets a new end of a pin. NOT_FOUND when it is gone, and what it pinned may be. */
export function stageRenewal(txn: Transaction, catalog: string, { owner, version }: PinInfo, expiresAt: number): PinInfo {
  const row = txn.get(filePins, [catalog, owner, version]);
  if (row === undefined) failVersionUnpinned(catalog, version);
  txn.put(filePins, [catalog, owner, version], { ...row, expiresAt });
  return { owner, version, ...row, expiresAt };
}

function failVersionUnpinned(catalog: string, version: number): never {
  fail("NOT_FOUND", "Cannot renew a pin: it is gone, and what it pinned may be", { detail: { catalog, version } });
}

/** Takes a pin away; false when there is none. */
export function stageUnpin(txn: Transaction, catalog: string, owner: string, version: number): boolean {
  if (!txn.has(filePins, [catalog, owner, version])) return false;
  txn.delete(filePins, [catalog, owner, version]);
  return true;
}

/** The pins of a catalog, those whose time is over included, by owner and version. */
export function listPins(reader: Reader, catalog: string): PinInfo[] {
  return reader.range(filePins, { prefix: [catalog] }).toArray().map(([[, owner, version], row]) => ({ owner, version, ...row }));
}

/** A durable pin that is held; made by {@linkcode FileSetCatalog.pin}. Renew it before its time is over, and release it. */
export class FileSetPin implements PinInfo {
  readonly owner: string;
  readonly version: number;
  readonly all: boolean;
  readonly since: number;
  #expiresAt: number;
  readonly #ttlMs: number;
  readonly #renew: (pin: PinInfo, ttlMs: number) => Promise<PinInfo>;
  readonly #release: (pin: PinInfo) => Promise<void>;
  #released = false;

  /** Made by `FileSetCatalog.pin`. */
  constructor(
    info: PinInfo,
    ttlMs: number,
    renew: (pin: PinInfo, ttlMs: number) => Promise<PinInfo>,
    release: (pin: PinInfo) => Promise<void>,
  ) {
    ({ owner: this.owner, version: this.version, all: this.all, since: this.since, expiresAt: this.#expiresAt } = info);
    this.#ttlMs = ttlMs;
    this.#renew = renew;
    this.#release = release;
  }

  /** Until when, milliseconds since 1970. */
  get expiresAt(): number {
    return this.#expiresAt;
  }

  /** Keeps it for as long again, or for `ttlMs`, from now. NOT_FOUND when its time was over and a prune has come since: then what it pinned may be gone. */
  async renew(ttlMs: number = this.#ttlMs): Promise<void> {
    checkWhole(ttlMs, "ttlMs", 1, "renew a pin");
    ({ expiresAt: this.#expiresAt } = await this.#renew(this, ttlMs));
  }

  /** Lets it go; one that is gone is no error, and a second call does nothing. Resolves when that is durable. */
  async release(): Promise<void> {
    if (this.#released) return;
    await this.#release(this);
    this.#released = true;
  }

  /** The same as `release`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}
