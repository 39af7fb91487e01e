// The machine's own limit for durable commits: 512 bytes written at the next place of a file that is already there, then fdatasync, inside the turn.
import { Buffer } from "node:buffer";
import { closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from "node:fs";
import type { Contender, WorkloadId } from "../contender.ts";
import type { DataSet, Writes } from "../data.ts";

const WRITE_BYTES = 512;
const FILE_BYTES = 1 << 20;

/** Raw writes and syncs. */
export class RawSync implements Contender {
  readonly name = "raw pwrite+fdatasync";
  readonly version = "";
  readonly options = `${WRITE_BYTES} bytes each, inline, in a file of ${FILE_BYTES >> 20} MiB made before`;
  readonly takes: readonly WorkloadId[] = ["S4"];
  readonly #bytes = Buffer.alloc(WRITE_BYTES, 0x5a);
  #fd = -1;
  #at = 0;

  open(folder: string, _data: DataSet): Promise<void> {
    this.#fd = openSync(`${folder}/raw`, "w+");
    writeSync(this.#fd, Buffer.alloc(FILE_BYTES), 0, FILE_BYTES, 0);
    fsyncSync(this.#fd);
    return Promise.resolve();
  }

  commitEach({ rows }: Writes): Promise<void> {
    for (let i = 0; i < rows.length; i++) this.#commit();
    return Promise.resolve();
  }

  commitBatches({ rows }: Writes, size: number): Promise<void> {
    for (let from = 0; from < rows.length; from += size) this.#commit();
    return Promise.resolve();
  }

  #commit(): void {
    writeSync(this.#fd, this.#bytes, 0, WRITE_BYTES, this.#at);
    fdatasyncSync(this.#fd);
    this.#at = (this.#at + WRITE_BYTES) % FILE_BYTES;
  }

  close(): Promise<void> {
    closeSync(this.#fd);
    return Promise.resolve();
  }
}
