// The cases of the stage "hostile": forged files, made from a base, a mutator and a number.
import { Buffer } from "node:buffer";
import type { StageReport } from "../../stages/report.ts";
import { isMine, type StageRun } from "../../stages/stage.ts";
import { FlatFile, Hang } from "../damage/flat_storage.ts";
import { Image } from "../damage/image.ts";
import { Wrong } from "../damage/interrogate.ts";
import { smallFile } from "../damage/small_file.ts";
import { recycling } from "../kernel_pool.ts";
import { seeded } from "../random.ts";
import { Draft } from "./draft.ts";
import { MUTATORS } from "./mutators.ts";
import { TALL_TABLE, tallFile } from "./tall_file.ts";
import { Findings, readStore, trial } from "./trial.ts";
import { Store } from "../../../src/store/store.ts";
import { MemoryStorage } from "../../../src/storage/memory.ts";
import { caseOptions } from "../damage/case.ts";
import { testEnvironment } from "../environment.ts";

/** A file that forgeries start from. */
interface Base {
  readonly image: Image;
  readonly file: FlatFile;
  readonly tables: readonly number[];
  /** Sum of what it answers. */
  readonly sum: number;
}

const BASES = ["closed", "crashed", "tall"] as const;
type BaseName = (typeof BASES)[number];
/** Forgeries that a process makes at a time. */
const STRETCH = 50;
const NAMES = Object.keys(MUTATORS);

/** Forged files and what becomes of them. */
export class Hostile {
  readonly seed: number;
  readonly #bases: Readonly<Record<BaseName, Base>>;

  private constructor(seed: number, bases: Readonly<Record<BaseName, Base>>) {
    this.seed = seed;
    this.#bases = bases;
  }

  /** Makes the files that forgeries start from. */
  static async make(seed: number): Promise<Hostile> {
    const small = await smallFile(seed);
    const base = async (bytes: Uint8Array): Promise<Base> => {
      const image = new Image(bytes);
      const tables = [...new Set([...image.nodes.values()].map(({ table }) => table))].filter((table) => table >= TALL_TABLE);
      const findings = new Findings();
      const store = await Store.open(new MemoryStorage(bytes), caseOptions(testEnvironment(1), "read"));
      readStore(store, tables, findings);
      await store.close();
      return { image, file: new FlatFile(bytes, bytes.length + (6 << 20)), tables, sum: findings.sum };
    };
    return new Hostile(seed, {
      closed: await base(small.closed),
      crashed: await base(small.crashed),
      tall: await base(await tallFile(seed)),
    });
  }

  /** Runs a part: `count` forgeries over all parts. */
  async run(run: StageRun, count: number): Promise<void> {
    const { report } = run;
    for (const name of ["forged files", "hangs", "silent wrong answers", "mutators that reached the code behind the checksums"]) {
      report.count(name, 0);
    }
    const reached = new Map<string, number>();
    for (let from = 0, unit = 0; from < count; from += STRETCH, unit++) {
      if (!isMine(run, unit)) continue;
      for (let number = from; number < Math.min(count, from + STRETCH); number++) await this.#case(report, number, reached);
    }
    if (run.part === 0) report.count("mutators that reached the code behind the checksums", reached.size);
  }

  async #case(report: StageReport, number: number, reached: Map<string, number>): Promise<void> {
    const mutator = NAMES[number % NAMES.length]!;
    report.begin({ seed: this.seed, case: number });
    try {
      const outcome = await recycling(() => this.one(number));
      if (outcome === undefined) return;
      report.count("forged files");
      report.cell("forged", mutator, outcome);
      if (!/ (crc|stale)$/.test(outcome)) reached.set(mutator, (reached.get(mutator) ?? 0) + 1);
    } catch (error) {
      report.count("forged files");
      if (error instanceof Hang) report.count("hangs");
      else report.count("silent wrong answers");
      report.fail(`${number} (${mutator}): ${error instanceof Wrong || error instanceof Hang ? error.message : (error as Error).stack}`, {
        seed: this.seed,
        case: number,
      });
    }
  }

  /** Makes a forgery and tries it; undefined when its base has nothing of the kind. */
  async one(number: number): Promise<string | undefined> {
    const random = seeded(this.seed).fork(number);
    const mutator = NAMES[number % NAMES.length]!;
    // Journals are in one of the bases only.
    const base = this.#bases[/^(journal|group|frame)/.test(mutator) ? "crashed" : BASES[random.int(BASES.length)]!];
    const draft = new Draft(base.image);
    if (!MUTATORS[mutator]!(draft, random)) return undefined;
    const bytes = draft.seal();
    const { file } = base;
    for (let at = 0; at < bytes.length; at += 4096) {
      const block = bytes.subarray(at, at + 4096);
      if (Buffer.compare(block, base.image.bytes.subarray(at, at + 4096)) !== 0) file.damage(at, block);
    }
    try {
      const round = Math.floor(number / NAMES.length);
      const depth = {
        mode: round % 6 === 5 ? "write" : "read",
        check: round % 4 === 0,
        compact: round % 18 === 5,
        manifest: base !== this.#bases.tall && round % 12 === 1,
      } as const;
      return (await trial(file, base.tables, depth)).outcome(base.sum);
    } finally {
      file.reset();
    }
  }
}

/** How many mutators there are. */
export const MUTATOR_COUNT: number = NAMES.length;
