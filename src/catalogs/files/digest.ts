// Digests of files, by streaming.
//
// A hasher is taken from a pool for one file and given back behind it, so that no more are made than files are read at once. The algorithms come from hash-wasm: the only code in src/catalogs that is not of this package.
import { createBLAKE3, createSHA256, createXXHash128, type IHasher } from "hash-wasm";
import { fail } from "../../errors.ts";
import type { FileFacts, Folder } from "../../storage/folder.ts";
import type { DigestAlgorithm } from "./tables.ts";

const MAKE: Readonly<Record<DigestAlgorithm, () => Promise<IHasher>>> = {
  blake3: () => createBLAKE3(),
  sha256: () => createSHA256(),
  xxh3: () => createXXHash128(),
};

/** The algorithms, the default first. */
export const DIGEST_ALGORITHMS: readonly DigestAlgorithm[] = ["blake3", "sha256", "xxh3"];

/** Bytes read at a time. */
const PIECE_BYTES = 1 << 18;

const pool = new Map<DigestAlgorithm, IHasher[]>();

/** A hasher, ready for the first byte. Give it back with {@linkcode releaseHasher}. */
export async function takeHasher(algorithm: DigestAlgorithm): Promise<IHasher> {
  return (pool.get(algorithm)?.pop() ?? await MAKE[algorithm]()).init();
}

/** Gives a hasher back. */
export function releaseHasher(algorithm: DigestAlgorithm, hasher: IHasher): void {
  const idle = pool.get(algorithm);
  if (idle === undefined) pool.set(algorithm, [hasher]);
  else idle.push(hasher);
}

/** How a file is digested. */
export interface DigestRequest {
  /** Completes "Cannot …". */
  readonly action: string;
  /** With which algorithms. */
  readonly algorithms: readonly DigestAlgorithm[];
  /** Syncs the file behind its last byte. */
  readonly sync: boolean;
  /** Gives up between two pieces: ABORTED. */
  readonly signal: AbortSignal | undefined;
  /** Sees the first bytes: all of a file of at most 256 KiB. */
  onHead?(head: Uint8Array): void;
  /** Hears of bytes read. */
  onBytes?(count: number): void;
}

/** A file as it was read. */
export interface DigestedFile {
  /** What the open file said of itself before the first byte and behind the last one. */
  readonly facts: FileFacts;
  /** Digests by algorithm. */
  readonly digests: ReadonlyMap<DigestAlgorithm, Uint8Array>;
}

/** Whether two looks at a file saw the same. `changedAt` shows a time of modification that was set back. Within a step of the system's clock, or of what the runtime tells of it, two times are equal. */
export function sameFacts(a: FileFacts, b: FileFacts): boolean {
  return a.kind === b.kind && a.identity === b.identity && a.sizeBytes === b.sizeBytes && a.modifiedAt === b.modifiedAt &&
    a.changedAt === b.changedAt;
}

/** Throws FILE_CHANGED. */
export function failChanged(action: string, path: string, state: string): never {
  fail("FILE_CHANGED", `Cannot ${action}: a file ${state} meanwhile`, { detail: { file: path } });
}

/** Throws ABORTED when the signal is aborted. */
export function checkAborted(signal: AbortSignal | undefined, action: string): void {
  if (signal?.aborted) fail("ABORTED", `Cannot ${action}: it was aborted`, { cause: signal.reason });
}

/** Reads a file from its first byte to its last. FILE_CHANGED when it changes under way; ABORTED; what the folder throws. */
export async function digestFile(folder: Folder, path: string, request: DigestRequest): Promise<DigestedFile> {
  const { action, algorithms, signal } = request;
  const file = await folder.open(path);
  const hashers: [DigestAlgorithm, IHasher][] = [];
  try {
    const facts = await file.facts();
    for (const algorithm of algorithms) hashers.push([algorithm, await takeHasher(algorithm)]);
    const piece = new Uint8Array(Math.min(PIECE_BYTES, Math.max(1, facts.sizeBytes)));
    for (let at = 0; at < facts.sizeBytes;) {
      checkAborted(signal, action);
      const wanted = Math.min(piece.length, facts.sizeBytes - at);
      const count = await file.read(at, piece.subarray(0, wanted));
      if (count < wanted) failChanged(action, path, "became shorter");
      const read = piece.subarray(0, count);
      if (at === 0) request.onHead?.(read);
      for (const [, hasher] of hashers) hasher.update(read);
      at += count;
      request.onBytes?.(count);
    }
    checkAborted(signal, action);
    if (request.sync) await file.sync();
    if (!sameFacts(facts, await file.facts())) failChanged(action, path, "changed");
    return { facts, digests: new Map(hashers.map(([algorithm, hasher]) => [algorithm, hasher.digest("binary")])) };
  } finally {
    for (const [algorithm, hasher] of hashers) releaseHasher(algorithm, hasher);
    await file.close();
  }
}

/** Whether two digests are equal. */
export function sameDigest(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** A digest as people and file names have it. */
export function hexOf(digest: Uint8Array): string {
  let out = "";
  for (const byte of digest) out += byte.toString(16).padStart(2, "0");
  return out;
}
