// Checking a file without opening it: level by level, beside a writer, on whatever the file holds.
import { fail, failType } from "../errors.ts";
import { Kernel } from "../kernel/kernel.ts";
import { kernelModule } from "../kernel/loader.ts";
import type { Storage } from "../storage/storage.ts";
import { systemEnvironment } from "../store/environment.ts";
import type { CheckOptions, CheckSummary } from "./check_types.ts";
import { Findings } from "./finding.ts";
import { readHeader, reportHeader } from "./header.ts";
import { Source } from "./source.ts";

const LEVELS = ["header", "tree", "deep"] as const;
const FINDINGS = 1000;

/**
 * Checks a file and tells what is wrong with it. The storage is only read, never locked, and stays open. Works beside a writer, on damaged and on hostile files, with bounded memory; goes on after what it finds.
 */
export async function checkFile(storage: Storage, options: CheckOptions = {}): Promise<CheckSummary> {
  const { level = "tree", onFinding = () => {}, maxFindings = FINDINGS, environment = systemEnvironment, signal } = options;
  if (!LEVELS.includes(level)) failType('Cannot check: the level is none of "header", "tree" and "deep"', { field: "level" });
  const source = new Source(storage);
  const findings = new Findings(onFinding, maxFindings);
  const kernel = new Kernel(kernelModule(options.wasm));
  const pause = async (): Promise<void> => {
    await environment.yield();
    if (signal?.aborted) fail("ABORTED", "Cannot check: it was aborted", { cause: signal.reason });
  };
  const header = await readHeader(source, kernel, pause);
  reportHeader(header, findings);
  const { newest, generations } = header;
  return {
    verdict: findings.verdict(newest !== undefined),
    level,
    file: source.name,
    fileBytes: source.size(),
    findings: { ...findings.counts },
    generations,
    bytesRead: source.bytes,
    reads: source.reads,
    restarts: 0,
    ...newest === undefined ? {} : {
      fileId: newest.fileId,
      historyId: newest.historyId,
      pageSize: 2 ** newest.pageShift,
      judged: newest.generation,
      sequence: newest.sequence,
    },
  };
}
