// docs/errors.md and the source name the same codes, reasons and events.
import { assert, assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { ERROR_CODES, ManifestError } from "../../mod.ts";
import { PAGE_REASONS } from "../../src/store/status.ts";
import { test } from "../support/harness.ts";
import { sourceFiles } from "../support/source.ts";
import { documented, events, reasons, table } from "./document.ts";

test("errors.md: has one heading for every code of the source, and no other", () => {
  assertEquals([...documented().keys()].sort(), [...ERROR_CODES].sort());
});

test("errors.md: says of every code what it implies, and what to do", () => {
  for (const [code, { kind, outcome, handle, retryable, advice }] of documented()) {
    const error = new ManifestError(code as never, "Cannot test: it is a test");
    assertEquals([kind, outcome, handle, retryable], [error.kind, error.outcome, error.handle, error.retryable], code);
    assert(advice, `${code}: what should one do?`);
  }
});

test("errors.md: its table by kind holds every code once, under its kind", () => {
  const kinds = table();
  assertEquals(kinds.map(([code]) => code).sort(), [...ERROR_CODES].sort());
  for (const [code, kind] of kinds) assertEquals(kind, new ManifestError(code as never, "").kind, code);
});

test("errors.md: lists every reason of CORRUPT_PAGE", () => {
  assertEquals(reasons().sort(), Object.keys(PAGE_REASONS).sort());
});

test("errors.md: lists every event", () => {
  const source = readFileSync("src/manifest/events.ts", "utf8");
  assertEquals(events().sort(), [...source.matchAll(/readonly type: "([a-z-]+)"/g)].map((match) => match[1]!).sort());
});

test("codes: every one is thrown somewhere in the source", () => {
  const code = sourceFiles("src").filter((path) => path !== "src/errors/codes.ts").map((path) => readFileSync(path, "utf8")).join("\n");
  assertEquals(ERROR_CODES.filter((name) => !code.includes(`"${name}"`)), []);
});

test("messages: every one in the source begins with what could not be done", () => {
  const wrong: string[] = [];
  for (const path of sourceFiles("src")) {
    const source = readFileSync(path, "utf8");
    const calls =
      /(?<![\w.])(?:fail\(\s*"[A-Z_]+",|new ManifestError\(\s*"[A-Z_]+",|failType\(|failRange\(|failLimit\()\s*(["'`])(.{0,40})/g;
    for (const match of source.matchAll(calls)) {
      if (!match[2]!.startsWith("Cannot ") && !match[2]!.startsWith("${s")) wrong.push(`${path}: ${match[2]}`);
    }
  }
  assertEquals(wrong, []);
});
