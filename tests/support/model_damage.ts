// Destroyed journal blocks: one in a group at most, so that parity must bring each back, and say so.
import { BLOCK_SIZE } from "../../assembly/format.ts";
import type { MemoryFile } from "../../src/storage/memory.ts";
import type { RecoveryReport } from "../../src/store/store.ts";
import { assertEquals } from "./assert.ts";
import type { WrittenGroup } from "./model_storage.ts";
import type { Random } from "./random.ts";

/** What was destroyed. */
export interface Damaged {
  /** Throws unless exactly the destroyed data blocks of replayed groups were rebuilt. */
  compare(report: RecoveryReport): void;
}

/** Destroys a block in some of the newest groups, by zeros, noise or one bit. */
export function damage(file: MemoryFile, groups: readonly WrittenGroup[], random: Random): Damaged {
  const destroyed: { group: number; block: number; parity: boolean }[] = [];
  const newest = groups.at(-1)?.group ?? 0;
  for (const { group, at, blocks } of groups.slice(-8)) {
    if (!random.chance(group === newest ? 0.6 : 0.2)) continue;
    const index = random.int(blocks);
    const offset = at + index * BLOCK_SIZE;
    const block = new Uint8Array(BLOCK_SIZE);
    file.read(offset, block);
    const kind = random.int(3);
    if (kind === 0) block.fill(0);
    else if (kind === 1) block.set(random.bytes(BLOCK_SIZE));
    else block[random.int(BLOCK_SIZE)]! ^= 1 << random.int(8);
    file.write(offset, block);
    destroyed.push({ group, block: index, parity: index === blocks - 1 });
  }
  return {
    compare(report) {
      const oldest = newest - report.groups + 1;
      const wanted = destroyed.filter(({ group, parity }) => group >= oldest && !parity);
      const found = report.rebuilt.filter(({ group, block }) =>
        !destroyed.some((each) => each.parity && each.group === group && each.block === block)
      );
      assertEquals(found, wanted.map(({ group, block }) => ({ group, block })), "the journal blocks that were rebuilt");
    },
  };
}
