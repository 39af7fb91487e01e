// The cases of the stage "corruption": made, counted, and made again by name.
//
// A case's name says everything: "bytes/AT/VALUE/MODE", "index/AT/VALUE/MODE", "blocks/FILE/NAME/MODE", "journal/SHAPE/LAPS/GROUP/BLOCKS/HOW/MODE", "envelope/FILE/NAME/MODE", "two/AT/VALUE/AT/VALUE". Files follow from the seed.
import { BLOCK_SIZE } from "../../../assembly/format.ts";
import type { StageReport } from "../../stages/report.ts";
import { isMine, type StageRun } from "../../stages/stage.ts";
import { recycling } from "../kernel_pool.ts";
import { seeded } from "../random.ts";
import { blockCase } from "./block_case.ts";
import { blockDamages } from "./block_damage.ts";
import { byteCase, OpenHandle, PATTERNS, patternValue, Subject } from "./byte_case.ts";
import type { Mode } from "./case.ts";
import { envelopeCase, envelopes } from "./envelope.ts";
import { indexFile } from "./index_file.ts";
import { FlatFile, Hang } from "./flat_storage.ts";
import { Wrong } from "./interrogate.ts";
import { type Destruction, DESTRUCTIONS, journalCase } from "./journal_case.ts";
import { type JournalFile, journalFile, SHAPES } from "./journal_file.ts";
import { checkFacts, SMALL_MOST, type SmallFile, smallFile } from "./small_file.ts";
import { twoBytesCase } from "./two_bytes_case.ts";

const MODES: readonly Mode[] = ["read", "write"];
/** Bytes that a process takes at a time. */
const STRETCH = 512;
/** Reading: every so manyth byte of a page is damaged before the file is opened, the others under an open handle. */
const FRESH = 4;
/** Every so manyth case is looked at with the whole-file check, and opened again. */
const DEEP = 61;

/** The files under test and their cases. */
export class Corruption {
  readonly seed: number;
  readonly files: { readonly crashed: Subject; readonly closed: Subject };
  readonly #small: SmallFile;
  readonly #other: SmallFile;

  private constructor(seed: number, small: SmallFile, other: SmallFile) {
    this.seed = seed;
    this.#small = small;
    this.#other = other;
    this.files = { crashed: new Subject(small.crashed), closed: new Subject(small.closed) };
  }

  /** Makes the files and shows that they hold what they must. */
  static async make(seed: number): Promise<Corruption> {
    const small = await smallFile(seed);
    if (small.crashed.length > SMALL_MOST) throw new Error(`the small file has ${small.crashed.length} bytes`);
    await checkFacts(small);
    return new Corruption(seed, small, await smallFile(seed + 1_000_003));
  }

  /** Runs a part. */
  async run(run: StageRun): Promise<void> {
    const { report } = run;
    for (const count of ["damaged bytes × patterns", "byte cases missed", "silent wrong answers", "hangs"]) report.count(count, 0);
    let unit = 0;
    const mine = (): boolean => isMine(run, unit++);
    await this.#bytes(run, mine);
    await this.#index(report, mine);
    await this.#blocks(report, mine);
    await this.#journal(report, mine);
    await this.#envelopes(report, mine);
    if (run.size === "soak") await this.#twoBytes(run);
  }

  /** Makes a case and counts what became of it. */
  async #case(
    report: StageReport,
    count: string,
    matrix: string,
    row: string,
    name: string,
    make: () => Promise<string | undefined>,
  ): Promise<void> {
    report.begin({ seed: this.seed, case: name });
    try {
      const outcome = await recycling(make);
      if (outcome === undefined) return;
      report.count(count);
      report.cell(matrix, row, outcome);
    } catch (error) {
      report.count(count);
      if (error instanceof Wrong) report.count("silent wrong answers");
      else if (error instanceof Hang) report.count("hangs");
      report.fail(`${name} (${row}): ${error instanceof Wrong || error instanceof Hang ? error.message : (error as Error).stack}`, {
        seed: this.seed,
        case: name,
      });
    }
  }

  async #bytes({ report, size, seed }: StageRun, mine: () => boolean): Promise<void> {
    const subject = this.files.crashed;
    const { bytes } = subject.expected.image;
    const random = seeded(seed);
    for (let start = 0; start < bytes.length; start += STRETCH) {
      if (!mine()) continue;
      const before = report.counted("damaged bytes × patterns");
      const end = Math.min(bytes.length, start + STRETCH);
      const region = subject.regions[Math.floor(start / 4096)]!;
      const handle = await OpenHandle.open(subject, region, start, bytes[start]! ^ 1);
      for (let at = start; at < end; at++) {
        for (const [i, pattern] of PATTERNS.entries()) {
          const value = size === "soak" ? (bytes[at]! + 1 + random.int(255)) & 0xff : patternValue(pattern, at, bytes[at]!, this.seed);
          const mode = i === 1
            ? "write"
            : handle !== undefined && (i === 2 || at % FRESH !== 0)
            ? "open"
            : i === 0
            ? "read"
            : MODES[at % 2]!;
          await this.#case(
            report,
            "damaged bytes × patterns",
            "damaged byte in",
            region.label,
            `bytes/${at}/${value}/${mode}`,
            async () => {
              if (mode === "open") return handle!.run(at, value);
              const deep = (at * 3 + i) % DEEP;
              return await byteCase(subject, at, value, mode, { check: deep === 0, again: deep === 1 });
            },
          );
        }
      }
      if (handle !== undefined) {
        await this.#case(
          report,
          "damage healed under an open handle",
          "damage that goes away under an open handle",
          region.label,
          `bytes/${start}/${bytes[start]! ^ 1}/open`,
          async () => {
            await handle.end();
            return "right again";
          },
        );
      }
      report.count("byte cases missed", (end - start) * PATTERNS.length - (report.counted("damaged bytes × patterns") - before));
    }
    if (report.counted("byte cases missed") > 0) {
      report.fail(`${report.counted("byte cases missed")} bytes × patterns were missed`, { seed: this.seed });
    }
  }

  /** Every byte of the page that only a large file has. */
  async #index(report: StageReport, mine: () => boolean): Promise<void> {
    if (!mine()) return;
    const { subject, at: page } = await indexFile(this.seed);
    const { bytes } = subject.expected.image;
    for (let at = page; at < page + BLOCK_SIZE; at++) {
      for (const [i, pattern] of PATTERNS.entries()) {
        const value = patternValue(pattern, at, bytes[at]!, this.seed);
        const mode = MODES[(at + i) % 2]!;
        const depth = { check: at % DEEP === 0, again: at % DEEP === 1 };
        await this.#case(
          report,
          "damaged bytes of an index page × patterns",
          "damaged byte in",
          "bitmap index",
          `index/${at}/${value}/${mode}`,
          () => byteCase(subject, at, value, mode, depth),
        );
      }
    }
  }

  #blockDamages(file: "crashed" | "closed"): ReturnType<typeof blockDamages> {
    const { history, before } = this.#small;
    const past = file === "crashed" ? history.slice(0, before) : history;
    return blockDamages(this.files[file].expected.image.bytes, past, this.#other[file]);
  }

  async #blocks(report: StageReport, mine: () => boolean): Promise<void> {
    for (const file of ["crashed", "closed"] as const) {
      const subject = this.files[file];
      for (const damage of this.#blockDamages(file)) {
        if (!mine()) continue;
        for (const mode of MODES) {
          await this.#case(
            report,
            "block cases",
            "damaged blocks",
            damage.kind,
            `blocks/${file}/${damage.name}/${mode}`,
            () => blockCase(subject, damage.blocks, mode),
          );
        }
      }
    }
  }

  async #journal(report: StageReport, mine: () => boolean): Promise<void> {
    for (const [shape, shapes] of SHAPES.entries()) {
      for (const laps of [false, true]) {
        if (!mine()) continue;
        const journal = await journalFile(this.seed, laps, shapes);
        const file = new FlatFile(journal.bytes);
        for (const { index, blocks, how } of journalDamages(journal)) {
          const newest = index === journal.groups.length - 1;
          const row = `${blocks.length === 1 ? "one block" : "two blocks"} of ${newest ? "the newest group" : "an earlier group"}`;
          for (const mode of MODES) {
            const name = `journal/${shape}/${laps ? 1 : 0}/${index}/${blocks.join("+")}/${how}/${mode}`;
            await this.#case(
              report,
              "journal cases",
              "acknowledged, in the journal alone",
              row,
              name,
              () => journalCase(file, journal, index, blocks, how, mode),
            );
          }
        }
      }
    }
  }

  async #envelopes(report: StageReport, mine: () => boolean): Promise<void> {
    for (const file of ["crashed", "closed"] as const) {
      const subject = this.files[file];
      for (const envelope of this.#envelopesOf(file)) {
        if (!mine()) continue;
        for (const mode of MODES) {
          await this.#case(
            report,
            "cut, longer and foreign files",
            "file that is",
            envelope.kind,
            `envelope/${file}/${envelope.name}/${mode}`,
            () => envelopeCase(subject, envelope, mode),
          );
        }
      }
    }
  }

  #envelopesOf(file: "crashed" | "closed"): ReturnType<typeof envelopes> {
    const { image } = this.files[file].expected;
    return envelopes(image.bytes, image.state.pageCount * image.pageSize);
  }

  /** Two bytes anywhere: right, or named. */
  async #twoBytes({ report, seed, part }: StageRun): Promise<void> {
    const random = seeded(seed).fork(part);
    const subject = this.files.crashed;
    const { bytes } = subject.expected.image;
    for (let i = 0; i < 5000; i++) {
      const damage = [0, 1].map(() => {
        const at = random.int(bytes.length);
        return [at, (bytes[at]! + 1 + random.int(255)) & 0xff] as const;
      });
      const name = `two/${damage.flat().join("/")}`;
      await this.#case(report, "two bytes", "two bytes", "anywhere", name, () => twoBytesCase(subject, damage, MODES[i % 2]!));
    }
  }

  /** Makes one case again; throws as it failed. */
  async replay(name: string): Promise<void> {
    const [kind, ...rest] = name.split("/");
    const mode = rest.at(-1) as Mode;
    if (kind === "bytes") {
      const [at, value] = [Number(rest[0]), Number(rest[1])];
      const subject = this.files.crashed;
      if (rest[2] !== "open") return void await byteCase(subject, at, value, mode, { check: true, again: true });
      const handle = await OpenHandle.open(subject, subject.regions[Math.floor(at / 4096)]!, at, value);
      handle!.run(at, value);
      return await handle!.end();
    }
    if (kind === "index") {
      const { subject } = await indexFile(this.seed);
      return void await byteCase(subject, Number(rest[0]), Number(rest[1]), mode, { check: true, again: true });
    }
    if (kind === "two") {
      const [a, x, b, y] = rest.map(Number);
      for (const each of MODES) await twoBytesCase(this.files.crashed, [[a!, x!], [b!, y!]], each);
      return;
    }
    if (kind === "journal") {
      const [shape, laps, index, blocks, how] = rest;
      const journal = await journalFile(this.seed, laps === "1", SHAPES[Number(shape)]!);
      await journalCase(new FlatFile(journal.bytes), journal, Number(index), blocks!.split("+").map(Number), how as Destruction, mode);
      return;
    }
    const file = rest[0] as "crashed" | "closed";
    const wanted = rest.slice(1, -1).join("/");
    const subject = this.files[file];
    if (kind === "blocks") {
      for (const damage of this.#blockDamages(file)) {
        if (damage.name === wanted) return void await blockCase(subject, damage.blocks, mode);
      }
    } else if (kind === "envelope") {
      for (const envelope of this.#envelopesOf(file)) if (envelope.name === wanted) return void await envelopeCase(subject, envelope, mode);
    }
    throw new Error(`Cannot make case "${name}" again: there is none of that name`);
  }
}

/** One block, and every two blocks, of every group, destroyed in every way. */
function* journalDamages(journal: JournalFile): Generator<{ index: number; blocks: readonly number[]; how: Destruction }> {
  for (const [index, { blocks }] of journal.groups.entries()) {
    for (let a = 0; a < blocks; a++) {
      for (let b = a; b < blocks; b++) for (const how of DESTRUCTIONS) yield { index, blocks: a === b ? [a] : [a, b], how };
    }
  }
}
