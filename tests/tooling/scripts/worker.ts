// A worker that commits to a manifest in memory and answers "ok", or what went wrong. /inline uses the kernel compiled at load, /pass a module given to `open` where
// the runtime has refused to compile.
import { defineTable, isManifestError, Manifest, memoryStorage, text, u53 } from "../../../mod.ts";

const CORE = "./core.wasm"; // a module of the worker, not a file: only the runtime can resolve it

const owners = defineTable({ name: "owners", key: [u53("db"), text("path")], value: { team: text(), seen: u53() } });

async function givenModule(): Promise<WebAssembly.Module> {
  try {
    const manifest = await Manifest.open(memoryStorage(), { create: true });
    await manifest.close();
  } catch (error) {
    if (!isManifestError(error) || error.code !== "RUNTIME_UNSUPPORTED") throw error;
    return (await import(CORE) as { default: WebAssembly.Module }).default;
  }
  throw new Error("this runtime compiles, so nothing is shown");
}

async function work(how: string): Promise<string> {
  const wasm = how === "/pass" ? await givenModule() : undefined;
  await using manifest = await Manifest.open(memoryStorage(), { create: true, wasm });
  const first = await manifest.begin().putDb(1, { name: "events" }).put(owners, [1, "a/b"], { team: "core", seen: 7 }).commit();
  const second = await manifest.begin().put(owners, [1, "a/c"], { team: "edge", seen: 8 }).commit();
  if (second.sequence !== first.sequence + 1) return `sequences ${first.sequence}, ${second.sequence}`;
  using view = manifest.read();
  const rows = [...view.range(owners, { prefix: [1], reverse: true })].map(([key, owner]) => `${key[1]}=${owner.team}`);
  return rows.join() === "a/c=edge,a/b=core" ? "ok" : `rows ${rows.join()}`;
}

/** The worker. */
export default {
  async fetch(request: Request): Promise<Response> {
    try {
      return new Response(await work(new URL(request.url).pathname));
    } catch (error) {
      return new Response(error instanceof Error ? error.stack ?? error.message : String(error), { status: 500 });
    }
  },
};
