// A file being forged: bytes are changed where its structure says what they are, and at the end every checksum that no longer fits is made right again, up to the meta slots' own.
//
// So what is wrong with the result is not its checksums, and what reads it meets the code behind them.
import {
  BLOCK_SIZE,
  JOURNAL_COUNT,
  JOURNAL_CRC,
  JOURNAL_HEADER,
  JOURNAL_MAGIC,
  JOURNAL_USED,
  META_CRC,
  META_FORMAT,
  META_SLOTS,
  PAGE_BIRTH,
  PAGE_CRC,
  POINTER_BIRTH,
  POINTER_CRC,
  POINTER_PAGE,
} from "../../../assembly/format.ts";
import { crc32c } from "../damage/crc.ts";
import type { Image, PageNode } from "../damage/image.ts";

/** A forged file. */
export class Draft {
  readonly image: Image;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #pages = new Set<PageNode>();
  readonly #groups = new Set<number>();
  /** Pointers that were written by hand: their checksums are the target's. */
  readonly #aimed = new Map<number, PageNode | undefined>();

  constructor(image: Image) {
    this.image = image;
    this.bytes = image.bytes.slice();
    this.view = new DataView(this.bytes.buffer);
  }

  /** Byte where a page begins. */
  at(node: PageNode): number {
    return node.page * this.image.pageSize;
  }

  /** Says that a page was changed. */
  touch(node: PageNode): void {
    this.#pages.add(node);
  }

  /** Says that a group that begins at this block was changed. */
  touchGroup(block: number): void {
    this.#groups.add(block);
  }

  /** Makes the pointer at `at`, in page `inside`, name another page with the checksum and birth that it has. */
  aim(at: number, inside: PageNode | undefined, page: number): void {
    this.view.setUint32(at + POINTER_PAGE, page, true);
    const start = page * this.image.pageSize;
    if (start + this.image.pageSize <= this.bytes.length) {
      this.view.setUint32(at + POINTER_CRC, this.view.getUint32(start + PAGE_CRC, true), true);
      this.bytes.copyWithin(at + POINTER_BIRTH, start + PAGE_BIRTH, start + PAGE_BIRTH + 6);
    }
    this.#aimed.set(at, this.image.nodes.get(page));
    if (inside !== undefined) this.touch(inside);
  }

  /** Gives a page another birth, as its pointers say. */
  bear(node: PageNode, birth: number): void {
    for (const at of [this.at(node) + PAGE_BIRTH, ...node.pointers.map((pointer) => pointer + POINTER_BIRTH)]) {
      this.view.setUint32(at, birth >>> 0, true);
      this.view.setUint16(at + 4, Math.floor(birth / 2 ** 32) & 0xffff, true);
    }
    this.touch(node);
  }

  /** Makes every checksum right. */
  seal(): Uint8Array {
    // Children before parents: a page is sealed when all changed pages below it are.
    const dirty = new Set<PageNode>();
    for (const node of this.#pages) for (let each: PageNode | undefined = node; each !== undefined; each = each.parent) dirty.add(each);
    const done = new Set<PageNode>();
    const sealNode = (node: PageNode): void => {
      if (done.has(node)) return;
      done.add(node);
      for (const child of node.children) if (dirty.has(child)) sealNode(child);
      this.#sealPage(node);
    };
    for (const node of dirty) sealNode(node);
    for (const block of this.#groups) this.#sealGroup(block);
    for (let slot = 0; slot < META_SLOTS; slot++) {
      const at = slot * BLOCK_SIZE;
      this.view.setUint32(at + META_CRC, crc32c(this.bytes.subarray(at + META_FORMAT, at + BLOCK_SIZE)), true);
    }
    return this.bytes;
  }

  #sealPage(node: PageNode): void {
    const at = this.at(node);
    const crc = crc32c(this.bytes.subarray(at + 4, at + node.pages * this.image.pageSize));
    this.view.setUint32(at + PAGE_CRC, crc, true);
    for (const pointer of node.pointers) if (!this.#aimed.has(pointer)) this.view.setUint32(pointer + POINTER_CRC, crc, true);
    for (const [pointer, target] of this.#aimed) if (target === node) this.view.setUint32(pointer + POINTER_CRC, crc, true);
  }

  /** Parity and checksums of a group, as its first block's count says. */
  #sealGroup(block: number): void {
    const first = block * BLOCK_SIZE;
    const count = this.view.getUint16(first + JOURNAL_COUNT, true);
    const blocks = Math.min(count, Math.floor((this.bytes.length - first) / BLOCK_SIZE) - 1);
    if (blocks < 1) return;
    const parity = first + blocks * BLOCK_SIZE;
    let used = 0;
    this.bytes.fill(0, parity + JOURNAL_HEADER, parity + BLOCK_SIZE);
    for (let i = 0; i < blocks; i++) {
      const at = first + i * BLOCK_SIZE;
      used ^= this.view.getUint16(at + JOURNAL_USED, true);
      for (let k = JOURNAL_HEADER; k < BLOCK_SIZE; k++) this.bytes[parity + k]! ^= this.bytes[at + k]!;
      this.#sealBlock(at);
    }
    this.view.setUint16(parity + JOURNAL_USED, used, true);
    this.#sealBlock(parity);
  }

  #sealBlock(at: number): void {
    this.view.setUint32(at + JOURNAL_CRC, crc32c(this.bytes.subarray(at + JOURNAL_MAGIC, at + BLOCK_SIZE)), true);
  }
}
