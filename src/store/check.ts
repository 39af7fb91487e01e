// The whole-file check, run by a kernel instance of its own over what storage holds.
//
// It judges one durable meta generation. A read transaction keeps that generation's pages from being reused while commits and checkpoints go on beside it.
import {
  BLOCK_SIZE,
  CHECK_ERRORS,
  CHECK_WORDS,
  CTRL_CHECK_FINDINGS,
  CTRL_CHECK_KEPT,
  CTRL_CHECK_SUMMARY,
  CTRL_NEED_AT,
  CTRL_NEED_PAGE,
  DONE,
  FINDING_ACTUAL,
  FINDING_EXPECTED,
  FINDING_PAGE,
  FINDING_REASON,
  FINDING_SEVERITY,
  FINDING_TABLE,
  FINDING_WORDS,
  MORE,
  NEED_PAGE,
  OK,
  SEVERITY_ERROR,
} from "../../assembly/format.ts";
import { isManifestError } from "../errors.ts";
import { Kernel } from "../kernel/kernel.ts";
import { kernelModule } from "../kernel/loader.ts";
import type { Core } from "./core.ts";
import type { Meta } from "./meta.ts";
import { reasonText, statusError } from "./status.ts";
import type { CheckProblem, CheckReport } from "./types.ts";

/** Pages checked before others get a turn. */
const STEP = 256;

/** Checks a durable meta generation. `level` 1: everything but the contents of overflow runs; 2: those too. */
export async function checkFile(core: Core, meta: Meta, level: number): Promise<CheckReport> {
  const kernel = new Kernel(kernelModule(core.options.wasm));
  const x = kernel.exports;
  const pageSize = 2 ** meta.pageShift;
  const at = x.arena(BLOCK_SIZE) >>> 0;
  kernel.u8.set(meta.bytes, at);
  let status = x.checkBegin(at, level);
  if (status !== OK) throw statusError(kernel, status, "check");
  for (let reads = 0;;) {
    core.checkReadable();
    status = x.checkStep(STEP);
    if (status === NEED_PAGE) {
      const page = kernel.word(CTRL_NEED_PAGE);
      const into = kernel.word(CTRL_NEED_AT);
      let read = true;
      try {
        core.file.read(page * pageSize, kernel.u8.subarray(into, into + pageSize));
      } catch (error) {
        if (!isManifestError(error)) throw error;
        read = false;
      }
      if (read) x.pageInstall();
      else x.pageAbandon();
      // A call ends at each page that it needs: only the reads tell how long it has been.
      if (++reads % STEP === 0) await core.environment.yield();
    } else if (status === MORE) await core.environment.yield();
    else if (status === DONE) break;
    else throw statusError(kernel, status, "check");
  }
  x.checkFindings();
  return report(kernel);
}

function report(kernel: Kernel): CheckReport {
  const first = kernel.word(CTRL_CHECK_FINDINGS) >>> 2;
  const problems: CheckProblem[] = [];
  for (let i = 0; i < kernel.word(CTRL_CHECK_KEPT); i++) {
    const words = kernel.u32.subarray(first + i * FINDING_WORDS, first + (i + 1) * FINDING_WORDS);
    problems.push({
      severity: words[FINDING_SEVERITY] === SEVERITY_ERROR ? "error" : "warning",
      page: words[FINDING_PAGE]!,
      table: words[FINDING_TABLE]!,
      reason: reasonText(words[FINDING_REASON]!),
      expected: words[FINDING_EXPECTED]!,
      actual: words[FINDING_ACTUAL]!,
    });
  }
  const summary = kernel.word(CTRL_CHECK_SUMMARY) >>> 3;
  const counters = [...kernel.f64.subarray(summary, summary + CHECK_WORDS)];
  return { ok: counters[CHECK_ERRORS] === 0, pages: counters[0]!, counters, problems };
}
