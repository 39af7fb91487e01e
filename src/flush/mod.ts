/**
 * Flushing write-ahead-log segments, with the manifest told when one is durable: `@waybill/manifest/flush`.
 *
 * @example
 * ```ts
 * import { Manifest, memoryStorage } from "@waybill/manifest";
 * import { FlushController, ManifestFlushSink } from "@waybill/manifest/flush";
 *
 * await using manifest = await Manifest.open(memoryStorage(), { create: true });
 * await manifest.begin().putDb(1, { name: "events" }).commit();
 * const controller = new FlushController({
 *   flush: async ({ db, segment }) => console.log(`write segment ${segment} of database ${db} into chunks`),
 *   sink: new ManifestFlushSink(manifest),
 * });
 * await controller.enqueue({ db: 1, segment: 1, target: 100 });
 * console.log(manifest.getWalState(1)?.lastAppliedLsn); // 100
 * await controller.close();
 * ```
 *
 * @module
 */
export { FlushController, type FlushStats } from "./controller.ts";
export type { FlushResult } from "./flush_work.ts";
export { ManifestFlushSink, type ManifestFlushSinkOptions } from "./manifest_sink.ts";
export type { FlushControllerOptions, FlushEvent, FlushFunction, FlushStage } from "./options.ts";
export type { FlushRequest, FlushSegment, FlushSink } from "./sink.ts";
