// Facts about the machine and the runtime that figures depend on.
import { execFileSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";
import process from "node:process";

function fileSystem(folder: string): string {
  try {
    const fields = execFileSync("df", ["-PT", folder], { encoding: "utf8" }).trim().split("\n").at(-1)!.split(/\s+/);
    return `${fields[1]} on ${fields[0]}`;
  } catch {
    return "unknown";
  }
}

/** What this run ran on; `folder` is where the stores are. */
export function machineFacts(folder: string): Record<string, string> {
  const all = cpus();
  return {
    processor: `${all[0]?.model.trim() ?? "unknown"}, ${all.length} cores`,
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    system: `${process.platform} ${process.arch} ${release()}`,
    "file system": fileSystem(folder),
    runtime: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
  };
}
