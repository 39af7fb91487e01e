// Paths inside a folder: what is refused before a platform sees it.
//
// One rule for all platforms, so that a folder can be copied from one to another: what leads out of the folder anywhere, names a device anywhere, or is changed on its way to a name anywhere (a dot or space at the end), is refused everywhere.
// Not looked at: case and Unicode normal forms. Names that differ only in these are one file on some systems, and a path alone does not tell.
import { fail, failType } from "../errors.ts";

const PATH_BYTES = 1024;
const SEGMENT_BYTES = 255;
/** Names that are devices on Windows, with any ending. */
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])(?: *\..*| *)$/i;
// deno-lint-ignore no-control-regex
const FORBIDDEN = /[\u0000-\u001f\u007f\\:*?"<>|]/;
const LONE_SURROGATE = /\p{Surrogate}/u;
const encoder = new TextEncoder();

/** Whether a text has more bytes in UTF-8: three for each unit at most. */
function isLonger(text: string, bytes: number): boolean {
  return text.length * 3 > bytes && encoder.encode(text).length > bytes;
}

/** Why a path cannot name a file in a folder, as the end of a sentence; undefined when it can. */
export function whyNotRelative(path: string): string | undefined {
  if (path === "") return "it is empty";
  if (LONE_SURROGATE.test(path)) return "it is not valid Unicode";
  if (path.startsWith("/")) return "it is absolute";
  const forbidden = FORBIDDEN.exec(path);
  if (forbidden !== null) return `it holds the character U+${forbidden[0].codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
  if (isLonger(path, PATH_BYTES)) return `it is longer than ${PATH_BYTES} bytes`;
  for (const segment of path.split("/")) {
    if (segment === "") return "a segment of it is empty";
    if (segment === "." || segment === "..") return `it has the segment "${segment}"`;
    if (/[. ]$/.test(segment)) return "a segment of it ends with a dot or a space";
    if (DEVICE.test(segment)) return `"${segment}" is the name of a device`;
    if (isLonger(segment, SEGMENT_BYTES)) return `a segment of it is longer than ${SEGMENT_BYTES} bytes`;
  }
  return undefined;
}

/** Throws NAME_INVALID when a path cannot name a file in a folder. `action` is what is being done, for the message. */
export function checkRelativePath(path: string, action: string): void {
  if (typeof path !== "string") failType(`Cannot ${action}: the path is not a text`, { field: "path" });
  const why = whyNotRelative(path);
  if (why !== undefined) fail("NAME_INVALID", `Cannot ${action} ${JSON.stringify(path.slice(0, 255))}: ${why}`, { detail: { file: path } });
}

/** As {@linkcode checkRelativePath} where a directory is named: "" is the folder itself. */
export function checkDirectoryPath(directory: string, action: string): void {
  if (directory !== "") checkRelativePath(directory, action);
}

/** The directory part of a path; "" for a file in the folder itself. */
export function directoryOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
