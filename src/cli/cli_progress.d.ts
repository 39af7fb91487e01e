// What is used of cli-progress.
declare namespace cliProgress {
  interface Params {
    value: number;
    total: number;
    eta: number;
  }
  interface Options {
    // deno-lint-ignore no-explicit-any
    format?: string | ((options: unknown, params: Params, payload: any) => string);
    hideCursor?: boolean;
    clearOnComplete?: boolean;
    barsize?: number;
    stream?: unknown;
  }
  class SingleBar {
    constructor(options: Options, preset: unknown);
    start(total: number, value: number, payload?: Record<string, unknown>): void;
    setTotal(total: number): void;
    update(value: number, payload?: Record<string, unknown>): void;
    render(): void;
    stop(): void;
  }
  const Presets: { shades_classic: unknown };
}
export default cliProgress;
