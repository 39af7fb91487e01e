// What a command prints: lines of text for people, or lines of JSON for programs.
//
// Every JSON line is an object with `version` and `type`. Version 1 means: names and meanings stay; members may be added, and lines of new types.
import { isManifestError, type ManifestErrorFields } from "../errors.ts";
import { isDamage } from "./exit_code.ts";
import type { CliIo } from "./io.ts";
import { printable } from "./text.ts";
import { lossless } from "./values.ts";

/** Version of the JSON lines. */
export const JSON_VERSION = 1;

/** Colours that text may have. */
export type Colour = "red" | "yellow" | "green" | "dim" | "bold";

const SGR: Readonly<Record<Colour, string>> = { red: "31", yellow: "33", green: "32", dim: "2", bold: "1" };

/** Prints what a command finds. */
export class Printer {
  /** Whether lines of JSON are wanted. */
  readonly json: boolean;
  /** Called before something is printed: a progress bar goes out of the way. */
  before: () => void = () => {};
  readonly #io: CliIo;
  readonly #colours: boolean;

  constructor(io: CliIo, json: boolean) {
    this.#io = io;
    this.json = json;
    this.#colours = io.stdout.isTerminal && !io.env("NO_COLOR") && io.env("TERM") !== "dumb";
  }

  /** Text in a colour, on a terminal that wants colours. */
  colour(colour: Colour, text: string): string {
    return this.#colours ? `\x1b[${SGR[colour]}m${text}\x1b[0m` : text;
  }

  /** Lines for people; nothing with --json. What is not ours in them must be `printable` already. */
  async text(...lines: string[]): Promise<void> {
    if (this.json || lines.length === 0) return;
    await this.#write(lines.join("\n") + "\n");
  }

  /** A line for programs; nothing without --json. */
  async record(type: string, fields: object): Promise<void> {
    if (!this.json) return;
    await this.#write(JSON.stringify({ version: JSON_VERSION, type, ...fields }, lossless) + "\n");
  }

  /** An error, to the other output. */
  async error(error: ManifestErrorFields, hint?: string): Promise<void> {
    this.before();
    if (this.json) {
      await this.#io.stderr.write(JSON.stringify({ version: JSON_VERSION, type: "error", error: error.toJSON() }) + "\n");
      return;
    }
    await this.#io.stderr.write(`waybill: ${printable(error.message)} [${error.code}]\n${hint === undefined ? "" : `  ${hint}\n`}`);
  }

  async #write(text: string): Promise<void> {
    this.before();
    await this.#io.stdout.write(text);
  }
}

/** What to do about an error, where this command line can help; `backups` is the folder with the backups. */
export function hintOf(error: ManifestErrorFields, file: string | undefined, backups: string = "FROM"): string | undefined {
  const named = printable(file ?? "FILE");
  const folder = printable(backups);
  switch (error.code) {
    case "LOCKED":
      return `waybill unlock ${named} shows the holder`;
    case "SNAPSHOT_EXPIRED":
      return "try again, or when the writer has closed the file";
    case "EXISTS":
      return "name a file that does not exist yet";
    case "BACKUP_DAMAGED":
    case "BACKUP_INCOMPLETE":
      return `waybill verify ${folder} finds out what is damaged, waybill backup FILE ${folder} --reuse digest mends what is left of it in FILE`;
    case "BACKUP_MISMATCH":
      return "each manifest has a folder of backups of its own, a restored one too";
    case "FILE_DAMAGED":
      return "a file is damaged, not the manifest: a backup may have it whole";
    case "FILE_CHANGED":
      return "try again when nobody writes to the files";
    default:
      return isDamage(error.code)
        ? `waybill check ${named} finds out what is damaged, waybill salvage ${named} OUT saves the rest`
        : undefined;
  }
}

/** Whether a caught value is an error of this package with this code. */
export function hasCode(error: unknown, code: string): error is ManifestErrorFields {
  return isManifestError(error) && error.code === code;
}
