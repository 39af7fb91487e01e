// A source that shows one meta generation as the file's state, whatever its slots say: so that a state can be opened in the ordinary way whose newer one is destroyed, or whose bitmap is damaged.
import { META_BITMAP, META_BITMAP_LEVEL, META_BYTES, META_GENERATION, POINTER_SIZE } from "../../assembly/format.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { type Meta, sealSlot, slotChecksum, slotOffset } from "../store/meta.ts";
import type { Storage } from "../storage/storage.ts";
import { Source } from "./source.ts";

/** Shows a state; without its bitmap, which only a writer needs. */
export class StateSource extends Source {
  readonly #region = new Uint8Array(META_BYTES);

  constructor(storage: Storage, meta: Meta, kernel: Kernel) {
    super(storage);
    const checksum = slotChecksum(kernel);
    const bytes = meta.bytes.slice() as Uint8Array<ArrayBuffer>;
    bytes.fill(0, META_BITMAP, META_BITMAP + POINTER_SIZE);
    bytes[META_BITMAP_LEVEL] = 0;
    // Beside it lies the generation before; beside the very first one, the one behind it.
    for (const generation of [meta.generation, meta.generation === 0 ? 1 : meta.generation - 1]) {
      new DataView(bytes.buffer).setBigUint64(META_GENERATION, BigInt(generation), true);
      for (const copy of [1, 2] as const) this.#region.set(sealSlot(bytes, copy, checksum), slotOffset(generation % 2, copy));
    }
  }

  override read(at: number, into: Uint8Array): number {
    const count = super.read(at, into);
    if (at >= META_BYTES) return count;
    const part = this.#region.subarray(at, Math.min(META_BYTES, at + into.length));
    into.set(part);
    return Math.max(count, part.length);
  }
}
