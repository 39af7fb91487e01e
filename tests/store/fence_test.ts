// Without a lock of the operating system a writer can be taken over while it still believes itself alone. It must notice before it writes, and never acknowledge behind
// the takeover; the successor's journal lies where the predecessor does not write.
import { assert, assertEquals } from "@std/assert";
import { fail, type ManifestErrorFields } from "../../src/errors.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { type Receipt, Store } from "../../src/store/store.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import type { LockRequest, StorageLock } from "../../src/storage/storage.ts";
import { WrappedStorage } from "../support/counting_storage.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { seeded } from "../support/random.ts";

const encoder = new TextEncoder();
const TABLE = 16;

/** Storage whose lock is only a claim: taking it again takes it over. `blind`: the predecessor's claim looks valid to it. */
class ClaimedStorage extends WrappedStorage {
  static owners = new WeakMap<MemoryFile, ClaimedStorage>();
  readonly #file: MemoryFile;
  readonly #blind: boolean;

  constructor(file: MemoryFile, blind: boolean) {
    // Handles of one process know each other; these are to be processes of their own, so each has the bytes under an identity of its own.
    super(new MemoryStorage(file));
    this.#file = file;
    this.#blind = blind;
  }

  override lock(request: LockRequest): StorageLock {
    ClaimedStorage.owners.set(this.#file, this);
    const holder = { pid: 1, started: "", host: "", boot: "", runtime: "other", since: "", nonce: request.nonce };
    return {
      strength: "claim",
      holder,
      previous: undefined,
      verify: () => {
        if (!this.#blind && ClaimedStorage.owners.get(this.#file) !== this) fail("FENCED", "Cannot write: the claim was taken over");
      },
      release: () => {},
    };
  }
}

function put(store: Store, key: string): Promise<Receipt> {
  return store.commit({
    stage: () => stageRaw(store.kernel, [{ kind: "put", table: TABLE, key: encoder.encode(key), value: encoder.encode(key) }]),
  });
}

for (const blind of [false, true]) {
  test(`Store: a writer that was taken over is FENCED before it writes${blind ? ", even when its claim looks valid" : ""}`, async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = seeded(seed);
      const file = new MemoryFile();
      const open = (number: number): Promise<Store> =>
        Store.open(new ClaimedStorage(file, blind), {
          create: true,
          idleCheckpoint: 0,
          syncMode: "inline",
          environment: testEnvironment(seed * 10 + number),
        });
      const first = await open(1);
      const acknowledged: string[] = [];
      for (let i = random.int(30); i >= 0; i--) {
        await put(first, `first ${i}`);
        acknowledged.push(`first ${i}`);
        if (random.chance(0.1)) await first.checkpoint();
      }
      const second = await open(2);
      for (let i = random.int(10); i > 0; i--) {
        await put(second, `second ${i}`);
        acknowledged.push(`second ${i}`);
      }
      const result = await put(first, "late").catch((error: ManifestErrorFields) => error.code);
      assert(["FENCED", "READ_ONLY"].includes(result as string), `seed ${seed}: ${JSON.stringify(result)}`);
      assert(first.readOnly);
      await first.close().catch(() => {});
      for (let i = 0; i < 20; i++) {
        await put(second, `after ${i}`);
        acknowledged.push(`after ${i}`);
      }
      assertEquals((await second.check()).problems, [], `seed ${seed}`);
      await second.close();
      const third = await open(3);
      assert(third.recovery.clean);
      {
        using transaction = third.read();
        for (const key of acknowledged) assert(transaction.tree(TABLE).get(encoder.encode(key)) !== undefined, `seed ${seed}: ${key}`);
        assertEquals(transaction.tree(TABLE).get(encoder.encode("late")), undefined);
      }
      await third.close();
    }
  });
}
