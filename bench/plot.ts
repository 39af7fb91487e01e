// The run as an SVG plot: one panel a workload, a bar for each contender with its spread of rounds. Drawn by Vega-Lite.
import type { Outcome } from "./rounds.ts";
import { type BenchReport, OURS, rate } from "./report.ts";

/** What is used of vega and vega-lite. */
export interface PlotModules {
  vega: {
    parse(spec: unknown): unknown;
    View: new (runtime: unknown, options: { renderer: "none" }) => { toSVG(): Promise<string>; finalize(): void };
  };
  vegaLite: { compile(spec: unknown): { spec: unknown } };
}

const PANEL_WIDTH = 420;
const LABELS_WIDTH = 140;
const BAR = 18;

function panel(outcome: Outcome, order: string[]): unknown {
  return {
    title: { text: `${outcome.id}  ${outcome.title}`, anchor: "start", frame: "group", fontSize: 12 },
    width: PANEL_WIDTH,
    height: { step: BAR },
    data: { values: outcome.scores.map((score) => ({ ...score, label: rate(score.median) })) },
    encoding: { y: { field: "contender", type: "nominal", title: null, sort: order } },
    layer: [
      {
        mark: { type: "bar", height: BAR * 0.7 },
        encoding: {
          x: { field: "median", type: "quantitative", title: outcome.unit, axis: { format: "~s" } },
          color: { condition: { test: `datum.contender === "${OURS}"`, value: "#1f6f8b" }, value: "#b8c4cc" },
        },
      },
      { mark: { type: "rule", color: "#333" }, encoding: { x: { field: "lowest", type: "quantitative" }, x2: { field: "highest" } } },
      {
        mark: { type: "text", align: "left", dx: 4, dy: 0, fontSize: 10 },
        encoding: { x: { field: "highest", type: "quantitative" }, text: { field: "label", type: "nominal" } },
      },
    ],
  };
}

/** Draws a report. */
export async function plot(report: BenchReport, { vega, vegaLite }: PlotModules): Promise<string> {
  const panels = report.outcomes.map((outcome) => {
    const order = [...outcome.scores].sort((a, b) => b.median - a.median).map(({ contender }) => contender);
    return panel(outcome, order);
  });
  const compiled = vegaLite.compile({
    title: {
      text: "Waybill beside other stores",
      subtitle: `medians of ${report.rounds} rounds, ${report.machine.processor ?? ""}`,
      anchor: "start",
    },
    background: "white",
    padding: 16,
    spacing: 24,
    config: { font: "sans-serif", axisY: { minExtent: LABELS_WIDTH }, view: { stroke: null } },
    vconcat: panels,
  });
  const view = new vega.View(vega.parse(compiled.spec), { renderer: "none" });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}
