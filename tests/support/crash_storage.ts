// The simulated disk; see tests/support/disk/.
export { CrashStorage, type DiskOptions, SimDisk } from "./disk/sim_disk.ts";
export type { CallIndex, DiskCall } from "./disk/call_log.ts";
