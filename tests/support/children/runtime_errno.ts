// A manifest in a file whose calls of node:fs fail, one errno at one call at a time. Argument: a folder. Prints a line for each case: what each step came to, with its error as JSON.
import nodeFs from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { isManifestError, Manifest } from "../../../mod.ts";
import { openFile } from "../../../src/storage/file.ts";
import type { NodeFs } from "../../../src/storage/platform.ts";
import { testEnvironment } from "../environment.ts";

const [folder = ""] = process.argv.slice(2);

/** Calls that fail, and how each may. */
const CASES: Readonly<Record<string, readonly string[]>> = {
  lstatSync: ["EACCES", "EIO", "ENOTDIR", "ENAMETOOLONG", "ELOOP", "ENOMEM"],
  openSync: ["EACCES", "EPERM", "EROFS", "EISDIR", "ENXIO", "EMFILE", "ENFILE", "ENOSPC", "EDQUOT", "EBUSY", "EIO", "EINTR"],
  fstatSync: ["EIO", "EOVERFLOW"],
  readSync: ["EIO", "EACCES", "EISDIR", "ENOMEM", "EINTR"],
  writeSync: ["EIO", "ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EPERM", "EINTR"],
  ftruncateSync: ["EIO", "ENOSPC", "EPERM", "EINTR"],
  fdatasyncSync: ["EIO", "ENOSPC", "EDQUOT", "EROFS", "EINTR"],
  closeSync: ["EIO", "EINTR"],
};

/** The runtime's own error of a call that failed, with another errno: its class and its fields are as the runtime makes them. */
function ownError(errno: string): Error {
  try {
    nodeFs.readSync(1 << 20, new Uint8Array(1), 0, 1, 0);
  } catch (error) {
    const own = error as Error & { code?: string };
    own.message = own.message.replaceAll("EBADF", errno);
    own.code = errno;
    return own;
  }
  throw new Error("a descriptor that is none was read");
}

/** node:fs whose calls of one name fail from now on, `times` times. */
class FailingFs {
  readonly fs: NodeFs;
  armed = false;
  failed = 0;

  constructor(call: string, errno: string, times: number) {
    this.fs = new Proxy(nodeFs as unknown as NodeFs, {
      get: (target, name) => {
        const found = Reflect.get(target, name);
        if (name !== call) return typeof found === "function" ? found.bind(target) : found;
        return (...args: unknown[]) => {
          if (!this.armed || this.failed >= times) return found.apply(target, args);
          this.failed++;
          if (call === "closeSync") found.apply(target, args); // the descriptor is gone, whatever close says
          throw ownError(errno);
        };
      },
    });
  }
}

function told(error: unknown): unknown {
  if (!isManifestError(error)) return `not an error of the package: ${error}`;
  const json = JSON.parse(JSON.stringify(error));
  return { ...json, message: error.message };
}

async function attempt(call: string, errno: string, times: number): Promise<void> {
  const path = join(folder, `${call}-${errno}-${times}.waybill`);
  const failing = new FailingFs(call, errno, times);
  const steps: [string, unknown][] = [];
  const step = async <T>(name: string, body: () => Promise<T> | T): Promise<T | undefined> => {
    try {
      const value = await body();
      steps.push([name, "done"]);
      return value;
    } catch (error) {
      steps.push([name, told(error)]);
      return undefined;
    }
  };
  const options = { idleCheckpoint: 0, syncMode: "inline", cacheBytes: 64 << 12 } as const;
  const made = await Manifest.open(openFile(path, { create: true }), { ...options, create: true, environment: testEnvironment(1) });
  for (let first = 1; first <= 400; first += 100) {
    const txn = made.begin();
    for (let db = first; db < first + 100; db++) txn.putDb(db, { name: `${db} `.repeat(100) });
    await txn.commit();
  }
  await made.close();
  const opening = call === "lstatSync" || call === "openSync" || call === "fstatSync";
  failing.armed = opening;
  const manifest = await step("open", () => Manifest.open(openFile(path, {}, failing.fs), { ...options, environment: testEnvironment(2) }));
  if (manifest !== undefined) {
    failing.armed = true;
    await step("commit", () => manifest.begin().putDb(401, { name: "one more" }).commit());
    await step("read", () => manifest.getDb(7)?.name.length);
    await step("compact", () => manifest.compact());
    await step("commit again", () => manifest.begin().putDb(402, { name: "and one" }).commit());
    steps.push(["read-only", manifest.readOnly]);
    await step("close", () => manifest.close());
  }
  // Without failures: everything that had a receipt is there.
  const again = await Manifest.open(path, { ...options, environment: testEnvironment(3) });
  const { ok } = await again.check({ level: "deep" });
  const [first, second] = [401, 402].map((db) => again.getDb(db) !== undefined);
  for (const [name, there] of [["commit", first], ["commit again", second]] as const) {
    const outcome = steps.find(([step]) => step === name)?.[1];
    if (outcome === "done" && !there) throw new Error(`${call} ${errno}: a ${name} that had its receipt is gone`);
    if ((outcome as { outcome?: string })?.outcome === "not_applied" && there) {
      throw new Error(`${call} ${errno}: a ${name} is there that was not applied`);
    }
  }
  if (!ok || again.getDb(400) === undefined) throw new Error(`${call} ${errno}: the file is damaged`);
  await again.close();
  console.log(JSON.stringify({ call, errno, times, failed: failing.failed > 0, steps, first, second }));
}

for (const [call, errnos] of Object.entries(CASES)) {
  for (const errno of errnos) for (const times of errno === "EINTR" ? [3] : [1, 1_000_000]) await attempt(call, errno, times);
}
