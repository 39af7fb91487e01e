// How long what a backup is made of can be. Nobody who writes one makes more; who reads one takes no memory for more.
import { KEY_MAX } from "../../../assembly/format.ts";

/** A piece of the manifest: it ends with the row that takes it over 2 MiB, and no row is longer than the longest transaction. */
export const PIECE_MOST = (2 << 20) + (512 << 20) + KEY_MAX + 12;
/** A list of files: it ends with the line that takes it over 2 MiB, and no line, with a path of 1,024 bytes, is longer than 8 KiB. */
export const LIST_MOST = (2 << 20) + (8 << 10);
/** The number of a change, and of a frame, behind which a manifest can go on. */
export const SEQUENCE_MOST = 2 ** 53 - 2 ** 41;
/** See {@linkcode SEQUENCE_MOST}. */
export const FRAME_MOST = 2 ** 48 - 2 ** 41;
/** Behind every time that a manifest can hold. */
export const TIME_END = 2 ** 48;
