// Reads the project's own sources for tests that hold rules about them: what a file imports, and its code without comments and text.
import { readdirSync, readFileSync } from "node:fs";
import { posix, resolve } from "node:path";
import { pathToFileURL } from "node:url";

/** The package's entry points as an import map names them: what users write, and the file here. With them the packages that they import. */
export function packageImports(): Record<string, string> {
  const { name, exports, imports } = JSON.parse(readFileSync("deno.json", "utf8")) as
    & Record<"exports" | "imports", Record<string, string>>
    & {
      name: string;
    };
  const own = Object.entries(exports).map(([entry, path]) => [name + entry.slice(1), pathToFileURL(resolve(path)).href]);
  return Object.fromEntries([...own, ...Object.entries(imports).filter(([, target]) => target.startsWith("npm:"))]);
}

/** The same for a bundler that is run in the project's root. */
export function packageAliases(): Record<string, string> {
  const { name, exports } = JSON.parse(readFileSync("deno.json", "utf8")) as { name: string; exports: Record<string, string> };
  return Object.fromEntries(Object.entries(exports).map(([entry, path]) => [name + entry.slice(1), path]));
}

/** Paths of the TypeScript files below a folder, from the project's root. */
export function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true }).map((name) => `${folder}/${String(name).replaceAll("\\", "/")}`)
    .filter((path) => path.endsWith(".ts")).sort();
}

/** The code of a file with comments blanked, and with the contents of texts and regular expressions blanked too unless `texts`. Length and lines stay. */
export function codeOf(source: string, texts = false): string {
  let out = "";
  let i = 0;
  const blank = (text: string): string => text.replace(/[^\n]/g, " ");
  const templates: number[] = []; // brace depth at which each open template expression ends
  let depth = 0;

  function takeTemplate(from: number): number {
    let end = from;
    while (end < source.length && source[end] !== "`" && !source.startsWith("${", end)) end += source[end] === "\\" ? 2 : 1;
    out += texts ? source.slice(from, end) : blank(source.slice(from, end));
    if (source[end] === "`") {
      out += "`";
      return end + 1;
    }
    out += "${";
    templates.push(depth++);
    return end + 2;
  }

  while (i < source.length) {
    const char = source[i]!;
    if (source.startsWith("//", i) || source.startsWith("/*", i)) {
      const close = source[i + 1] === "/" ? source.indexOf("\n", i) : source.indexOf("*/", i) + 2;
      const end = close < i ? source.length : close;
      out += blank(source.slice(i, end));
      i = end;
    } else if (char === '"' || char === "'" || (char === "/" && /(?:[(,=:[!&|?{};+<>]|\breturn|^)\s*$/.test(out.slice(-40)))) {
      let end = i + 1;
      let set = false; // inside [...] of a regular expression
      while (end < source.length && (set || source[end] !== char) && source[end] !== "\n") {
        if (char === "/" && source[end] === "[") set = true;
        if (source[end] === "]") set = false;
        end += source[end] === "\\" ? 2 : 1;
      }
      const inner = source.slice(i + 1, end);
      out += char + (texts && char !== "/" ? inner : blank(inner)) + (source[end] ?? "");
      i = end + 1;
    } else if (char === "`") {
      out += char;
      i = takeTemplate(i + 1);
    } else {
      if (char === "{") depth++;
      if (char === "}") depth--;
      out += char;
      i++;
      if (char === "}" && templates.at(-1) === depth) {
        templates.pop();
        i = takeTemplate(i);
      }
    }
  }
  return out;
}

/** One import, re-export or dynamic import. */
export interface Import {
  specifier: string;
  dynamic: boolean;
  /** Path from the project's root, for relative specifiers. */
  path: string | undefined;
}

/** Everything a file imports. */
export function importsOf(path: string, source: string = readFileSync(path, "utf8")): Import[] {
  const code = codeOf(source, true);
  const found: Import[] = [];
  const add = (specifier: string, dynamic: boolean): void => {
    const relative = specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : undefined;
    found.push({ specifier, dynamic, path: relative });
  };
  for (const match of code.matchAll(/(?:^|;)\s*(?:import|export)\b[^"'`;()=]*?\bfrom\s*["']([^"']+)["']/gm)) add(match[1]!, false);
  for (const match of code.matchAll(/(?:^|;)\s*import\s*["']([^"']+)["']/gm)) add(match[1]!, false);
  for (const match of code.matchAll(/\bimport\s*\(\s*["'`]([^"'`]+)["'`]/g)) add(match[1]!, true);
  return found;
}
