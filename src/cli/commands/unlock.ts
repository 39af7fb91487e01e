// `unlock`: shows who holds the file, and removes claims of processes that are gone.
import type { LockHolder } from "../../storage/storage.ts";
import { unlockFile, type UnlockReport } from "../../storage/unlock.ts";
import type { CliCommand } from "../command.ts";
import { ExitCode } from "../exit_code.ts";
import { alignRows, printable } from "../text.ts";

/** The command. */
export const unlock: CliCommand = {
  name: "unlock",
  summary: "show who holds the file, remove claims of processes that are gone",
  declare(command) {
    command.option("--force", "remove also a claim whose process may be alive: it can then no longer write");
  },
  async run({ file, options, printer }) {
    const report = unlockFile(file, { force: options.force === true, followSymlink: options.followSymlink === true });
    await printer.record("lock", report);
    for (const { holder, strength, alive, removed } of report.claims) {
      await printer.text(...alignRows([
        ["holder", holder === undefined ? "unknown" : holderText(holder)],
        ["since", printable(holder?.since ?? "unknown")],
        ["held by", strength === "kernel" ? "a lock of the operating system" : "a claim file"],
        ["alive", alive ? "yes, or not known to be gone" : "no"],
        ["claim", removed ? "removed" : "left"],
      ]));
    }
    await printer.text(conclusion(report));
    return report.state === "held" ? ExitCode.locked : ExitCode.clean;
  },
};

function holderText({ pid, runtime, host }: LockHolder): string {
  return `${printable(runtime)} process ${pid}${host === "" ? "" : ` on ${printable(host)}`}`;
}

function conclusion({ state, claims }: UnlockReport): string {
  if (state === "free") return "not locked";
  if (state === "removed") return "unlocked";
  return claims.some(({ alive, strength, removed }) => alive && !removed && strength === "kernel")
    ? "locked: the operating system frees it when that process ends"
    : "locked: --force removes the claim when you know that its process is gone";
}
