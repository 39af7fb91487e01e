// Where there are no durable files, the file adapter says so; everything it takes from the runtime can be missing.
import { assert, assertEquals } from "@std/assert";
import { hasFiles, openFile } from "../../src/storage/file.ts";
import { builtinModule, runtimeName } from "../../src/storage/platform.ts";
import { test } from "../support/harness.ts";
import { currentRuntime } from "../support/runtimes.ts";
import { assertCode } from "../support/storage_suite.ts";

function withGlobal(target: object, name: string, value: unknown, body: () => void): void {
  const before = Object.getOwnPropertyDescriptor(target, name);
  Object.defineProperty(target, name, { value, configurable: true, writable: true });
  try {
    body();
  } finally {
    if (before === undefined) delete (target as Record<string, unknown>)[name];
    else Object.defineProperty(target, name, before);
  }
}

test("runtimeName: names the runtime that runs this", () => {
  assertEquals(runtimeName(), currentRuntime());
  assert(hasFiles());
  assert(builtinModule("node:fs") !== undefined);
  assertEquals(builtinModule("node:no-such-module"), undefined);
});

test("openFile: is RUNTIME_UNSUPPORTED in workerd, even where that offers a node:fs", () => {
  withGlobal(globalThis, "navigator", { userAgent: "Cloudflare-Workers" }, () => {
    assertEquals([runtimeName(), hasFiles()], ["workerd", false]);
    const error = assertCode("RUNTIME_UNSUPPORTED", () => openFile("/tmp/never-made", { create: true }));
    assertEquals([error.kind, error.detail.runtime], ["config", "workerd"]);
  });
});

test("openFile: is RUNTIME_UNSUPPORTED where there is no node:fs", () => {
  withGlobal((globalThis as unknown as { process: object }).process, "getBuiltinModule", undefined, () => {
    assertEquals(hasFiles(), false);
    assertCode("RUNTIME_UNSUPPORTED", () => openFile("/tmp/never-made", { create: true }));
  });
});
