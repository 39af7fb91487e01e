// Runs the bundled worker inside workerd and prints its answer: run_worker MINIFLARE_FOLDER WORKER DATE pass|inline. Exit code 1 unless the worker answers ok.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import process from "node:process";

interface Miniflare {
  dispatchFetch(url: string): Promise<{ status: number; text(): Promise<string> }>;
  dispose(): Promise<void>;
}
type MiniflareClass = new (options: Record<string, unknown>) => Miniflare;

const [folder = "", worker = "", compatibilityDate = "", how = ""] = process.argv.slice(2);
const { Miniflare } = createRequire(`${resolve(folder)}/package.json`)("miniflare") as { Miniflare: MiniflareClass };

const miniflare = new Miniflare({
  compatibilityDate,
  modules: [
    { type: "ESModule", path: "worker.js", contents: readFileSync(worker, "utf8") },
    { type: "CompiledWasm", path: "core.wasm", contents: readFileSync("core.wasm") },
  ],
});
try {
  const answer = await miniflare.dispatchFetch(`http://worker/${how}`);
  const text = await answer.text();
  console.log(answer.status, text);
  if (answer.status !== 200 || text !== "ok") process.exitCode = 1;
} finally {
  await miniflare.dispose();
}
