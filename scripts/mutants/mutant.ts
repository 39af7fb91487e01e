// A planted bug: exact replacements in the sources, and what they stand for.

/** One replacement; `find` must be in the file exactly once, so that a refactoring cannot disable a mutant unnoticed. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** A named bug. */
export interface Mutant {
  readonly name: string;
  /** What the bug is here, in a sentence. */
  readonly what: string;
  readonly edits: readonly Edit[];
  /** Suites to try first: they are the quickest to catch it. */
  readonly likely: readonly string[];
}

/** What is wrong with a mutant's replacements in a tree, in words; undefined when each fits exactly once. `read` gives a file's text. */
export function misfit(mutant: Mutant, read: (file: string) => string): string | undefined {
  const texts = new Map<string, string>();
  for (const { file, find, replace } of mutant.edits) {
    const text = texts.get(file) ?? read(file);
    const count = text.split(find).length - 1;
    if (count !== 1) return `${mutant.name}: its text is ${count} times in ${file}: ${JSON.stringify(find.slice(0, 80))}`;
    if (find === replace) return `${mutant.name}: it changes nothing in ${file}`;
    texts.set(file, text.replace(find, () => replace));
  }
  return undefined;
}

/** The files that a mutant changes, changed. */
export function mutate(mutant: Mutant, read: (file: string) => string): Map<string, string> {
  const wrong = misfit(mutant, read);
  if (wrong !== undefined) throw new Error(`Cannot plant ${wrong}`);
  const texts = new Map<string, string>();
  for (const { file, find, replace } of mutant.edits) texts.set(file, (texts.get(file) ?? read(file)).replace(find, () => replace));
  return texts;
}
