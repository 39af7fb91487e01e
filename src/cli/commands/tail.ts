// `tail`: the change log as it grows, beside whoever writes.
//
// A change is never skipped without a word: what was truncated before it could be read is a line of its own.
import type { ManifestErrorFields } from "../../errors.ts";
import type { Change } from "../../manifest/log/change.ts";
import type { ChangeOperation } from "../../manifest/log/change_operation.ts";
import type { Manifest } from "../../manifest/manifest.ts";
import { wholeNumber } from "../arguments.ts";
import type { CliCommand, Invocation } from "../command.ts";
import { ExitCode } from "../exit_code.ts";
import { openForReading, readNewest } from "../opening.ts";
import { hasCode } from "../printer.ts";
import { printable, timeText } from "../text.ts";
import { valueText } from "../values.ts";

/** The command. */
export const tail: CliCommand = {
  name: "tail",
  summary: "print the changes of the log, and new ones as they come",
  declare(command) {
    command
      .option("--from <START>", 'where to begin: "oldest", "latest" (only what is new) or a sequence', start, "oldest")
      .option("--limit <N>", "end behind so many changes", (text) => wholeNumber(text, 1))
      .option("--follow", "go on when the newest is printed", true)
      .option("--no-follow", "end when the newest is printed")
      .option("--values", "show keys and values");
  },
  async run(invocation) {
    const stop = AbortSignal.any([invocation.io.signal, invocation.io.closed]);
    await using manifest = await openForReading(invocation);
    try {
      await follow(manifest, invocation, stop);
    } catch (error) {
      if (!stop.aborted || !hasCode(error, "ABORTED")) throw error;
    }
    return ExitCode.clean;
  },
};

function start(text: string): "oldest" | "latest" | number {
  return text === "oldest" || text === "latest" ? text : wholeNumber(text, 1);
}

async function follow(manifest: Manifest, invocation: Invocation, stop: AbortSignal): Promise<void> {
  const { from, limit = Infinity, follow } = invocation.options as { from: "oldest" | "latest" | number; limit?: number; follow: boolean };
  let next = typeof from === "number"
    ? from
    : await readNewest(manifest, () => from === "oldest" ? manifest.stats().changes.oldest : manifest.latestChangeSequence() + 1);
  let printed = 0;
  const enough = (): boolean => printed >= limit || stop.aborted;
  const printAll = async (): Promise<void> => {
    for await (const change of manifest.changes({ from: next })) {
      await printChange(invocation, change);
      next = change.sequence + 1;
      printed++;
      if (enough()) return;
    }
  };
  for (;;) {
    const before = next;
    try {
      await readNewest(manifest, printAll);
    } catch (error) {
      if (hasCode(error, "SNAPSHOT_EXPIRED") && next > before) continue; // slow beside a fast writer, but it gets on
      if (!hasCode(error, "CURSOR_TRUNCATED")) throw error;
      next = await printGap(invocation, next, error);
      continue;
    }
    if (!follow || enough()) return;
    await manifest.waitForChange(next - 1, { signal: stop });
  }
}

async function printGap({ printer }: Invocation, from: number, error: ManifestErrorFields): Promise<number> {
  const { oldestSequence } = error.detail as { oldestSequence: number };
  await printer.text(printer.colour("yellow", `changes ${from} to ${oldestSequence - 1} are no longer kept`));
  await printer.record("gap", { from, to: oldestSequence - 1 });
  return oldestSequence;
}

async function printChange({ printer, options }: Invocation, change: Change): Promise<void> {
  const { sequence, commitId, committedAt, origin, generations, operations } = change;
  const values = options.values === true;
  await printer.record("change", {
    sequence,
    commitId,
    committedAt,
    ...(origin === undefined ? {} : { origin }),
    generations,
    operations: values ? operations : operations.map(withoutValues),
  });
  const by = origin === undefined ? "" : `  from ${printable(origin)}`;
  const line = `${sequence}  ${timeText(committedAt)}  ${printer.colour("dim", commitId)}${by}`;
  if (values) await printer.text(line, ...operations.map((operation) => `    ${operationText(operation)}`));
  else await printer.text(`${line}  ${summaryText(operations)}`);
}

function withoutValues(operation: ChangeOperation): Record<string, unknown> {
  if (operation.op === "unreadable") return { op: operation.op, tableId: operation.tableId, effect: operation.effect };
  return { op: operation.op, table: operation.table };
}

function nameText(operation: ChangeOperation): string {
  if (operation.op === "unreadable") return `${operation.effect} in unknown table ${operation.tableId}`;
  return `${operation.op} ${printable(operation.table)}`;
}

/** Operations in order, equal ones in a row counted. */
function summaryText(operations: readonly ChangeOperation[]): string {
  const parts: { name: string; count: number }[] = [];
  for (const operation of operations) {
    const name = nameText(operation);
    const last = parts.at(-1);
    if (last?.name === name) last.count++;
    else parts.push({ name, count: 1 });
  }
  return parts.map(({ name, count }) => count === 1 ? name : `${name} ×${count}`).join(", ");
}

function operationText(operation: ChangeOperation): string {
  const shown: unknown[] = operation.op === "deleteRange" ? [operation.from, operation.until] : [operation.key];
  if ("value" in operation) shown.push(operation.value);
  return [nameText(operation), ...shown.map((value) => printable(valueText(value)))].join("  ");
}
