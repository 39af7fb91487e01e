// Two damaged bytes anywhere: what is answered is right, or refused by name; opening may be refused too.
import { BLOCK_SIZE } from "../../../assembly/format.ts";
import type { Subject } from "./byte_case.ts";
import { closeQuietly, look, type Mode } from "./case.ts";
import { Wrong } from "./interrogate.ts";

const CODES = /^(CORRUPT_HEADER|CORRUPT_JOURNAL|CORRUPT_PAGE)$/;

/** Makes a case; returns the outcome's name. Throws `Wrong`. */
export async function twoBytesCase(
  subject: Subject,
  damage: readonly (readonly [at: number, value: number])[],
  mode: Mode,
): Promise<string> {
  const { file, expected } = subject;
  const regions = damage.map(([at]) => subject.regions[Math.floor(at / BLOCK_SIZE)]!);
  const groups = regions.filter(({ journal }) => journal !== undefined);
  // Two blocks of one acknowledged group are a case of their own.
  if (groups.length === 2 && groups[0]!.block !== groups[1]!.block && groups[0]!.journal!.group === groups[1]!.journal!.group) {
    return "left out: one group";
  }
  for (const [at, value] of damage) file.damageByte(at, value);
  const pages = new Set(regions.filter(({ kind }) => kind === "tree" || kind === "run" || kind === "bitmap").map(({ page }) => page));
  try {
    const { at, named, store } = await look(file, expected, mode, pages);
    await closeQuietly(store);
    if (at === "open" && !CODES.test(named!.code)) throw new Wrong(`opening is refused with ${named!.code}`);
    return at === "equal" ? "right" : `named: ${named!.code}`;
  } finally {
    file.reset();
  }
}
