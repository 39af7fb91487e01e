// What the stages of the gate share: jobs, their results, a pool that keeps both cores busy, and running a program with its output kept.

/** What a job found: checks that passed and, in words, those that did not. */
export interface JobResult {
  passed: number;
  failures: string[];
  /** A word or two for the progress line. */
  note?: string;
  /** What was measured, shown below the progress line. */
  figures?: string[];
}

/** One piece of the gate that can run beside others. */
export interface Job {
  /** Stage for the summary: "static", "deno", "bun", "node", "scale", "proofs", "workerd", "traps". */
  stage: string;
  name: string;
  /** Longest first: seconds it took last time, Infinity when unknown. */
  weight: number;
  run(): Promise<JobResult>;
}

/** A job that has run. */
export interface Finished {
  job: Job;
  result: JobResult;
  seconds: number;
}

/** A program's exit and everything it printed. */
export interface Output {
  code: number;
  text: string;
  timedOut: boolean;
}

/** Runs a program, keeps what it prints, and ends it after `seconds`. */
export async function runProgram(
  cmd: string,
  args: string[],
  seconds = 1800,
  env: Record<string, string> = {},
  cwd?: string,
): Promise<Output> {
  const streams = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
  const child = new Deno.Command(cmd, { args, ...streams, env: { NO_COLOR: "1", ...env }, cwd }).spawn();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, seconds * 1000);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  return { code, timedOut, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** The last lines of an output. */
export function tail(text: string, lines = 60): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

/** Runs jobs, `width` at a time, longest first; `report` hears of each at its end. A job that throws has failed. */
export async function runPool(jobs: Job[], width: number, report: (finished: Finished) => void): Promise<Finished[]> {
  const queue = [...jobs].sort((a, b) => b.weight - a.weight);
  const done: Finished[] = [];
  async function worker(): Promise<void> {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      const start = performance.now();
      let result: JobResult;
      try {
        result = await job.run();
      } catch (error) {
        result = { passed: 0, failures: [`${job.name}: ${error instanceof Error ? error.stack ?? error.message : error}`] };
      }
      const finished = { job, result, seconds: (performance.now() - start) / 1000 };
      done.push(finished);
      report(finished);
    }
  }
  await Promise.all(Array.from({ length: width }, worker));
  return done;
}
