// The error object: stable fields, defaults by code, JSON without secrets.
import { assert, assertEquals, assertFalse, assertInstanceOf, assertThrows } from "@std/assert";
import {
  ArgumentRangeError,
  baseName,
  ERROR_CODES,
  fail,
  failLimit,
  failRange,
  failType,
  invariant,
  isManifestError,
  ManifestError,
} from "../../src/errors.ts";
import { test } from "../support/harness.ts";

test("ManifestError: every code has a kind, an outcome and a handle, and survives JSON", () => {
  assert(ERROR_CODES.length >= 40);
  for (const code of ERROR_CODES) {
    const error = new ManifestError(code, "Cannot test: it is a test");
    assert(isManifestError(error) && error instanceof Error);
    const json = JSON.parse(JSON.stringify(error));
    assertEquals([json.version, json.name, json.code, json.kind, json.outcome], [1, "ManifestError", code, error.kind, error.outcome]);
    assert(["ok", "read_only", "closed"].includes(error.handle) && typeof error.retryable === "boolean");
    if (error.kind === "unknown_outcome") assertEquals(error.outcome, "unknown");
    if (error.retryable) assertEquals(error.outcome, "not_applied");
  }
});

test("ManifestError: a call site may override what the code implies", () => {
  const cause = new Error("cause");
  const error = new ManifestError("LOCKED", "Cannot open: locked", {
    outcome: "unknown",
    handle: "ok",
    retryable: false,
    cause,
    detail: { page: 5 },
  });
  assertEquals([error.outcome, error.handle, error.retryable, error.detail.page], ["unknown", "ok", false, 5]);
  assert(error.cause === cause);
});

test("ArgumentTypeError, ArgumentRangeError: are errors of the language with the fields of the package", () => {
  const type = assertThrows(() => failType("Cannot put: the field is not text", { field: "name" }));
  const range = assertThrows(() => failRange("Cannot put: above 2^53 - 1", { value: 2n ** 60n }));
  const limit = assertThrows(() => failLimit("Cannot put: the key is too long", { length: 1025, limit: 1024 }));
  assertInstanceOf(type, TypeError);
  assertInstanceOf(range, RangeError);
  assertInstanceOf(limit, ArgumentRangeError);
  assert(isManifestError(type) && isManifestError(range) && isManifestError(limit));
  assertEquals([type.code, range.code, limit.code], ["INVALID_ARGUMENT", "INVALID_ARGUMENT", "LIMIT"]);
  assertEquals([type.name, range.name, type.kind, type.outcome], ["TypeError", "RangeError", "usage", "not_applied"]);
  assertEquals(JSON.parse(JSON.stringify(range)).detail, { value: "1152921504606846976" });
});

test("isManifestError: is false for every other value", () => {
  for (const value of [new Error("x"), new TypeError("x"), { code: "LOCKED" }, null, undefined, "LOCKED", 5]) {
    assertFalse(isManifestError(value));
  }
});

test("ManifestError.toJSON: paths lose their directories, bytes become short hex, secrets and cause messages stay out", () => {
  const error = assertThrows(() =>
    fail("IO_READ", 'Cannot read "x": input or output failed (EIO)', {
      cause: Object.assign(new Error("EIO: /home/somebody/x"), { code: "EIO" }),
      detail: {
        file: "/home/somebody/x.waybill",
        nested: { path: "C:\\Users\\somebody\\x.waybill", accessKeyId: "canary-1", list: [1, 2n, { token: "canary-2" }] },
        short: Uint8Array.of(0, 255),
        long: new Uint8Array(100).fill(1),
        text: "y".repeat(1000),
        nothing: undefined,
        action: () => 1,
        number: NaN,
        inner: new Error("/home/somebody/y"),
        deep: { a: { b: { c: { d: { e: 1 } } } } },
      },
    })
  );
  const text = JSON.stringify(error);
  assertFalse(/somebody|canary/.test(text), text);
  const { detail, cause } = JSON.parse(text);
  assertEquals([detail.file, detail.nested.path, detail.short], ["x.waybill", "x.waybill", "00ff"]);
  assert(detail.long.length < 90 && detail.text.length < 300);
  assertEquals([detail.nested.list[1], detail.number], ["2", "NaN"]);
  assertEquals(cause, { name: "Error", code: "EIO" });
});

test("baseName: is the last part of any path", () => {
  const cases = [["a/b/c", "c"], ["c", "c"], ["/a/b/", "b"], ["/", ""], ["", ""], ["C:\\x\\y.z", "y.z"], ["a//b//", "b"]];
  for (const [path, name] of cases) assertEquals(baseName(path!), name!);
});

test("invariant: throws INVARIANT when the condition is false", () => {
  invariant(true, "never");
  const error = assertThrows(() => invariant(0, "the count is zero"));
  assert(isManifestError(error) && error.code === "INVARIANT" && error.kind === "internal" && error.outcome === "unknown");
});
