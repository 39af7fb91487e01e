// Options of a store: defaults and validation.
import { PAGE_SHIFT_MAX, PAGE_SHIFT_MIN } from "../../assembly/format.ts";
import { type OptionNames, readArgument, takeOptions } from "../arguments.ts";
import { failRange, failType } from "../errors.ts";
import { isKernelModule, type KernelModule } from "../kernel/loader.ts";
import { type Environment, systemEnvironment } from "./environment.ts";
import type { DurabilityMode, StoreOptions, SyncMode } from "./types.ts";

const MIB = 1 << 20;
/** A tree operation keeps two paths and their neighbours resident: fewer frames could not finish one. */
const FRAMES_MIN = 64;
const FRAMES_MAX = 1 << 19;
/** A value must fit the kernel's memory beside the cache. */
const TRANSACTION_MAX = 512 * MIB;

/** Where the numbers of a new file begin: behind these. */
export interface Continued {
  /** The change sequence. */
  readonly sequence: number;
  /** The frame number. */
  readonly frame: number;
  /** The time of commits, milliseconds since 1970. */
  readonly committedAt: number;
}

const FROM_THE_BEGINNING: Continued = { sequence: 0, frame: 0, committedAt: 0 };

/** Every option, valid. */
export interface ResolvedOptions {
  readonly continued: Continued;
  readonly create: boolean;
  readonly readOnly: boolean;
  readonly pageShift: number;
  readonly cacheBytes: number;
  readonly durability: DurabilityMode;
  readonly syncMode: SyncMode;
  readonly groupWindow: number;
  readonly queueCapacity: number;
  readonly maxTransactionBytes: number;
  readonly idleCheckpoint: number;
  readonly expectSequence: number;
  readonly environment: Environment;
  readonly wasm: KernelModule | undefined;
}

function flag(name: string, value: boolean | undefined): boolean {
  if (value !== undefined && typeof value !== "boolean") failType(`Cannot open: option ${name} is not a boolean`, { option: name });
  return value ?? false;
}

function whole(name: string, value: number | undefined, fallback: number, low: number, high: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== "number") failType(`Cannot open: option ${name} is not a number`, { option: name });
  if (!Number.isInteger(value) || value < low || value > high) {
    failRange(`Cannot open: option ${name} is not a whole number from ${low} to ${high}`, { option: name, value });
  }
  return value;
}

function choice<T extends string>(name: string, value: T | undefined, choices: readonly T[]): T {
  if (value === undefined) return choices[0]!;
  if (!choices.includes(value)) failType(`Cannot open: option ${name} is none of ${choices.join(", ")}`, { option: name });
  return value;
}

/** The names of all options. */
export const STORE_OPTIONS: OptionNames<StoreOptions> = {
  create: true,
  readOnly: true,
  pageSize: true,
  cacheBytes: true,
  durability: true,
  syncMode: true,
  groupWindow: true,
  queueCapacity: true,
  maxTransactionBytes: true,
  idleCheckpoint: true,
  expectSequence: true,
  environment: true,
  wasm: true,
};

/** What an environment must offer. */
const ENVIRONMENT: readonly (keyof Environment)[] = ["now", "monotonic", "random", "timer", "yield"];

/** Validates options and fills in the defaults. Touches nothing. */
export function resolveOptions(options: StoreOptions, continued: Continued = FROM_THE_BEGINNING): ResolvedOptions {
  options = takeOptions(options, STORE_OPTIONS, "open");
  const { environment, wasm } = options;
  if (environment !== undefined) {
    const missing = readArgument("open", "option environment", () => ENVIRONMENT.find((name) => typeof environment?.[name] !== "function"));
    if (missing !== undefined) failType(`Cannot open: option environment has no function ${missing}`, { option: "environment" });
  }
  if (wasm !== undefined && !readArgument("open", "option wasm", () => isKernelModule(wasm))) {
    failType("Cannot open: option wasm is not a WebAssembly.Module", { option: "wasm" });
  }
  const pageSize = whole("pageSize", options.pageSize, 4096, 1 << PAGE_SHIFT_MIN, 1 << PAGE_SHIFT_MAX);
  const pageShift = 31 - Math.clz32(pageSize);
  if (1 << pageShift !== pageSize) failRange("Cannot open: option pageSize is not a power of two", { option: "pageSize", value: pageSize });
  return {
    continued,
    create: flag("create", options.create),
    readOnly: flag("readOnly", options.readOnly),
    pageShift,
    cacheBytes: whole("cacheBytes", options.cacheBytes, 16 * MIB, 0, 2048 * MIB),
    durability: choice("durability", options.durability, ["sync", "relaxed", "none"]),
    syncMode: choice("syncMode", options.syncMode, ["auto", "inline", "async"]),
    groupWindow: whole("groupWindow", options.groupWindow, 0, 0, 60_000),
    queueCapacity: whole("queueCapacity", options.queueCapacity, 65536, 1, 1 << 30),
    maxTransactionBytes: whole("maxTransactionBytes", options.maxTransactionBytes, 64 * MIB, 4096, TRANSACTION_MAX),
    idleCheckpoint: whole("idleCheckpoint", options.idleCheckpoint, 5000, 0, 1 << 30),
    expectSequence: whole("expectSequence", options.expectSequence, 0, 0, Number.MAX_SAFE_INTEGER),
    environment: environment ?? systemEnvironment,
    wasm,
  };
}

/** Frames of the page cache at a page size. */
export function cacheFrames(cacheBytes: number, pageShift: number): number {
  return Math.min(FRAMES_MAX, Math.max(FRAMES_MIN, cacheBytes >>> pageShift));
}
