// Finds the programs that the gate runs beside Deno, and installs from npm, once and pinned, what is missing: Bun, Node 20, Miniflare, other stores for benchmarks.
//
// Kept apart from deno.json's imports, because `deno task` installs all of those before any task, and the demo must not wait for half a gigabyte of tools.
// Everything lands in .build/, without install scripts: the per-platform packages hold the binaries. What was found is written to .build/runtimes.json,
// which tests/support/runtimes.ts reads on every runtime.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const BUN_VERSION = "1.4.4";
const NODE_VERSION = "20.20.2";
const NODE_MAJOR = 20;
const INSTALL_ATTEMPTS = 3;

/** Exact versions of what the gate and the benchmarks take from npm outside deno.json. */
export const PINS = { miniflare: "4.20260426.0", lmdb: "3.5.6" } as const;

/** Where the programs are; absolute paths. */
export interface Runtimes {
  deno: string;
  bun: string;
  node: string;
  esbuild: string;
}

/** File that tells tests where the programs are. */
export const RUNTIMES_FILE = ".build/runtimes.json";

interface Run {
  code: number;
  output: string;
}

async function run(command: string, args: string[]): Promise<Run> {
  try {
    const { code, stdout, stderr } = await new Deno.Command(command, { args, stdin: "null", stdout: "piped", stderr: "piped" }).output();
    return { code, output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
  } catch (error) {
    return { code: -1, output: String(error) };
  }
}

/** Installs exact versions of npm packages into .build/NAME unless they are there, and returns the folder (its node_modules holds them). */
export async function npmFolder(name: string, dependencies: Record<string, string>): Promise<string> {
  const folder = resolve(".build", name);
  const stamp = `${folder}/installed.json`;
  const wanted = JSON.stringify(dependencies);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/package.json`, JSON.stringify({ private: true, dependencies }, null, 2) + "\n");
  const install = ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
  const npm = (await run("npm", ["--version"])).code === 0;
  let last = "";
  for (let attempt = 1; attempt <= INSTALL_ATTEMPTS; attempt++) {
    const { code, output } = npm
      ? await run("npm", install)
      : await run(Deno.execPath(), ["run", "-A", "--no-config", "npm:npm@11", ...install]);
    if (code === 0) {
      writeFileSync(stamp, wanted);
      return folder;
    }
    last = output;
  }
  throw new Error(`Cannot install ${Object.keys(dependencies).join(", ")} from npm: ${last.trim()}`);
}

function platformNames(): { os: string; arch: string } {
  return { os: Deno.build.os, arch: Deno.build.arch === "aarch64" ? "arm64" : "x64" };
}

async function findBun(): Promise<string> {
  const { os, arch } = platformNames();
  const cpu = arch === "arm64" ? "aarch64" : "x64";
  const base = `bun-${os}-${cpu}`;
  const kinds = cpu === "x64" ? [base, `${base}-baseline`] : [base];
  if (os === "linux") kinds.push(...kinds.map((kind) => kind.replace(cpu, `${cpu}-musl`)));
  for (const kind of kinds) {
    const folder = await npmFolder(kind, { [`@oven/${kind}`]: BUN_VERSION }).catch(() => undefined);
    if (folder === undefined) continue;
    const binary = `${folder}/node_modules/@oven/${kind}/bin/bun${os === "windows" ? ".exe" : ""}`;
    if ((await run(binary, ["--version"])).output.trim() === BUN_VERSION) return binary;
  }
  throw new Error(`Cannot find Bun ${BUN_VERSION} for ${os} ${arch}: no npm package of it runs here`);
}

async function findNode(): Promise<string> {
  const own = await run("node", ["-p", "process.versions.node + ' ' + process.execPath"]);
  const [version = "", ...path] = own.output.trim().split(" ");
  if (own.code === 0 && parseInt(version) === NODE_MAJOR) return path.join(" ");
  const { os, arch } = platformNames();
  if (os !== "linux") throw new Error(`Cannot find Node ${NODE_MAJOR}: put it on the PATH`);
  const kind = `node-${os}-${arch}`;
  return `${await npmFolder(kind, { [kind]: NODE_VERSION })}/node_modules/${kind}/bin/node`;
}

function findEsbuild(): string {
  const { os, arch } = platformNames();
  const inEsbuild = createRequire(import.meta.resolve("esbuild"));
  return inEsbuild.resolve(os === "windows" ? `@esbuild/win32-${arch}/esbuild.exe` : `@esbuild/${os}-${arch}/bin/esbuild`);
}

/** Finds or installs every runtime and writes where they are. */
export async function findRuntimes(): Promise<Runtimes> {
  mkdirSync(".build", { recursive: true });
  const runtimes = { deno: Deno.execPath(), bun: await findBun(), node: await findNode(), esbuild: findEsbuild() };
  const draft = `${RUNTIMES_FILE}.${Deno.pid}`;
  writeFileSync(draft, JSON.stringify(runtimes, null, 2) + "\n");
  renameSync(draft, RUNTIMES_FILE);
  return runtimes;
}

if (import.meta.main) console.log(JSON.stringify(await findRuntimes()));
