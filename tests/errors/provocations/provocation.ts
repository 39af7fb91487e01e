// A provocation: a way to meet an error through the public API, and what the error says then.
import { Manifest, type ManifestErrorFields, type ManifestOptions } from "../../../mod.ts";
import type { ErrorCode, ErrorHandle, ErrorOutcome } from "../../../src/errors.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { errorOf } from "../../manifest/open_manifest.ts";
import { SimDisk } from "../../support/crash_storage.ts";
import { testEnvironment } from "../../support/environment.ts";
import { FaultyStorage } from "../../support/faulty_storage.ts";

/** One way to an error. */
export interface Provocation {
  /** What is done. */
  readonly what: string;
  /** Where it differs from what the code implies. */
  readonly outcome?: ErrorOutcome;
  readonly handle?: ErrorHandle;
  readonly retryable?: boolean;
  /** Meets the error. */
  provoke(): Promise<ManifestErrorFields>;
}

/** Provocations by code. */
export type Provocations = Partial<Record<ErrorCode, readonly Provocation[]>>;

/** Options that leave nothing to time. */
export function options(more: ManifestOptions = {}): ManifestOptions {
  return { environment: testEnvironment(1), idleCheckpoint: 0, ...more };
}

/** A new manifest on a disk, with a database 1. */
export async function fresh(more: ManifestOptions = {}, disk: SimDisk = new SimDisk()): Promise<Manifest> {
  const manifest = await Manifest.open(disk.open(), options({ create: true, ...more }));
  await manifest.begin().putDb(1, { name: "first" }).commit();
  return manifest;
}

/** A provocation on a manifest that is closed behind it. */
export function on(
  what: string,
  call: (manifest: Manifest) => unknown,
  expected: Omit<Provocation, "what" | "provoke"> = {},
  more: ManifestOptions = {},
): Provocation {
  return {
    what,
    ...expected,
    provoke: async () => {
      const manifest = await fresh(more);
      try {
        return await errorOf(() => call(manifest));
      } finally {
        await manifest.close().catch(() => {});
      }
    },
  };
}

/** A provocation of an opening. */
export function opening(what: string, at: () => Storage | string | Promise<Storage>, more: ManifestOptions = {}): Provocation {
  return { what, handle: "closed", provoke: () => errorOf(async () => (await Manifest.open(await at(), options(more))).close()) };
}

/** The bytes of a manifest that was closed, changed. */
export async function closedImage(
  change: (image: Uint8Array, disk: SimDisk) => void = () => {},
  fill?: (manifest: Manifest) => Promise<unknown>,
): Promise<Uint8Array> {
  const disk = new SimDisk();
  const manifest = await fresh({}, disk);
  await fill?.(manifest);
  await manifest.close();
  const image = disk.live();
  change(image, disk);
  return image;
}

/** A provocation on a manifest whose storage fails as planned from a moment on. */
export function failing(
  what: string,
  plan: FaultyStorage["fault"],
  call: (manifest: Manifest, storage: FaultyStorage) => unknown,
  expected: Omit<Provocation, "what" | "provoke"> = {},
  more: ManifestOptions = {},
): Provocation {
  return {
    what,
    ...expected,
    provoke: async () => {
      const storage = new FaultyStorage(new SimDisk().open());
      const manifest = await Manifest.open(storage, options({ create: true, ...more }));
      await manifest.begin().putDb(1, { name: "first" }).commit();
      storage.plan(plan);
      try {
        return await errorOf(() => call(manifest, storage));
      } finally {
        storage.plan(undefined);
        await manifest.close().catch(() => {});
      }
    },
  };
}
