// Storage in memory for users, without the classes behind it.
import { failType } from "../errors.ts";
import { MemoryStorage } from "../storage/memory.ts";
import type { Storage } from "../storage/storage.ts";

/**
 * Storage in memory: it ends with the process. With a name, all that ask for the name share the bytes, one writer at a time, also after closing.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 *
 * const first = await Manifest.open(memoryStorage("shared"), { create: true });
 * await first.begin().putDb(1, { name: "events" }).commit();
 * await first.close();
 * await using again = await Manifest.open(memoryStorage("shared"));
 * console.log(again.getDb(1)?.name);
 * ```
 */
export function memoryStorage(name?: string): Storage {
  if (name !== undefined && typeof name !== "string") failType("Cannot open a memory storage: its name is not a string");
  return name === undefined ? new MemoryStorage() : MemoryStorage.open(name, { create: true });
}
