// Content digests: BLAKE3 over a file, read in pieces.
import { closeSync, constants, openSync, readSync } from "node:fs";
import { createBLAKE3, type IHasher } from "hash-wasm";

const PIECE_BYTES = 1 << 18;

/** Size and digest of a file's content as it was read. */
export interface Digest {
  readonly size: number;
  readonly hash: Uint8Array;
}

/** Digests files one after another, with one buffer. */
export class Digester {
  readonly #hasher: IHasher;
  readonly #piece = new Uint8Array(PIECE_BYTES);

  private constructor(hasher: IHasher) {
    this.#hasher = hasher;
  }

  /** Makes one. */
  static async make(): Promise<Digester> {
    return new Digester(await createBLAKE3());
  }

  /** Digest of some bytes, in hex. */
  bytes(bytes: Uint8Array): string {
    return this.#hasher.init().update(bytes).digest("hex");
  }

  /** Reads a regular file; throws the platform's error when that is not possible. */
  file(path: string): Digest {
    // Where the platform has these: never through a link that has taken the file's place, and never waiting for a pipe that has.
    const fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    try {
      this.#hasher.init();
      let size = 0;
      for (let read = readSync(fd, this.#piece); read > 0; read = readSync(fd, this.#piece)) {
        this.#hasher.update(this.#piece.subarray(0, read));
        size += read;
      }
      return { size, hash: this.#hasher.digest("binary") };
    } finally {
      closeSync(fd);
    }
  }
}
