// `deno task demo [DIR] [--keep FILE]`: catalogs a folder. The main job on real input; nothing is ever written below DIR.
//
//   DIR            the folder to catalog (default: the project itself)
//   --keep FILE    keeps the manifest in FILE; a second run with it goes on from there
import { mkdtempSync, realpathSync, rmSync, statSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Progress, ProgressLines } from "./demo/progress.ts";
import { ProgressBar } from "./demo/progress_bar.ts";
import { runDemo } from "./demo/steps.ts";
import { countFiles } from "./demo/walk.ts";

const USAGE = "usage: deno task demo [DIR] [--keep FILE]";

class Refused extends Error {}

/** Where the command was given: a task runs in the project's root, whatever the folder of the shell. */
const HERE = process.env["INIT_CWD"] ?? process.cwd();

function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && resolve(way) !== way);
}

function readFolder(argument: string | undefined): string {
  const wanted = argument === undefined ? fileURLToPath(new URL("..", import.meta.url)) : resolve(HERE, argument);
  let folder;
  try {
    folder = realpathSync(wanted);
  } catch (error) {
    throw new Refused(`Cannot catalog ${wanted}: ${(error as { code?: string }).code ?? error}`);
  }
  if (!statSync(folder).isDirectory()) throw new Refused(`Cannot catalog ${wanted}: it is no folder`);
  return folder;
}

/** The real path that a file has or would have. */
function realFile(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    try {
      return join(realpathSync(dirname(resolve(path))), basename(path));
    } catch (error) {
      throw new Refused(`Cannot keep the manifest in ${path}: ${(error as { code?: string }).code ?? error}`);
    }
  }
}

function temporaryFolder(folder: string): string {
  for (const place of [tmpdir(), "/var/tmp", "/dev/shm", homedir()]) {
    try {
      const real = realpathSync(place);
      if (!isBelow(real, folder)) return mkdtempSync(join(real, "waybill-demo-"));
    } catch {
      // not there, or not writable: the next one
    }
  }
  throw new Refused(`Cannot place a temporary manifest outside ${folder}: name a file with --keep`);
}

async function main(): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({
      args: Deno.args,
      allowPositionals: true,
      options: { keep: { type: "string" }, help: { type: "boolean", short: "h" } },
    });
  } catch (error) {
    throw new Refused(`Cannot read the arguments: ${(error as Error).message}\n${USAGE}`);
  }
  const { values, positionals } = parsed;
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (positionals.length > 1) throw new Refused(`Cannot catalog ${positionals.length} folders at once\n${USAGE}`);
  const folder = readFolder(positionals[0]);
  const kept = values.keep === undefined ? undefined : realFile(resolve(HERE, values.keep));
  if (kept !== undefined && isBelow(kept, folder)) {
    throw new Refused(`Cannot keep the manifest in ${kept}: it lies below ${folder}, which is never written to`);
  }
  const temporary = kept === undefined ? temporaryFolder(folder) : undefined;
  const file = kept ?? join(temporary!, "demo.waybill");
  const remove = (): void => {
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
  };
  // Only a temporary manifest needs tidying up: a kept one may be cut off at any moment.
  if (temporary !== undefined) {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => {
        remove();
        process.exit(130);
      });
    }
  }
  try {
    const total = countFiles(folder);
    const terminal = process.stdout.isTTY === true;
    const progress = (title: string): Progress =>
      terminal ? new ProgressBar(title, total) : new ProgressLines(`  ${title.toLowerCase()}`, total, console.log);
    console.log(`Folder    ${folder}\nManifest  ${file}${kept === undefined ? " (temporary)" : ""}`);
    const { check } = await runDemo({ folder, file, print: console.log, progress });
    return check.ok ? 0 : 1;
  } finally {
    remove();
  }
}

try {
  Deno.exitCode = await main();
} catch (error) {
  if (!(error instanceof Refused) && (error as { code?: string }).code === undefined) throw error;
  console.error((error as Error).message);
  Deno.exitCode = 2;
}
