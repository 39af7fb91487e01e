// Reads docs/parity.md and the tests that it names.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { codeOf } from "../support/source.ts";

/** A test that a row names. */
export interface Citation {
  /** Path below tests/. */
  readonly file: string;
  /** How its name begins; undefined: the whole file. */
  readonly name: string | undefined;
}

/** A row of a table. */
export interface Row {
  /** Its cells, without the tests. */
  readonly cells: readonly string[];
  /** The tests in its last cell. */
  readonly tests: readonly Citation[];
}

/** A registered test. */
export interface FoundTest {
  readonly name: string;
  /** Its code without comments. */
  readonly body: string;
}

const CITATION = /^`([\w/]+_test\.ts)`(?:: `([^`]+)`)?$/;

/** Tests in a cell; throws for a cell that holds anything else. */
export function citations(cell: string): Citation[] {
  return cell.split("<br>").map((part) => {
    const match = CITATION.exec(part.trim());
    if (match === null) throw new Error(`not a test: ${part}`);
    return { file: match[1]!, name: match[2] };
  });
}

/** Tables of the page by the heading above them. */
export function sections(page: string): Map<string, Row[]> {
  const found = new Map<string, Row[]>();
  let heading = "";
  let inBody = false;
  for (const line of page.split("\n")) {
    if (line.startsWith("## ")) heading = line.slice(3).trim();
    if (!line.startsWith("|")) {
      inBody = false;
      continue;
    }
    const cells = line.split("|").slice(1, -1).map((cell) => cell.trim());
    if (cells.every((cell) => /^-+$/.test(cell))) inBody = true;
    else if (inBody) {
      const rows = found.get(heading) ?? [];
      rows.push({ cells: cells.slice(0, -1), tests: citations(cells.at(-1)!) });
      found.set(heading, rows);
    }
  }
  return found;
}

/** What is in backticks in a text, one by one. */
export function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
}

const START = /^( *)test\(\s*(["`])((?:\\.|(?!\2).)*)\2,/gm;
const FUNCTION = /^(?:async )?function (\w+)[\s\S]*?^\}$/gm;
const REOPEN = /\b(?:reopen|crashAndReopen|reopened|reopenFile)\(/;

/** The code of a test file without comments; undefined when there is none. `file` is below tests/. */
export function testFile(file: string): string | undefined {
  const path = `tests/${file}`;
  return existsSync(path) ? codeOf(readFileSync(path, "utf8"), true) : undefined;
}

/** The tests of a file. A body ends where its indentation does, and before the next test. */
export function testsIn(code: string): FoundTest[] {
  const starts = [...code.matchAll(START)];
  return starts.map(({ index, 1: indent, 3: name }, i) => {
    const rest = code.slice(index, starts[i + 1]?.index);
    const end = rest.search(new RegExp(`^${indent}\\}\\);$`, "m"));
    return { name: name!, body: end < 0 ? rest : rest.slice(0, end) };
  });
}

/** Whether a test opens again and then asserts, by itself or in a function of its file. */
export function reopensAndAsserts(code: string, test: FoundTest): boolean {
  const reopening = [...code.matchAll(FUNCTION)].filter(([body]) => REOPEN.test(body)).map(([, name]) => name!);
  const opens = new RegExp([REOPEN.source, ...reopening.map((name) => `\\b${name}\\(`)].join("|"));
  const at = test.body.search(opens);
  // From the start of its line: what is asserted may be opened inside the assertion.
  return at >= 0 && /\bassert\w*\(/.test(test.body.slice(test.body.lastIndexOf("\n", at)));
}

/** Test files of the parity folder, below tests/. */
export function parityFiles(): string[] {
  return readdirSync("tests/parity").filter((name) => name.endsWith("_test.ts") && name !== "table_test.ts").map((name) => `parity/${name}`)
    .sort();
}
