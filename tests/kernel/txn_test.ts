// Bodies that no encoder makes: the applier refuses them and the private version can be dropped as if they had never come.
import { assert, assertEquals } from "@std/assert";
import { CORRUPT_RECORD, CTRL_TREE, EFFECT_DELETE_RANGE, EFFECT_DROP_TABLE, EFFECT_PUT, OK } from "../../assembly/format.ts";
import { test } from "../support/harness.ts";
import { KernelDisk, rawBody } from "../support/kernel_disk.ts";
import { seeded } from "../support/random.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function started(): KernelDisk {
  const disk = new KernelDisk(12, 64);
  assertEquals(disk.kernel.exports.stateNew(8), OK);
  assertEquals(apply(disk, rawBody([{ kind: EFFECT_PUT, table: 20, key: bytes("a"), value: bytes("1") }])), OK);
  disk.seal();
  return disk;
}

/** Puts a body at the very end of the arena's block, so that reading behind it shows. */
function apply(disk: KernelDisk, body: Uint8Array): number {
  const x = disk.kernel.exports;
  const at = (x.arena(1 << 17) >>> 0) + (1 << 17) - body.length;
  disk.kernel.u8.set(body, at);
  const loaded = x.txnLoad(at, body.length);
  return loaded === OK ? disk.run(() => x.txnApply()) : loaded;
}

function rows(disk: KernelDisk): number {
  const x = disk.kernel.exports;
  disk.must(() => x.treeOpen(x.versionPublished(), 20), "treeOpen");
  const tree = disk.kernel.word(CTRL_TREE);
  const n = x.treeRows(tree);
  x.treeClose(tree);
  return n;
}

test("txnApply refuses an effect whose key or value would reach behind the body", () => {
  const good = rawBody([{ kind: EFFECT_PUT, table: 20, key: bytes("key"), value: bytes("value") }]);
  for (const [at, value] of [[39, 9], [39, 127], [43, 6], [43, 127]] as const) {
    const disk = started();
    const body = good.slice();
    body[at] = value;
    assertEquals(apply(disk, body), CORRUPT_RECORD);
    disk.kernel.exports.groupDiscard();
    disk.kernel.exports.groupClear();
    assertEquals(disk.kernel.exports.versionSequence(-1), 0);
    assertEquals(rows(disk), 1);
  }
});

test("txnApply refuses headers, kinds, tables and keys that no encoder writes", () => {
  const long = new Uint8Array(1025);
  for (
    const body of [
      new Uint8Array(10),
      new Uint8Array(36),
      rawBody([{ kind: 9, table: 20, key: bytes("k") }]),
      rawBody([{ kind: EFFECT_PUT, table: 0, key: bytes("k"), value: bytes("v") }]),
      rawBody([{ kind: EFFECT_PUT, table: 20, key: long, value: bytes("v") }]),
      rawBody([{ kind: EFFECT_DELETE_RANGE, table: 20, key: bytes("a") }]),
      rawBody([{ kind: EFFECT_PUT, table: 20, key: bytes("k"), value: bytes("v") }, { kind: EFFECT_PUT, table: 20, key: bytes("k") }]),
    ]
  ) {
    const disk = started();
    assertEquals(apply(disk, body), CORRUPT_RECORD);
    disk.kernel.exports.groupDiscard();
    disk.kernel.exports.groupClear();
    assertEquals(rows(disk), 1);
    assertEquals(apply(disk, rawBody([{ kind: EFFECT_PUT, table: 20, key: bytes("b"), value: bytes("2") }])), OK);
    disk.seal();
    assertEquals(rows(disk), 2);
  }
});

test("txnApply never traps on damaged bodies and leaves nothing behind when they are dropped", () => {
  const random = seeded(20261120);
  const disk = started();
  const good = rawBody([
    { kind: EFFECT_PUT, table: 20, key: bytes("one"), value: bytes("first value") },
    { kind: EFFECT_PUT, table: 21, key: bytes("two"), value: new Uint8Array(3000) },
    { kind: EFFECT_DELETE_RANGE, table: 20, key: bytes("a"), value: bytes("b") },
    { kind: EFFECT_DROP_TABLE, table: 21, key: new Uint8Array(0) },
  ], 3);
  let refused = 0;
  for (let i = 0; i < 20_000; i++) {
    const body = good.slice(0, random.chance(0.2) ? random.int(good.length) : good.length);
    for (let n = random.int(4); n > 0 && body.length > 0; n--) body[random.int(Math.min(body.length, 100))] = random.int(256);
    if (apply(disk, body) !== OK) refused++;
    disk.kernel.exports.groupDiscard();
    disk.kernel.exports.groupClear();
  }
  assert(refused > 5000, `only ${refused} refused`);
  assertEquals(rows(disk), 1);
  disk.freeze();
  assertEquals(disk.check(disk.finish(), 8), []);
});
