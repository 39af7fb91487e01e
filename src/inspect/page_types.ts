// The shapes that describing a page gives out.
import type { InspectOptions } from "./check_types.ts";

/** How to describe a page. */
export interface PageOptions extends InspectOptions {
  /** Shows keys and values as hex digits. Default: their lengths only. */
  values?: boolean;
  /** The page size, for a file without a readable meta slot. Default: what the meta slots say, else 4096. */
  pageSize?: number;
}

/** What a page is. */
export type PageKind =
  | "meta"
  | "journal"
  | "leaf"
  | "branch"
  | "overflow"
  | "bitmap"
  | "bitmap_index"
  | "blank"
  | "unknown"
  | "beyond_end"
  | "unreadable";

/** A pointer to a page. */
export interface PagePointer {
  /** Page number. */
  readonly page: number;
  /** Its checksum. */
  readonly crc: number;
  /** Checkpoint that placed it. */
  readonly birth: number;
}

/** A cell of a leaf or branch page, in key order. */
export interface PageCell {
  /** Bytes of the key. */
  readonly keyLength: number;
  /** Bytes of the value (leaf pages), that of an overflow value included. */
  readonly valueLength?: number;
  /** The child (branch pages), or the first page of the overflow value. */
  readonly pointer?: PagePointer;
  /** The key in hex digits; only when values were asked for. */
  readonly key?: string;
  /** The value in hex digits; only when values were asked for, and not of overflow values. */
  readonly value?: string;
}

/** One page, decoded. */
export interface PageDescription {
  /** Page number. */
  readonly page: number;
  /** Byte offset. */
  readonly offset: number;
  /** Page size. */
  readonly pageSize: number;
  /** What it is, by its place or its header. */
  readonly kind: PageKind;
  /** Whether everything about it that can be judged by itself is right: checksum, number, file id, structure. Undefined where a page has none of its own. */
  readonly valid?: boolean;
  /** What is wrong, in a stable word, when it is not valid. */
  readonly reason?: string;
  /** Header fields by name, as they stand, right or not. */
  readonly header: Readonly<Record<string, number | string | boolean>>;
  /** Cells of a valid leaf or branch page. */
  readonly cells?: readonly PageCell[];
}
