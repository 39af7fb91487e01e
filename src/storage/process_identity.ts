// Who this process is, and whether another one that once wrote its name down is still alive.
//
// A pid alone is not an identity: it is reused. Pid, start time and boot id together are, on Linux. Where a fact cannot be had it is "" and the answer errs on the side of "alive": two
// writers are worse than a claim that must be removed by hand.
import { builtinModule, mayAskSystem, mayRead, type NodeFs, platformName, processExists, processId, runtimeName } from "./platform.ts";
import type { LockHolder } from "./storage.ts";

/** What is the same for every claim of this process. */
export interface ProcessIdentity {
  /** Process id. */
  pid: number;
  /** Start time in clock ticks since boot, or "". */
  started: string;
  /** Host name, or "". */
  host: string;
  /** Boot id, or "". */
  boot: string;
  /** Name of the runtime. */
  runtime: string;
}

const HOST_LENGTH = 64;

let known: ProcessIdentity | undefined;

function readProc(fs: NodeFs, path: string): string | undefined {
  if (!mayRead(path)) return undefined;
  try {
    return fs.readFileSync(path, "utf8").trim();
  } catch (error) {
    return (error as { code?: unknown }).code === "ENOENT" || (error as { code?: unknown }).code === "ESRCH" ? "" : undefined;
  }
}

// State letter and start time out of /proc/PID/stat; the process's name, between parentheses, may itself hold spaces and parentheses.
function statOf(fs: NodeFs, pid: number): { state: string; started: string } | "gone" | "unreadable" {
  const text = readProc(fs, `/proc/${pid}/stat`);
  if (text === undefined) return "unreadable";
  if (text === "") return readProc(fs, "/proc/self/stat") ? "gone" : "unreadable";
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", started: fields[19] ?? "" };
}

function hostName(fs: NodeFs): string {
  const kernel = readProc(fs, "/proc/sys/kernel/hostname");
  if (kernel) return kernel.slice(0, HOST_LENGTH);
  if (!mayAskSystem("hostname")) return "";
  return builtinModule<{ hostname(): string }>("node:os")?.hostname().slice(0, HOST_LENGTH) ?? "";
}

/** The identity of this process. */
export function thisProcess(fs: NodeFs): ProcessIdentity {
  if (known !== undefined) return known;
  const linux = platformName() === "linux";
  const stat = linux ? statOf(fs, processId()) : "unreadable";
  known = {
    pid: processId(),
    started: typeof stat === "string" ? "" : stat.started,
    host: hostName(fs),
    boot: linux ? readProc(fs, "/proc/sys/kernel/random/boot_id") ?? "" : "",
    runtime: runtimeName(),
  };
  return known;
}

/** False only when the holder's process is certainly gone: ended, a zombie, its pid reused, or its host restarted. */
export function mayBeAlive(fs: NodeFs, holder: LockHolder): boolean {
  const mine = thisProcess(fs);
  if (holder.host !== mine.host) return true;
  if (holder.boot !== "" && mine.boot !== "" && holder.boot !== mine.boot) return false;
  if (holder.pid <= 0) return true;
  if (platformName() === "linux") {
    const stat = statOf(fs, holder.pid);
    if (stat === "gone") return false;
    if (stat !== "unreadable") {
      if (stat.state === "Z" || stat.state === "X") return false;
      return holder.started === "" || holder.started === stat.started;
    }
  }
  return processExists(holder.pid);
}
