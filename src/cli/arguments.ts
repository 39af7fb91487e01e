// What arguments mean; for commander, which prints what is thrown with the name of the option in front.
import { InvalidArgumentError, Option } from "commander";

/** A whole number within bounds. */
export function wholeNumber(text: string, least: number, most: number = Number.MAX_SAFE_INTEGER): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new InvalidArgumentError(`It is no whole number from ${least} ${most === Number.MAX_SAFE_INTEGER ? "on" : `to ${most}`}.`);
}

/** An option whose value is one of a few words. */
export function choice(flags: string, description: string, words: readonly string[], preset: string): Option {
  return new Option(flags, description).choices(words).default(preset);
}
