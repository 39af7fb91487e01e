// What the parts of one inspection share: the source, its findings, the kernel's module, and who may end it.
import { checkSignal } from "../arguments.ts";
import { fail, ManifestError } from "../errors.ts";
import { Kernel } from "../kernel/kernel.ts";
import { kernelModule } from "../kernel/loader.ts";
import type { Storage } from "../storage/storage.ts";
import { type Environment, systemEnvironment } from "../store/environment.ts";
import { fileIdWords, type Meta } from "../store/meta.ts";
import type { InspectOptions, InspectProgress } from "./check_types.ts";
import { Findings } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { type Header, lookAtHeader, readHeader } from "./header.ts";
import { Source } from "./source.ts";

/** Findings handed out unless the options say otherwise. */
export const FINDINGS = 1000;
/** Work done between two turns of others. */
const STEPS = 256;

/** Tells that a writer has replaced the state that is being looked at: the inspection has to begin again. */
export class Replaced extends Error {}

/** One inspection. */
export class Inspection {
  readonly source: Source;
  readonly findings: Findings;
  readonly environment: Environment;
  readonly wasm: InspectOptions["wasm"];
  readonly #signal: AbortSignal | undefined;
  readonly #action: string;
  readonly #onProgress: ((progress: InspectProgress) => void) | undefined;
  /** For checksums of meta slots. */
  readonly #slots: Kernel;
  #steps = 0;

  constructor(
    storage: Storage,
    action: string,
    options: InspectOptions & {
      onFinding?: (finding: Finding) => void;
      onProgress?: (progress: InspectProgress) => void;
      maxFindings?: number;
    },
  ) {
    this.source = new Source(storage);
    this.findings = new Findings(options.onFinding ?? (() => {}), options.maxFindings ?? FINDINGS);
    this.environment = options.environment ?? systemEnvironment;
    this.wasm = options.wasm;
    this.#signal = checkSignal(options.signal, action);
    this.#action = action;
    this.#onProgress = options.onProgress;
    this.#slots = this.kernel();
  }

  /** A kernel of its own for one part of the work: nothing of a file's damage is left in it for the next. */
  kernel(): Kernel {
    return new Kernel(kernelModule(this.wasm));
  }

  /** A kernel made ready for the pages of one state. */
  kernelFor({ pageShift, bytes }: Meta): Kernel {
    const kernel = this.kernel();
    if (kernel.exports.init(pageShift, 64, ...fileIdWords(bytes)) !== 0) {
      fail("UNAVAILABLE", `Cannot ${this.#action}: the kernel's memory cannot grow`);
    }
    return kernel;
  }

  /** Reads the header, beside a writer until it stands still. */
  header(): Promise<Header> {
    this.check();
    return readHeader(this.source, this.#slots, () => this.pause());
  }

  /** Throws Replaced when a writer may have reused pages of a state: two generations later. */
  still(meta: Meta): void {
    const { newest } = lookAtHeader(this.source, this.#slots);
    if (newest !== undefined && newest.generation >= meta.generation + 2) throw new Replaced();
  }

  /** Gives others a turn. ABORTED when the signal says so. */
  async pause(): Promise<void> {
    await this.environment.yield();
    this.check();
  }

  /** The same every so many calls. */
  async step(): Promise<void> {
    if (++this.#steps % STEPS === 0) await this.pause();
  }

  /** Throws ABORTED when the signal says so. */
  check(): void {
    if (this.#signal?.aborted) {
      throw new ManifestError("ABORTED", `Cannot ${this.#action}: it was aborted`, { cause: this.#signal.reason });
    }
  }

  /** Tells how far it is. */
  progress(step: InspectProgress["step"], done: number, total: number): void {
    this.#onProgress?.({ step, done, total });
  }
}
