// Turns outcomes into ratios against the targets and into a Markdown table.
import type { Contender } from "./contender.ts";
import { filesMarkdown, type FilesScore } from "./files.ts";
import { openingMarkdown, type OpenScore } from "./opening.ts";
import { ownMarkdown, type OwnScore } from "./own.ts";
import type { Outcome, Score } from "./rounds.ts";
import type { Target, Workload } from "./workloads.ts";

/** Name of this project's store among the contenders. */
export const OURS = "waybill";

/** A target with what was reached. */
export interface Ratio {
  against: string;
  ratio: number;
  must: number;
  aim: number;
  verdict: "aim" | "must" | "below";
}

/** Everything a run has to say. */
export interface BenchReport {
  startedAt: string;
  machine: Record<string, string>;
  rounds: number;
  contenders: { name: string; version: string; options: string }[];
  /** Peers that could not take part, and why. */
  missing: Record<string, string>;
  outcomes: (Outcome & { ratios: Ratio[] })[];
  /** S9. */
  opening: OpenScore[];
  /** S12, S13. */
  own: OwnScore[];
  /** F1. */
  files: FilesScore[];
}

function isStore(score: Score): boolean {
  return score.contender !== OURS && !score.contender.startsWith("raw ");
}

/** A target without names is against every store; one against a store includes the other forms of it ("lmdb-js (sync)"). */
function opponents(target: Target, scores: readonly Score[]): Score[] {
  if (target.against.length === 0) return scores.filter(isStore);
  return scores.filter(({ contender }) => target.against.some((name) => contender === name || contender.startsWith(`${name} (`)));
}

/** Ours against the best of each target's opponents; a target none of whose opponents took part is left out. */
export function ratios(outcome: Outcome, workload: Workload): Ratio[] {
  const ours = outcome.scores.find(({ contender }) => contender === OURS);
  if (ours === undefined) return [];
  return workload.targets.flatMap((target) => {
    const best = opponents(target, outcome.scores).sort((a, b) => b.median - a.median)[0];
    if (best === undefined) return [];
    const ratio = ours.median / best.median;
    const verdict = ratio >= target.aim ? "aim" : ratio >= target.must ? "must" : "below";
    return [{ against: best.contender, ratio, must: target.must, aim: target.aim, verdict }];
  });
}

/** A rate in words. */
export function rate(perSecond: number): string {
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(2)} M`;
  if (perSecond >= 1e4) return `${(perSecond / 1e3).toFixed(0)} k`;
  if (perSecond >= 1e3) return `${(perSecond / 1e3).toFixed(2)} k`;
  return perSecond.toFixed(0);
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

const WORDS = { aim: "aim reached", must: "must reached", below: "below must" } as const;

/** The run as Markdown. */
export function markdown(report: BenchReport): string {
  const names = report.contenders.map(({ name }) => name);
  const head = ["#", "workload", ...names, "ratio to the best", "must", "aim", "", "hash"];
  const lines = [
    `# Benchmarks, ${report.startedAt}`,
    "",
    `Medians of ${report.rounds} rounds, contenders interleaved round by round in one process; lowest and highest round in brackets. Every answer was checked.`,
    "",
    row(head),
    row(head.map(() => "---")),
  ];
  for (const outcome of report.outcomes) {
    const cells = names.map((name) => {
      const score = outcome.scores.find(({ contender }) => contender === name);
      return score === undefined ? "" : `${rate(score.median)} (${rate(score.lowest)}–${rate(score.highest)})`;
    });
    const what = `${outcome.title}, ${outcome.unit}`;
    const ours = outcome.ratios.length > 0 ? outcome.ratios : [undefined];
    ours.forEach((ratio, i) => {
      const verdict = ratio === undefined
        ? ["", "", "", ""]
        : [`${ratio.ratio.toFixed(2)} × ${ratio.against}`, `${ratio.must} ×`, `${ratio.aim} ×`, WORDS[ratio.verdict]];
      lines.push(row(i === 0 ? [outcome.id, what, ...cells, ...verdict, outcome.hash] : ["", "", ...names.map(() => ""), ...verdict, ""]));
    });
  }
  if (report.opening.length > 0) lines.push("", openingMarkdown(report.opening).trimEnd());
  if (report.own.length > 0) lines.push("", ownMarkdown(report.own).trimEnd());
  if (report.files.length > 0) lines.push("", filesMarkdown(report.files).trimEnd());
  lines.push("", "Contenders:", "");
  for (const { name, version, options } of report.contenders) lines.push(`- ${name}${version === "" ? "" : ` ${version}`}: ${options}`);
  for (const [name, reason] of Object.entries(report.missing)) lines.push(`- ${name} did not take part: ${reason}`);
  lines.push("", "Machine:", "");
  for (const [name, value] of Object.entries(report.machine)) lines.push(`- ${name}: ${value}`);
  return lines.join("\n") + "\n";
}

/** A contender as the report names it. */
export function describe({ name, version, options }: Contender): { name: string; version: string; options: string } {
  return { name, version, options };
}
