// Whatever a public function is given, what it throws is an error of this package, and speaks of no key, value or folder.
import { assert } from "@std/assert";
import * as api from "../../mod.ts";
import { isManifestError, Manifest, type ManifestOptions } from "../../mod.ts";
import { LsmCatalog, LsmEdit, LsmTransaction, LsmVersion } from "../../src/catalogs/lsm/mod.ts";
import { FlushController, ManifestFlushSink } from "../../src/flush/mod.ts";
import { MemoryFile, MemoryStorage } from "../../src/storage/memory.ts";
import { testEnvironment } from "../support/environment.ts";
import { settle } from "../support/gated_storage.ts";
import { test } from "../support/harness.ts";
import { type Random, seeded } from "../support/random.ts";

const CANARY = "cAnArY-7f3a";
const HEX = Array.from(new TextEncoder().encode(CANARY), (byte) => byte.toString(16).padStart(2, "0")).join("");
const { defineTable, text, u53, custom, bytes } = api;

const notes = defineTable({ name: "notes", key: [u53("db"), text("path")], value: { body: text(), data: bytes() } });
const odd = defineTable({
  name: "odd",
  key: [text("path")],
  value: { at: custom(text(), { encode: (value: unknown) => String((value as { name: string }).name), decode: (value) => value }) },
});

/** Names are shown in errors on purpose: those of tables, cursors, fields and files. */
const SHOWS_NAMES =
  /^(Manifest\.(open$|dropTable|registerChangeCursor|follow|changes|tableDefinition)|api\.|memory)|putJob|enqueueJob|registerChangeCursor/;

function thrower(): object {
  const fail = (): never => {
    throw new Error(`${CANARY} from a getter`);
  };
  return new Proxy({}, { get: fail, has: fail, ownKeys: fail, getOwnPropertyDescriptor: fail, getPrototypeOf: fail });
}

/** An object all of whose usual options throw when they are read. */
function getters(): object {
  const names = [
    "signal",
    "name",
    "key",
    "limit",
    "prefix",
    "fileName",
    "chunks",
    "kind",
    "from",
    "type",
    "create",
    "db",
    "originDb",
    "timeoutMs",
  ];
  const out = {};
  for (const name of names) {
    Object.defineProperty(out, name, {
      enumerable: true,
      get: () => {
        throw new RangeError(`${CANARY} from ${name}`);
      },
    });
  }
  return out;
}

type Make = (random: Random) => unknown;

const JUNK: readonly Make[] = [
  () => undefined,
  () => null,
  () => NaN,
  () => Infinity,
  () => -1,
  () => 0,
  () => 1,
  () => 1.5,
  () => 2 ** 53,
  () => -0,
  () => 10n ** 30n,
  () => Symbol(CANARY),
  () => true,
  () => CANARY,
  () => "",
  () => "\ud800",
  () => `${CANARY}${"x".repeat(1 << 16)}`,
  () => "__proto__",
  () => new TextEncoder().encode(CANARY),
  () => new Uint8Array(2000),
  () => new Float64Array(2),
  () => [],
  () => [CANARY],
  () => [1, CANARY],
  () => [1, 2, 3, 4, 5],
  () => Array(3),
  () => new Array(1 << 20),
  () => ({}),
  () => ({ body: CANARY }),
  () => ({ [Symbol.toPrimitive]: () => CANARY }),
  () => ({ chunks: [{ chunkId: CANARY }] }),
  () => ({ signal: CANARY }),
  () => ({ signal: { aborted: false, addEventListener: CANARY } }),
  () => ({ prefix: CANARY, gt: Symbol() }),
  () => ({ prefix: [Symbol(CANARY)] }),
  () => ({ nonsense: CANARY }),
  () => ({ limit: CANARY, reverse: 1 }),
  () => ({ name: 5, type: 7, schema: new Uint8Array(3) }),
  () => ({ name: "notes", schema: new Uint8Array([1, 2, 3]) }),
  () => Object.create(null),
  () => new Map([[CANARY, 1]]),
  () => new Date(NaN),
  () => new Error(CANARY),
  () => () => CANARY,
  () => () => {
    throw new RangeError(CANARY);
  },
  () => () => Promise.reject(new TypeError(CANARY)),
  () => ({ then: (resolve: (value: unknown) => void) => resolve(CANARY) }),
  () => class {},
  () => thrower(),
  () => getters(),
  () => new Proxy([], {}),
  // Now and then something right, so that what comes behind is reached.
  () => notes,
  () => odd,
  () => api.databases,
  () => api.changeLog,
  () => [1, "a"],
  () => ({ body: "b", data: new Uint8Array(1) }),
  () => ({ name: "a database" }),
  () => ({ fileName: "f" }),
  () => 2,
  () => ({ at: thrower() }),
  () => AbortSignal.abort(CANARY),
];

class Calls {
  readonly #random: Random;
  readonly wrong: string[] = [];
  made = 0;
  refused = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  junk(): unknown {
    return this.#random.pick(JUNK)(this.#random);
  }

  arguments(): unknown[] {
    return Array.from({ length: this.#random.int(4) }, () => this.junk());
  }

  judge(what: string, error: unknown): void {
    this.refused++;
    if (!isManifestError(error)) {
      this.wrong.push(`${what}: ${error instanceof Error ? error.stack : String(error)}`);
      return;
    }
    if (error.code === "CORE_TRAP" || error.code === "INVARIANT") this.wrong.push(`${what}: ${error.stack}`);
    if (SHOWS_NAMES.test(what)) return;
    const said = `${error.message} ${JSON.stringify(error)} ${String(error)}`;
    if (said.includes(CANARY) || said.includes(HEX)) this.wrong.push(`${what} tells what it must not: ${said.slice(0, 300)}`);
  }

  /** Makes a call and everything that its result can do. What never comes is not waited for. */
  async call(what: string, body: () => unknown): Promise<unknown> {
    this.made++;
    try {
      let result = body();
      if (result instanceof Promise) result = await soon(result);
      if (typeof result !== "object" || result === null) return result;
      if (Symbol.asyncIterator in result) await soon((result as AsyncIterable<unknown>)[Symbol.asyncIterator]().next());
      else if (result instanceof api.Range) { for (const _ of result) break; }
      return result;
    } catch (error) {
      this.judge(what, error);
      return undefined;
    }
  }
}

/** A promise's result, or undefined when it waits for more than what is under way: with this storage and this environment everything lives in microtasks. */
function soon(promise: Promise<unknown>): Promise<unknown> {
  promise.catch(() => {});
  return Promise.race([promise, settle(300)]);
}

/** Names of an object's methods, those of its parents included. */
function methodsOf(prototype: object): string[] {
  const names = new Set<string>();
  for (let at = prototype; at !== Object.prototype && at !== null; at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === "function" && name !== "constructor" && !["source", "openSource"].includes(name)) names.add(name);
    }
  }
  return [...names].sort();
}

function options(more: ManifestOptions = {}): ManifestOptions {
  return { create: true, idleCheckpoint: 0, environment: testEnvironment(5), cacheBytes: 1 << 20, ...more };
}

function invoke(target: object, name: string, args: readonly unknown[]): unknown {
  return (target as Record<string, (...args: unknown[]) => unknown>)[name]!(...args);
}

async function onManifest(calls: Calls, rounds: number): Promise<void> {
  const manifest = await Manifest.open(new MemoryStorage(new MemoryFile()), options());
  await manifest.createTable(notes);
  await manifest.begin().put(odd, ["a"], { at: { name: "x" } }).putDb(1, { name: "d" }).commit();
  for (let round = 0; round < rounds; round++) {
    for (const name of methodsOf(Manifest.prototype)) {
      if (name === "close" || name === "subscribe") continue; // what a listener throws is to surface
      await calls.call(`Manifest.${name}`, () => invoke(manifest, name, calls.arguments()));
    }
    using view = manifest.read();
    for (const name of methodsOf(api.ReadTransaction.prototype)) {
      if (name !== "close") await calls.call(`ReadTransaction.${name}`, () => invoke(view, name, calls.arguments()));
    }
    for (const name of methodsOf(api.ManifestTxn.prototype)) {
      const txn = manifest.begin();
      await calls.call(`ManifestTxn.${name}`, () => invoke(txn, name, calls.arguments()));
      await calls.call(`ManifestTxn.${name}, committed`, () => txn.commit());
    }
    for (const name of methodsOf(api.Transaction.prototype)) {
      await calls.call(`transact ${name}`, () => manifest.transact((txn) => void invoke(txn, name, calls.arguments())));
      await calls.call(`transact ${name} and read`, () =>
        manifest.transact((txn) => {
          invoke(txn, name, calls.arguments());
          txn.get(notes, calls.junk() as never);
        }));
    }
  }
  await manifest.begin().putDb(77, { name: "still there" }).commit();
  assert((await manifest.check({ level: "deep" })).ok);
  await manifest.close();
}

async function onLsm(calls: Calls, random: Random, rounds: number): Promise<void> {
  const manifest = await Manifest.open(new MemoryStorage(new MemoryFile()), options());
  const catalog = await LsmCatalog.open(manifest);
  const fields = ["id", "level", "minKey", "maxKey", "sizeBytes", "entries", "minLsn", "maxLsn", "createdAt"];
  /** A table that is right but for one field. */
  const table = (): unknown => {
    const key = new TextEncoder().encode(CANARY);
    return { id: random.int(9), level: random.int(3), minKey: key, maxKey: key, [random.pick(fields)]: calls.junk() };
  };
  for (let round = 0; round < rounds; round++) {
    await calls.call("LsmCatalog.open", () => LsmCatalog.open(...calls.arguments() as [Manifest]));
    await calls.call("LsmCatalog.open", () => LsmCatalog.open(manifest, calls.junk() as never));
    for (const name of methodsOf(LsmCatalog.prototype)) {
      await calls.call(`LsmCatalog.${name}`, () => invoke(catalog, name, calls.arguments()));
    }
    await calls.call("LsmCatalog.addSst of a table", () => catalog.addSst(table() as never));
    await calls.call("LsmCatalog.flush of a table", () => catalog.flush({ sst: table() as never, lsn: calls.junk() as never }));
    await calls.call(
      "LsmCatalog.applyCompaction of tables",
      () => catalog.applyCompaction({ added: [table()] as never, removed: [1, calls.junk()] as never }),
    );
    using version = catalog.pin();
    for (const name of methodsOf(LsmVersion.prototype)) {
      if (name !== "close") await calls.call(`LsmVersion.${name}`, () => invoke(version, name, calls.arguments()));
    }
    for (const name of methodsOf(LsmEdit.prototype)) {
      const edit = catalog.edit();
      await calls.call(`LsmEdit.${name}`, () => invoke(edit, name, calls.arguments()));
      await calls.call(`LsmEdit.${name}, committed`, () => edit.commit());
    }
    for (const name of methodsOf(LsmTransaction.prototype)) {
      await calls.call(
        `LsmTransaction.${name}`,
        () => manifest.transact((txn) => void invoke(catalog.within(txn), name, calls.arguments())),
      );
    }
  }
  assert(catalog.listSsts().length === catalog.countSsts());
  await manifest.close();
}

async function onTheRest(calls: Calls, random: Random, rounds: number): Promise<void> {
  const builders = [
    ...["fixedBytes", "vector", "enumOf", "optional", "list", "record", "union", "tuple", "named", "custom", "defineTable"],
    ...["u8", "u53", "text", "bytes", "memoryStorage", "isManifestError"],
  ];
  for (let round = 0; round < rounds; round++) {
    for (const name of builders) await calls.call(`api.${name}`, () => invoke(api, name, calls.arguments()));
    await calls.call(
      "api.defineTable of parts",
      () => defineTable({ name: "t", key: [u53("a"), calls.junk()], value: { x: calls.junk() } } as never),
    );
    await calls.call("ChangeCache", () => new api.ChangeCache(calls.junk() as never));
    await calls.call("Manifest.open", () => Manifest.open(calls.junk() as never, calls.junk() as never));
    const names = [
      "create",
      "cacheBytes",
      "durability",
      "environment",
      "wasm",
      "logRetention",
      "changeCache",
      "pollMs",
      "pageSize",
      "expectSequence",
    ];
    await calls.call("Manifest.open with an option", async () => {
      const option = { [random.pick(names)]: calls.junk() };
      await (await Manifest.open(new MemoryStorage(new MemoryFile()), options(option as never))).close();
    });
    await calls.call(
      "Manifest.open at a path",
      () => Manifest.open(`/nowhere/${CANARY}-folder/file.waybill`, { create: random.chance(0.5) }),
    );
    await calls.call("FlushController", () => new FlushController(calls.junk() as never));
    await calls.call("ManifestFlushSink", () => new ManifestFlushSink(calls.junk() as never, calls.junk() as never));
    const controller = new FlushController({ flush: () => {}, sink: { apply: () => Promise.resolve() }, environment: testEnvironment(6) });
    for (const name of ["enqueue", "ready", "close"]) {
      await calls.call(`FlushController.${name}`, () => invoke(controller, name, calls.arguments()));
    }
  }
}

for (const seed of [20261121, 20261122, 20261123]) {
  test(`public functions: whatever they are given, they throw errors of this package, which hold no key, value or folder, seed ${seed}`, async () => {
    const random = seeded(seed);
    const calls = new Calls(random);
    await onManifest(calls, 8);
    await onLsm(calls, random, 12);
    await onTheRest(calls, random, 60);
    console.log(`seed ${seed}: ${calls.made} calls, ${calls.refused} refused`);
    assert(calls.wrong.length === 0, `${calls.wrong.length} wrong: ${[...new Set(calls.wrong)].slice(0, 12).join("\n\n")}`);
    assert(calls.refused > 2000, `${calls.refused}`);
  });
}
