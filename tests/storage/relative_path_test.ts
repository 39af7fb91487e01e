// Which paths name a file in a folder: hostile ones are refused on every platform alike.
import { assert, assertEquals } from "@std/assert";
import { checkDirectoryPath, checkRelativePath, directoryOf, whyNotRelative } from "../../src/storage/relative_path.ts";
import { test } from "../support/harness.ts";
import { assertCode } from "../support/storage_suite.ts";

/** Hostile paths by the reason for which they are refused. */
const HOSTILE: Record<string, string[]> = {
  "it is empty": [""],
  "it is not valid Unicode": ["\ud800", "a/\udfff", "\udc00\ud800", "/\ud800"],
  "it is absolute": ["/", "/etc/passwd", "//server/share", "/../a"],
  'it has the segment ".."': ["..", "../a", "a/..", "a/../b", "a/b/../../../c", "../../../../etc/passwd"],
  'it has the segment "."': [".", "./a", "a/.", "a/./b"],
  "a segment of it is empty": ["a//b", "a/", "a/b/", "a///b"],
  "it holds the character U+0000": ["\0", "a\0", "a\0/../b", "a.txt\0.png"],
  "it holds the character U+000A": ["a\nb"],
  "it holds the character U+001F": ["a\x1fb"],
  "it holds the character U+007F": ["a\x7f"],
  "it holds the character U+005C": ["a\\b", "..\\a", "\\\\server\\share", "\\", "a/..\\..\\b"],
  "it holds the character U+003A": ["c:", "c:a", "C:/a", "a:stream", "a::$DATA", "file:///a"],
  "it holds the character U+002A": ["*", "a*"],
  "it holds the character U+003F": ["a?", "?/a"],
  "it holds the character U+0022": ['a"b'],
  "it holds the character U+003C": ["<a"],
  "it holds the character U+003E": ["a>"],
  "it holds the character U+007C": ["a|b"],
  "a segment of it ends with a dot or a space": [
    "a.",
    "a ",
    "a/b./c",
    "a /b",
    "...",
    "....",
    " ",
    "a. .",
    "con.",
    "con ",
    ".. /a",
    "a/.. ",
  ],
};
const DEVICES = ["con", "prn", "aux", "nul", "conin$", "conout$"];
for (const port of ["com", "lpt"]) for (const digit of "0123456789¹²³") DEVICES.push(port + digit);

const SAFE = [
  ...[
    "a",
    "a/b/c",
    "a.b",
    ".hidden",
    "..a",
    "...a",
    "a..b",
    "__proto__",
    "constructor",
    "toString",
    "a b",
    " a",
    "-rf",
    "~",
    "~/a",
    "$HOME",
    "%2e%2e",
  ],
  ...[
    "ünï",
    "日本語/名前.txt",
    "😀",
    "\u{10ffff}",
    "e\u0301",
    "\u202e",
    "\u2028",
    "\ufeff",
    "a'b",
    "a;b",
    "a&b",
    "{a}",
    "[a]",
    "#a",
    "!a",
    "a,b",
    "@",
  ],
  ...["console", "con1", "com", "com10", "lpt", "nul1", "nulla", "aux-a", "xcon", "a.con", "conin", "prn_", "com¹0", "auxiliary/prnt"],
  ...["x".repeat(255), "é".repeat(127), `${"d/".repeat(511)}ab`],
];

test("whyNotRelative: hostile paths are refused, each for its reason", () => {
  for (const [why, paths] of Object.entries(HOSTILE)) {
    for (const path of paths) assertEquals(whyNotRelative(path), why, JSON.stringify(path));
  }
});

test("whyNotRelative: names of devices are refused in every spelling, at every segment", () => {
  for (const device of DEVICES) {
    const mixed = device[0]!.toUpperCase() + device.slice(1);
    for (const name of [device, device.toUpperCase(), mixed]) {
      for (const segment of [name, `${name}.txt`, `${name}.tar.gz`, `${name} .txt`, `${name}  .a b`, `${name}..a`]) {
        for (const path of [segment, `a/${segment}`, `${segment}/a`, `a/${segment}/b`]) {
          assertEquals(whyNotRelative(path), `${JSON.stringify(segment)} is the name of a device`, path);
        }
      }
    }
  }
});

test("whyNotRelative: too long is more than 1,024 bytes, or 255 bytes in a segment", () => {
  assertEquals(whyNotRelative("x".repeat(256)), "a segment of it is longer than 255 bytes");
  assertEquals(whyNotRelative(`a/${"é".repeat(128)}`), "a segment of it is longer than 255 bytes");
  assertEquals(whyNotRelative(`${"d/".repeat(511)}abc`), "it is longer than 1024 bytes");
  assertEquals(whyNotRelative("x/".repeat(10_000_000) + "x"), "it is longer than 1024 bytes");
});

test("whyNotRelative: safe paths pass, also those that only look odd", () => {
  for (const path of SAFE) assertEquals(whyNotRelative(path), undefined, JSON.stringify(path));
});

test("checkRelativePath: NAME_INVALID with the path in the detail, a message of one line and of bounded length", () => {
  for (const path of [...Object.values(HOSTILE).flat(), "nul", "y".repeat(100_000)]) {
    const error = assertCode("NAME_INVALID", () => checkRelativePath(path, "name file"));
    assertEquals([error.kind, error.op, error.detail.file], ["usage", "name file", path]);
    assert(!/\p{Cc}/u.test(error.message.replace("\x7f", "")) && error.message.length < 600, error.message);
    assert(JSON.stringify(error).length < 2000);
  }
  for (const path of SAFE) checkRelativePath(path, "name file");
  for (const path of [undefined, null, 5, {}, ["a"], new String("a")]) {
    assert(assertCode("INVALID_ARGUMENT", () => checkRelativePath(path as string, "name file")) instanceof TypeError);
  }
});

test("checkDirectoryPath: as checkRelativePath, and the empty path is the folder itself", () => {
  checkDirectoryPath("", "list");
  checkDirectoryPath("a/b", "list");
  assertCode("NAME_INVALID", () => checkDirectoryPath("a/..", "list"));
  assertCode("INVALID_ARGUMENT", () => checkDirectoryPath(undefined as never, "list"));
});

test("directoryOf: everything before the last segment", () => {
  assertEquals(["a", "a/b", "a/b/c.d"].map(directoryOf), ["", "a", "a/b"]);
});
