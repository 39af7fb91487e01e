// `page`: one page as it stands.
import { failRange } from "../../errors.ts";
import { describePage, openSource, type PageCell, type PageDescription } from "../../inspect/mod.ts";
import { wholeNumber } from "../arguments.ts";
import type { CliCommand } from "../command.ts";
import { ExitCode } from "../exit_code.ts";
import type { Printer } from "../printer.ts";
import { alignRows, countText, printable } from "../text.ts";

const PAGE_MAX = 2 ** 31 - 2;

/** The command. */
export const page: CliCommand = {
  name: "page",
  summary: "show one page: its kind, its header, its cells",
  declare(command) {
    command
      .argument("<N>", "number of the page, from 0 on", (text) => wholeNumber(text, 0, PAGE_MAX))
      .option("--page-size <BYTES>", "page size of a file whose meta slots do not tell it", (text) => wholeNumber(text, 4096, 65536))
      .option("--values", "show keys and values, as hex digits");
  },
  async run({ file, rest, options, printer, io }) {
    const storage = openSource(file, { followSymlink: options.followSymlink === true });
    try {
      const number = rest[0] as number;
      const described = await describePage(storage, number, {
        signal: io.signal,
        values: options.values === true,
        ...(typeof options.pageSize === "number" ? { pageSize: options.pageSize } : {}),
      });
      if (described.kind === "beyond_end") {
        const pages = Math.ceil(storage.size() / described.pageSize);
        failRange(`Cannot show page ${number}: the file has ${countText(pages, "page")}`, { page: number, pages });
      }
      await printer.record("page", described);
      await printText(printer, described);
      return described.kind === "unreadable" ? ExitCode.failed : described.valid === false ? ExitCode.damage : ExitCode.clean;
    } finally {
      storage.close();
    }
  },
};

async function printText(printer: Printer, { page, offset, pageSize, kind, valid, reason, header, cells }: PageDescription): Promise<void> {
  const state = valid === undefined
    ? "cannot be judged by itself"
    : valid
    ? "right"
    : printer.colour("red", `wrong: ${printable(reason ?? "")}`);
  const facts: string[][] = [["page", `${page}`], ["offset", `${offset}, ${pageSize} bytes`], ["kind", kind.replaceAll("_", " ")], [
    "state",
    state,
  ]];
  for (const [name, value] of Object.entries(header)) facts.push([name, printable(`${value}`)]);
  await printer.text(...alignRows(facts));
  if (cells === undefined || cells.length === 0) return;
  const rows = cells.map((
    cell,
    i,
  ) => [`${i}`, `${cell.keyLength}`, `${cell.valueLength ?? ""}`, placeText(cell), cell.key ?? "", cell.value ?? ""]);
  const shown = cells.some(({ key }) => key !== undefined);
  const head = ["cell", "key", "value", "pointer", ...(shown ? ["key digits", "value digits"] : [])];
  await printer.text("", ...alignRows([head, ...rows.map((row) => row.slice(0, head.length))], ["right", "right", "right"]));
}

function placeText({ pointer }: PageCell): string {
  return pointer === undefined ? "" : `page ${pointer.page}, birth ${pointer.birth}`;
}
