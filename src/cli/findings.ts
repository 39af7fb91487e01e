// Findings as they come: a few lines each.
import type { Finding, FindingSeverity } from "../inspect/mod.ts";
import { isDamage } from "./exit_code.ts";
import type { Colour, Printer } from "./printer.ts";
import { printable } from "./text.ts";

const COLOURS: Readonly<Record<FindingSeverity, Colour>> = { error: "red", warning: "yellow", info: "dim" };

/** Prints findings in order. They come in the middle of an inspection, which does not wait: they are printed in its pauses. */
export class FindingPrinter {
  /** Resolves when all that have come are printed. */
  printed: Promise<void> = Promise.resolve();
  /** Whether one of them says that something is damaged. */
  damage = false;
  readonly #printer: Printer;

  constructor(printer: Printer) {
    this.#printer = printer;
  }

  /** Takes a finding. */
  readonly take = (finding: Finding): void => {
    this.damage ||= isDamage(finding.code);
    this.printed = this.printed.then(() => printFinding(this.#printer, finding));
  };
}

async function printFinding(printer: Printer, finding: Finding): Promise<void> {
  await printer.record("finding", finding);
  const { severity, code, reason, message, advice } = finding;
  await printer.text(
    `${printer.colour(COLOURS[severity], severity)}  ${code} ${reason}${placeText(finding)}`,
    `  ${printable(message)}`,
    `  ${printer.colour("dim", printable(advice))}`,
  );
}

function placeText({ page, offset, path, table, sequence, group }: Finding): string {
  const parts: string[] = [];
  if (page !== undefined) parts.push(`page ${page}`);
  if (offset !== undefined) parts.push(`offset ${offset}`);
  if (table !== undefined) parts.push(`table ${printable(table)}`);
  if (path !== undefined && path.length > 0) parts.push(`path ${path.join(" > ")}`);
  if (sequence !== undefined) parts.push(`change ${sequence}`);
  if (group !== undefined) parts.push(`group ${group}`);
  return parts.length === 0 ? "" : `  ${parts.join(", ")}`;
}
