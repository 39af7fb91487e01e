// Writes that follow from a seed and their number alone: whoever knows how many there were knows what must be there.
import { seeded } from "../random.ts";
import type { Write } from "./history.ts";

const KEYS = 150;

/** The write of a number. */
export function writeOf(seed: number, number: number): Write {
  const random = seeded(seed).fork(number);
  const key = `key ${String(random.int(KEYS)).padStart(3, "0")}`;
  return { key, value: random.chance(0.2) ? undefined : `${number}:${random.letters(random.int(random.chance(0.05) ? 2000 : 80))}` };
}
