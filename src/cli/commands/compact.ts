// `compact`: moves pages to the front of the file and cuts its end.
import type { CliCommand } from "../command.ts";
import { ExitCode } from "../exit_code.ts";
import { interrupted, openForWriting } from "../opening.ts";
import { bytesText } from "../text.ts";

/** The command. */
export const compact: CliCommand = {
  name: "compact",
  summary: "give back what the file no longer needs (writes; takes the lock)",
  async run(invocation) {
    const { io: { signal }, printer } = invocation;
    const manifest = await openForWriting(invocation);
    // Compaction gives up between two steps when the manifest is closed: the file is whole at every moment.
    const end = (): void => void manifest.close().catch(() => {});
    signal.addEventListener("abort", end);
    let bytesBefore: number, bytesAfter: number;
    try {
      bytesBefore = manifest.stats().fileBytes;
      if (signal.aborted) throw interrupted("compact");
      await manifest.compact();
      bytesAfter = manifest.stats().fileBytes;
    } catch (error) {
      throw signal.aborted ? interrupted("compact") : error;
    } finally {
      signal.removeEventListener("abort", end);
      await manifest.close();
    }
    const { repairedSlots, rebuilt } = manifest.recovery;
    await printer.text(`${bytesText(bytesBefore)} before, ${bytesText(bytesAfter)} now`);
    await printer.record("compact", { bytesBefore, bytesAfter, repairedSlots, rebuilt });
    if (repairedSlots.length + rebuilt.length === 0) return ExitCode.clean;
    await printer.text(`repaired on opening: ${repairedSlots.length} meta slots, ${rebuilt.length} journal blocks`);
    return ExitCode.repaired;
  },
};
