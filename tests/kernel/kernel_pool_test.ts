// Kernels that stages use again: behind a reset one is what a new one is.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { kernelModule } from "../../src/kernel/loader.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { stageRaw } from "../../src/store/raw_ops.ts";
import { Store } from "../../src/store/store.ts";
import { testEnvironment } from "../support/environment.ts";
import { test } from "../support/harness.ts";
import { recycling } from "../support/kernel_pool.ts";

const made: WebAssembly.Instance[] = [];

/** Everything that a kernel may remember: its globals, and its memory as far as it is not zero. */
function stateOf({ exports }: WebAssembly.Instance): { globals: [string, unknown][]; used: number } {
  const bytes = new Uint8Array((exports.memory as WebAssembly.Memory).buffer);
  return {
    globals: Object.entries(exports).filter(([, value]) => value instanceof WebAssembly.Global).map((
      [name, global],
    ) => [name, (global as WebAssembly.Global).value]),
    used: bytes.findLastIndex((byte) => byte !== 0) + 1,
  };
}

/** Notes the instances that are made while `run` is under way. */
async function noting(run: () => Promise<unknown>): Promise<WebAssembly.Instance[]> {
  const pooled = WebAssembly.Instance;
  const from = made.length;
  WebAssembly.Instance = function (module: WebAssembly.Module, imports: WebAssembly.Imports): WebAssembly.Instance {
    const instance = new pooled(module, imports);
    made.push(instance);
    return instance;
  } as unknown as typeof WebAssembly.Instance;
  try {
    await run();
  } finally {
    WebAssembly.Instance = pooled;
  }
  return made.slice(from);
}

const unused = (): Promise<WebAssembly.Instance[]> =>
  noting(() => recycling(async () => void await new WebAssembly.Instance(kernelModule(), {})));

/** A store of some pages: rows, an overflow value, a dropped table, a check, compacted. */
async function work(): Promise<void> {
  const store = await Store.open(new MemoryStorage(), { environment: testEnvironment(1), create: true });
  const table = await store.createTable("t", new Uint8Array(0));
  for (let i = 0; i < 40; i++) {
    const key = Uint8Array.of(i, 7), value = new Uint8Array(i === 20 ? 9000 : 100 + i).fill(i);
    await store.commit({ stage: () => stageRaw(store.kernel, [{ kind: "put", table, key, value }]) });
  }
  assertEquals((await store.check()).problems, []);
  await store.compact();
  await store.close();
}

test("kernel pool: a kernel that is used again is as a new one, memory and every global", async () => {
  const [fresh] = await unused();
  const first = stateOf(fresh!);
  assert(first.globals.length > 100, `${first.globals.length} globals that can change`);
  assertEquals(first.used, 0);
  for (let round = 0; round < 3; round++) {
    let dirty = 0, changed = 0;
    const used = await noting(() =>
      recycling(async () => {
        await work();
        for (const { used, globals } of made.map(stateOf)) {
          dirty = Math.max(dirty, used);
          changed = Math.max(changed, globals.filter(([, value], i) => value !== first.globals[i]![1]).length);
        }
      })
    );
    assert(used.length > 0 && dirty > 100_000 && changed > 20, `${used.length} kernels, ${dirty} bytes, ${changed} globals`);
    for (const instance of used) assertEquals(stateOf(instance), first);
  }
  const [again] = await unused();
  assert(made.indexOf(again!) < made.length - 1, "the last one was made before");
});

test("kernel pool: kernels of a case that has failed, and those made outside of one, are not used again", async () => {
  const failed = await noting(() => assertRejects(() => recycling(async () => (await work(), Promise.reject(new Error("failed"))))));
  const outside = await noting(work);
  const later = await noting(() => recycling(work));
  for (const instance of [...failed, ...outside]) assert(!later.includes(instance));
  assertEquals(outside[0]!.exports.reset, undefined);
  const twice = await noting(() => recycling(work));
  assert(twice.every((instance) => later.includes(instance)), "what the case before has given back is used first");
});
