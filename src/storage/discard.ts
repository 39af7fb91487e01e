// Removing a file that was made a moment ago and has come to nothing.
import type { FileStorage } from "./file.ts";
import { builtinModule, type NodeFs } from "./platform.ts";

/** Removes a closed file and its lock file, unless another file has taken its place. Never throws: what cannot be removed stays. */
export function discardFile({ path, identity }: FileStorage, fs: NodeFs = builtinModule<NodeFs>("node:fs")!): void {
  try {
    const { dev, ino } = fs.lstatSync(path, { bigint: true });
    if (`${dev}:${ino}` !== identity) return;
    fs.unlinkSync(path);
    fs.unlinkSync(`${path}.lock`);
  } catch {
    // there is none, or it must stay
  }
}
