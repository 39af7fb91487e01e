// What arguments mean; for commander, which prints what is thrown with the name of the option in front.
import { InvalidArgumentError } from "commander";

/** A whole number within bounds. */
export function wholeNumber(text: string, least: number, most: number = Number.MAX_SAFE_INTEGER): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new InvalidArgumentError(`It is no whole number from ${least} ${most === Number.MAX_SAFE_INTEGER ? "on" : `to ${most}`}.`);
}
