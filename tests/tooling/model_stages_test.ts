// The stages model and runtimes make a case again by its flags, and a case that is not there is told.
import { assertEquals, assertRejects } from "@std/assert";
import { stage as model } from "../stages/model.ts";
import { stage as runtimes } from "../stages/runtimes.ts";
import { runModel } from "../support/model_runs.ts";
import { test } from "../support/harness.ts";

test("model: replay runs the one seed that its flags name, twice the same", async () => {
  await model.replay({ kind: "manifest", seed: "1000004", operations: "60" });
  await model.replay({ kind: "store", seed: "4100", shape: "small", operations: "60" });
  for (const kind of ["store", "manifest"] as const) {
    const [a, b] = [await runModel({ kind, seed: 77, operations: 90 }), await runModel({ kind, seed: 77, operations: 90 })];
    assertEquals([...a.reached], [...b.reached]);
    assertEquals(a.image().bytes(), b.image().bytes(), `${kind}: two runs of one seed differ`);
  }
  await assertRejects(() => model.replay({ kind: "nothing", seed: "1" }), Error, "Cannot run model");
  await assertRejects(() => model.replay({ kind: "store", seed: "1", shape: "nothing" }), Error, "Cannot run shape");
});

test("runtimes: a case that is not there cannot be replayed", async () => {
  await assertRejects(() => runtimes.replay({ kind: "nothing" }), Error, "Cannot replay");
});
