// Durable pins: an owner keeps a version, or all of them, until a time, whatever becomes of the process.
import { assertEquals } from "@std/assert";
import { codeOf, errorOf } from "../../manifest/open_manifest.ts";
import { test } from "../../support/harness.ts";
import { filesIn, Place } from "./parts.ts";

test("pin: keeps a version across a crash until it is released", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  await place.commit({ a: "a2" });
  const pin = await place.catalog.pin({ owner: "backup", version: 1, ttlMs: 5000 });
  assertEquals([pin.owner, pin.version, pin.all, pin.since, pin.expiresAt - pin.since], ["backup", 1, false, place.clock.time, 5000]);
  const after = await place.crashed();
  assertEquals((await after.catalog.prune(1)).pinned, [1]);
  assertEquals((await after.catalog.verify({ version: 1 })).ok, true);
  // Begun again under the same name it is the same pin.
  after.clock.time += 1000;
  const again = await after.catalog.pin({ owner: "backup", version: 1, ttlMs: 5000 });
  assertEquals([again.since, again.expiresAt, after.catalog.pins().length], [pin.since, pin.expiresAt + 1000, 1]);
  await again.release();
  await again.release(); // a second time is no error
  assertEquals((await after.catalog.prune(1)).dropped, [1]);
  assertEquals(await filesIn(after.folder), ["a2"]);
  await place.manifest.close();
  await after.manifest.close();
});

test("pin: one whose time is over can be renewed until a prune has looked, and not behind it", async () => {
  const place = await Place.open();
  for (const path of ["a1", "a2"]) await place.commit({ a: path });
  const pin = await place.catalog.pin({ owner: "slow", version: 1, ttlMs: 100 });
  place.clock.time += 100; // over
  await pin.renew();
  assertEquals(pin.expiresAt, place.clock.time + 100);
  assertEquals((await place.catalog.prune(1)).pinned, [1]);
  await pin.renew(300);
  assertEquals(place.catalog.pins(), [{ owner: "slow", version: 1, all: false, since: pin.since, expiresAt: place.clock.time + 300 }]);
  place.clock.time += 300;
  assertEquals((await place.catalog.prune(1)).dropped, [1]);
  assertEquals(place.catalog.pins(), []);
  const error = await errorOf(() => pin.renew());
  assertEquals([error.code, error.detail], ["NOT_FOUND", { catalog: "default", version: 1 }]);
  await place.manifest.close();
});

test("pin: all keeps every version there is then, and none that comes later", async () => {
  const place = await Place.open();
  for (const path of ["a1", "a2", "a3"]) await place.commit({ a: path });
  await using pin = await place.catalog.pin({ owner: "backup", version: "all", ttlMs: 1000 });
  assertEquals([pin.version, pin.all], [3, true]);
  await place.commit({ a: "a4" });
  await place.commit({ a: "a5" });
  const { pinned, dropped } = await place.catalog.prune(1);
  assertEquals([pinned, dropped], [[1, 2, 3], [4]]);
  await pin.release();
  assertEquals((await place.catalog.prune(1)).dropped, [1, 2, 3]);
  await place.manifest.close();
});

test("pin: owners are apart, also on one version; each version of an owner is a pin of its own", async () => {
  const place = await Place.open();
  for (const path of ["a1", "a2"]) await place.commit({ a: path });
  const one = await place.catalog.pin({ owner: "one", version: 1, ttlMs: 1000 });
  const other = await place.catalog.pin({ owner: "other", version: 1, ttlMs: 1000 });
  await place.catalog.pin({ owner: "one", ttlMs: 1000 });
  assertEquals(place.catalog.pins().map(({ owner, version }) => `${owner} ${version}`), ["one 1", "one 2", "other 1"]);
  await one.release();
  assertEquals((await place.catalog.prune(1)).pinned, [1]);
  await other.release();
  assertEquals((await place.catalog.prune(1)).dropped, [1]);
  await place.manifest.close();
});

test("pin: staged into a transaction, taken and released with other rows", async () => {
  const place = await Place.open();
  await place.commit({ a: "a1" });
  const { value } = await place.manifest.transact((txn) => place.catalog.stagePin(txn, { owner: "job", ttlMs: 10 }));
  assertEquals([value.version, place.catalog.pins().length], [1, 1]);
  const { value: gone } = await place.manifest.transact((txn) =>
    [1, 2].map(() => place.catalog.stageUnpin(txn, { owner: "job", version: 1 }))
  );
  assertEquals([gone, place.catalog.pins()], [[true, false], []]);
  await place.manifest.close();
});

test("pin: refuses what is not there, and what is no pin", async () => {
  const place = await Place.open();
  assertEquals(await codeOf(() => place.catalog.pin({ owner: "a", ttlMs: 1 })), "NOT_FOUND");
  await place.commit({ a: "a1" });
  assertEquals(await codeOf(() => place.catalog.pin({ owner: "a", version: 2, ttlMs: 1 })), "NOT_FOUND");
  for (const request of [{ owner: "", ttlMs: 1 }, { owner: "x".repeat(129), ttlMs: 1 }, { owner: 1, ttlMs: 1 }]) {
    assertEquals(await codeOf(() => place.catalog.pin(request as never)), "NAME_INVALID");
  }
  for (const more of [{ ttlMs: 0 }, { ttlMs: "1" }, {}, { ttlMs: 1, version: "none" }, { ttlMs: 1, version: 0 }, { ttlMs: 1, x: 1 }]) {
    assertEquals(await codeOf(() => place.catalog.pin({ owner: "a", ...more } as never)), "INVALID_ARGUMENT");
  }
  const pin = await place.catalog.pin({ owner: "a", ttlMs: 1 });
  assertEquals(await codeOf(() => pin.renew(-1)), "INVALID_ARGUMENT");
  await place.reopen({ readOnly: true });
  for (const call of [() => place.catalog.pin({ owner: "a", ttlMs: 1 }), () => pin.renew()]) {
    const code = await codeOf(call);
    assertEquals(code === "READ_ONLY" || code === "HANDLE_CLOSED", true, code);
  }
  await place.manifest.close();
});
