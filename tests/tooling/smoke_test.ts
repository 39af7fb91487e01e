// The smoke suite of the traps stage, with the kernel as it is.
import { kernelModule } from "../../src/kernel/loader.ts";
import { test } from "../support/harness.ts";
import { smoke } from "../support/smoke.ts";

test("smoke: passes with the committed kernel", async () => {
  await smoke(kernelModule());
});
