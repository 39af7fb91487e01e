// What it means to be a storage adapter: one suite that every adapter passes. A new adapter is done when `storageSuite` passes with it.
import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { type ErrorCode, isManifestError, type ManifestErrorFields } from "../../src/errors.ts";
import type { Durability, LockRequest, Storage } from "../../src/storage/storage.ts";
import { test } from "./harness.ts";
import { seeded } from "./random.ts";

/** One storage under test: bytes that can be opened many times. */
export interface StorageSubject {
  /** Opens the bytes; the first time they are made. */
  open(options?: { readOnly?: boolean }): Storage;
  /** Removes them. */
  dispose(): void;
}

/** An adapter under test. */
export interface StorageAdapter {
  /** Name of the class, first in every test's name. */
  name: string;
  /** A subject that does not exist yet. */
  make(): StorageSubject;
  /** What its sync may promise. */
  durability: readonly Durability[];
  /** Whether a gap of gigabytes costs no space. */
  sparse: boolean;
}

/** A claim request for tests. */
export function lockRequest(nonce = "nonce-of-a-test-0"): LockRequest {
  return { now: Date.UTC(2026, 0, 2, 3, 4, 5), nonce };
}

/** Asserts that an action throws an error of this package with this code, and returns the error. */
export function assertCode(code: ErrorCode, action: () => unknown): ManifestErrorFields {
  const error = assertThrows(action);
  assert(isManifestError(error), `not an error of the package: ${error}`);
  assertEquals(error.code, code, error.message);
  return error;
}

/** As {@linkcode assertCode} for promises. */
export async function assertCodeAsync(code: ErrorCode, action: () => Promise<unknown>): Promise<ManifestErrorFields> {
  const error = await assertRejects(action);
  assert(isManifestError(error), `not an error of the package: ${error}`);
  assertEquals(error.code, code, error.message);
  return error;
}

const GIB = 1024 * 1024 * 1024;

/** Registers the suite for an adapter. */
export function storageSuite(adapter: StorageAdapter): void {
  const check = (rule: string, body: (subject: StorageSubject, storage: Storage) => void | Promise<void>): void =>
    test(`${adapter.name}.${rule}`, async () => {
      const subject = adapter.make();
      const storage = subject.open();
      try {
        await body(subject, storage);
      } finally {
        storage.close();
        subject.dispose();
      }
    });

  check("open: a new storage is empty and says what it is", (subject, storage) => {
    assertEquals([storage.size(), storage.created, storage.readOnly], [0, true, false]);
    assert(adapter.durability.includes(storage.durability), storage.durability);
    assert(storage.name.length > 0 && !storage.name.includes("/"), storage.name);
    const again = subject.open();
    assertEquals([again.identity, again.created], [storage.identity, false]);
    again.close();
  });

  check("identity: two storages differ", (_subject, storage) => {
    const other = adapter.make();
    const opened = other.open();
    assertNotEquals(opened.identity, storage.identity);
    opened.close();
    other.dispose();
  });

  check("read: answers what was written, at any offset and length", (_subject, storage) => {
    const random = seeded(1);
    const model = random.bytes(300_000);
    storage.write(0, model);
    for (let i = 0; i < 200; i++) {
      const at = random.int(model.length), length = random.int(100_000);
      const into = new Uint8Array(length);
      const got = storage.read(at, into);
      assertEquals(got, Math.min(length, model.length - at));
      assertEquals(into.subarray(0, got), model.subarray(at, at + got));
    }
  });

  check("read: into a view touches the view alone", (_subject, storage) => {
    storage.write(0, new Uint8Array(100).fill(7));
    const whole = new Uint8Array(64).fill(1);
    assertEquals(storage.read(10, whole.subarray(16, 32)), 16);
    assertEquals(whole, new Uint8Array(64).fill(1).fill(7, 16, 32));
  });

  check("read: ends where the storage ends and leaves the rest of the target alone", (_subject, storage) => {
    storage.write(0, new Uint8Array(10).fill(7));
    const into = new Uint8Array(8).fill(1);
    assertEquals(storage.read(6, into), 4);
    assertEquals([...into], [7, 7, 7, 7, 1, 1, 1, 1]);
    assertEquals(storage.read(10, into), 0);
    assertEquals(storage.read(5000, into), 0);
    assertEquals(storage.read(0, new Uint8Array(0)), 0);
  });

  check("read: goes into WebAssembly memory that has grown", (_subject, storage) => {
    storage.write(0, new Uint8Array(70_000).fill(9));
    const memory = new WebAssembly.Memory({ initial: 1 });
    assertEquals(storage.read(0, new Uint8Array(memory.buffer, 100, 1000)), 1000);
    memory.grow(3);
    assertEquals(storage.read(0, new Uint8Array(memory.buffer, 65_000, 70_000)), 70_000);
    const all = new Uint8Array(memory.buffer);
    assertEquals([all[99], all[100], all[1099], all[1100], all[134_999], all[135_000]], [0, 9, 9, 0, 9, 0]);
    storage.write(70_000, new Uint8Array(memory.buffer, 100, 1000));
    assertEquals(storage.size(), 71_000);
  });

  check("write: takes the view's bytes alone and keeps no reference to them", (_subject, storage) => {
    const whole = Uint8Array.from({ length: 100 }, (_, i) => i);
    storage.write(0, whole.subarray(10, 20));
    whole.fill(99);
    assertEquals(storage.size(), 10);
    const into = new Uint8Array(10);
    storage.read(0, into);
    assertEquals([...into], [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });

  check("write: overwrites its range and nothing beside it", (_subject, storage) => {
    const random = seeded(2);
    const model = new Uint8Array(200_000);
    for (let i = 0; i < 300; i++) {
      const at = random.int(150_000), data = random.bytes(random.int(random.chance(0.1) ? 50_000 : 5000));
      storage.write(at, data);
      model.set(data, at);
    }
    const size = storage.size();
    const into = new Uint8Array(size);
    assertEquals(storage.read(0, into), size);
    assertEquals(into, model.subarray(0, size));
  });

  check("write: beyond the end grows the storage, and the gap reads as zeros", (_subject, storage) => {
    storage.write(5, Uint8Array.of(1));
    assertEquals(storage.size(), 6);
    storage.write(300_000, Uint8Array.of(2));
    assertEquals(storage.size(), 300_001);
    const into = new Uint8Array(299_994).fill(9);
    assertEquals(storage.read(6, into), into.length);
    assert(into.every((value) => value === 0));
  });

  check("write: of nothing changes nothing", (_subject, storage) => {
    storage.write(1000, new Uint8Array(0));
    assertEquals(storage.size(), 0);
  });

  check("truncate: cuts, and what grows again reads as zeros", (_subject, storage) => {
    storage.write(0, new Uint8Array(200_000).fill(7));
    storage.truncate(70_001);
    assertEquals(storage.size(), 70_001);
    storage.truncate(150_000);
    assertEquals(storage.size(), 150_000);
    const into = new Uint8Array(150_000);
    assertEquals(storage.read(0, into), 150_000);
    assert(into.subarray(0, 70_001).every((value) => value === 7));
    assert(into.subarray(70_001).every((value) => value === 0));
    storage.truncate(0);
    assertEquals(storage.size(), 0);
    assertEquals(storage.read(0, into), 0);
  });

  if (adapter.sparse) {
    check("write: offsets beyond 4 GiB are exact", (_subject, storage) => {
      const at = 5 * GIB + 12_345;
      storage.write(0, Uint8Array.of(1, 2, 3));
      storage.write(at, Uint8Array.of(4, 5, 6));
      assertEquals(storage.size(), at + 3);
      const into = new Uint8Array(3);
      assertEquals([storage.read(at, into), ...into], [3, 4, 5, 6]);
      assertEquals([storage.read(0, into), ...into], [3, 1, 2, 3]);
      assertEquals([storage.read(at - 4 * GIB, into), ...into], [3, 0, 0, 0]);
      assertEquals([storage.read(at + 2, into), into[0]], [1, 6]);
      storage.truncate(4 * GIB + 1);
      assertEquals(storage.size(), 4 * GIB + 1);
      storage.sync();
      storage.truncate(3);
    });
  }

  check("read: refuses offsets that are not whole numbers from 0 to 2^53 - 1", (_subject, storage) => {
    for (const at of [-1, 0.5, NaN, Infinity, 2 ** 53, Number.MAX_SAFE_INTEGER]) {
      for (const action of [() => storage.read(at, new Uint8Array(1)), () => storage.write(at, new Uint8Array(1))]) {
        assert(assertCode("INVALID_ARGUMENT", action) instanceof RangeError);
      }
    }
    assertCode("INVALID_ARGUMENT", () => storage.truncate(-1));
    assertEquals(storage.size(), 0);
  });

  check("sync: may follow anything and repeat", async (_subject, storage) => {
    storage.sync();
    storage.write(0, new Uint8Array(5000));
    storage.sync();
    storage.sync();
    await storage.syncAsync();
    storage.truncate(10);
    await storage.syncAsync();
    assertEquals(storage.size(), 10);
  });

  check("syncAsync: reads and writes go on while it runs", async (_subject, storage) => {
    storage.write(0, new Uint8Array(2_000_000).fill(3));
    const syncing = storage.syncAsync();
    storage.write(0, Uint8Array.of(8));
    const into = new Uint8Array(2);
    storage.read(0, into);
    assertEquals([...into], [8, 3]);
    await syncing;
    assertEquals(storage.size(), 2_000_000);
  });

  check("close: while a sync runs lets it end well", async (subject, storage) => {
    storage.write(0, new Uint8Array(1_000_000).fill(3));
    const syncing = storage.syncAsync();
    storage.close();
    await syncing;
    const again = subject.open();
    assertEquals(again.size(), 1_000_000);
    again.close();
  });

  check("close: another handle finds the bytes", (subject, storage) => {
    storage.write(0, Uint8Array.of(1, 2, 3));
    storage.close();
    const again = subject.open();
    const into = new Uint8Array(3);
    assertEquals([again.read(0, into), ...into], [3, 1, 2, 3]);
    again.close();
  });

  check("close: twice is once, and every later call is HANDLE_CLOSED", async (_subject, storage) => {
    storage.close();
    storage.close();
    assertEquals(assertCode("HANDLE_CLOSED", () => storage.size()).handle, "closed");
    assertCode("HANDLE_CLOSED", () => storage.read(0, new Uint8Array(1)));
    assertCode("HANDLE_CLOSED", () => storage.write(0, new Uint8Array(1)));
    assertCode("HANDLE_CLOSED", () => storage.truncate(0));
    assertCode("HANDLE_CLOSED", () => storage.sync());
    assertCode("HANDLE_CLOSED", () => storage.lock(lockRequest()));
    await assertCodeAsync("HANDLE_CLOSED", () => storage.syncAsync());
  });

  check("open: for reading only refuses every change and changes nothing", async (subject, storage) => {
    storage.write(0, Uint8Array.of(1, 2, 3));
    const reader = subject.open({ readOnly: true });
    assertEquals([reader.readOnly, reader.size()], [true, 3]);
    assertCode("READ_ONLY", () => reader.write(0, Uint8Array.of(9)));
    assertCode("READ_ONLY", () => reader.truncate(0));
    assertCode("READ_ONLY", () => reader.sync());
    assertCode("READ_ONLY", () => reader.lock(lockRequest()));
    await assertCodeAsync("READ_ONLY", () => reader.syncAsync());
    storage.write(3, Uint8Array.of(4));
    const into = new Uint8Array(4);
    assertEquals([reader.read(0, into), ...into], [4, 1, 2, 3, 4]);
    reader.close();
  });

  check("lock: a second handle of this process is LOCKED and told who holds it", (subject, storage) => {
    const lock = storage.lock(lockRequest("nonce-of-the-first"));
    assertEquals([lock.holder.nonce, lock.holder.since, lock.previous], ["nonce-of-the-first", "2026-01-02T03:04:05.000Z", undefined]);
    lock.verify();
    const second = subject.open();
    const error = assertCode("LOCKED", () => second.lock(lockRequest("nonce-of-the-other")));
    assertEquals((error.detail.holder as { nonce: string }).nonce, "nonce-of-the-first");
    assertEquals([error.kind, error.outcome, error.retryable], ["conflict", "not_applied", true]);
    assertCode("LOCKED", () => storage.lock(lockRequest()));
    lock.verify();
    second.close();
  });

  check("lock: release and close both give it back, and a lock given back is FENCED", (subject, storage) => {
    const first = storage.lock(lockRequest());
    first.release();
    first.release();
    assertCode("FENCED", () => first.verify());
    const second = subject.open();
    second.lock(lockRequest("nonce-of-the-second")).verify();
    second.close();
    const third = storage.lock(lockRequest("nonce-of-the-third"));
    assertEquals(third.previous, undefined);
    third.verify();
    third.release();
  });
}
