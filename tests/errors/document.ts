// docs/errors.md as data: what it says of each code, of reasons, operations and events.
import { readFileSync } from "node:fs";
import type { ErrorHandle, ErrorKind, ErrorOutcome } from "../../src/errors.ts";

/** What the document says of a code. */
export interface Entry {
  readonly kind: ErrorKind;
  readonly outcome: ErrorOutcome;
  readonly handle: ErrorHandle;
  readonly retryable: boolean;
  /** Fields of `detail`, in the order of the document. */
  readonly fields: readonly string[];
  /** Whether there is a paragraph about what to do. */
  readonly advice: boolean;
}

const text = readFileSync("docs/errors.md", "utf8");

function section(heading: string): string {
  const body = text.split(`\n## ${heading}\n`)[1];
  if (body === undefined) throw new Error(`docs/errors.md has no section "${heading}"`);
  return body.split("\n## ")[0]!;
}

/** The first column of the table in a section. */
function firstColumn(heading: string): string[] {
  return [...section(heading).matchAll(/^\| `([^`]+)` /gm)].map((match) => match[1]!);
}

const HEAD = /^Kind `(\w+)`, outcome `(\w+)`, handle `(\w+)`, (not retryable|retryable)\.$/m;

/** The codes with a heading, in order. */
export function documented(): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  for (const [, code, body] of text.matchAll(/^### ([A-Z_]+)\n([\s\S]*?)(?=^##|(?![\s\S]))/gm)) {
    const head = HEAD.exec(body!);
    if (head === null) throw new Error(`docs/errors.md: ${code} lacks the line with kind, outcome, handle`);
    const detail = /^Detail: (.*)$/m.exec(body!)?.[1] ?? "";
    if (entries.has(code!)) throw new Error(`docs/errors.md: ${code} is there twice`);
    entries.set(code!, {
      kind: head[1] as ErrorKind,
      outcome: head[2] as ErrorOutcome,
      handle: head[3] as ErrorHandle,
      retryable: head[4] === "retryable",
      fields: [...detail.matchAll(/`(\w+)`/g)].map((match) => match[1]!),
      advice: /^What to do: \S/m.test(body!),
    });
  }
  return entries;
}

/** Fields that an error of any code has when it speaks of an operation of a commit. */
export function commonFields(): string[] {
  return firstColumn("Fields of a commit's errors");
}

/** The reasons of CORRUPT_PAGE. */
export function reasons(): string[] {
  return firstColumn("Reasons of CORRUPT_PAGE");
}

/** The operations that `op` names. */
export function operations(): string[] {
  return [...section("Operations").matchAll(/`([^`]+)`/g)].map((match) => match[1]!).filter((name) => name !== "op");
}

/** The events. */
export function events(): string[] {
  return firstColumn("Events");
}

/** The codes in the table by kind, with their kind. */
export function table(): [code: string, kind: string][] {
  return [...section("By kind").matchAll(/^\| `(\w+)` +\|(.*)\|$/gm)].flatMap(([, kind, rest]) =>
    [...rest!.matchAll(/\[`([A-Z_]+)`\]\(#([a-z_]+)\)/g)].map((match): [string, string] => [match[1]!, kind!])
  );
}
