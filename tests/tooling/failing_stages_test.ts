// The stages io_errors and containment make a case again by its flags, and a case that is not there is told.
import { assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { stage as containment } from "../stages/containment.ts";
import { stage as ioErrors } from "../stages/io_errors.ts";
import { StageReport } from "../stages/report.ts";
import { takeUnderWay, UnderWay } from "../stages/under_way.ts";
import { withFolder } from "../support/folder.ts";
import { test } from "../support/harness.ts";

test("io_errors: replay makes the one case that its flags name", async () => {
  await ioErrors.replay({ workload: "single commits", fault: "ENOSPC-short-until-freed", at: "20", seed: "31" });
  await ioErrors.replay({ workload: "transactions", fault: "sync-once", at: "30" });
  await assertRejects(() => ioErrors.replay({ workload: "single commits", fault: "EROFS", at: "99999" }), Error, "never came");
  await assertRejects(() => ioErrors.replay({ workload: "nothing", fault: "EROFS", at: "1" }), Error, "Cannot run");
  await assertRejects(() => ioErrors.replay({ workload: "single commits", fault: "nothing", at: "1" }), Error, "Cannot inject");
  await assertRejects(() => ioErrors.replay({ workload: "single commits" }), Error, "are needed");
});

test("containment: replay makes the one case that its flags name", async () => {
  await containment.replay({ what: "trap", workload: "groups", fn: "groupSeal", call: "2", after: "1", seed: "31" });
  await containment.replay({ what: "leftovers", workload: "creation" });
  await containment.replay({ what: "differential", seed: "7" });
  await assertRejects(() => containment.replay({ what: "trap", workload: "groups", fn: "groupSeal", call: "9999" }), Error, "never came");
  await assertRejects(() => containment.replay({ what: "nothing" }), Error, "Cannot replay");
});

test("UnderWay: the case that a process was making is named by the command that makes it again", () =>
  withFolder((folder) => {
    const json = join(folder, "report.json");
    const report = new StageReport("hostile");
    const underWay = new UnderWay(json);
    report.onCase = (replay) => underWay.note(replay);
    report.begin({ seed: 1, case: 123_456 });
    report.begin({ seed: 1, case: 7 });
    underWay.close();
    assertEquals(takeUnderWay(json), "the case under way: deno run -A tests/stages/run.ts --stage hostile --replay --seed 1 --case 7");
    assertEquals(takeUnderWay(json), "no case was begun");
    return Promise.resolve();
  }));
