/** One kubectl command and what has to come of it. `{ns}` stands for the namespace that the script runs in. */
export interface Step {
  name: string;
  args: readonly string[];
  stdin?: string;
  env?: Readonly<Record<string, string>>;
  /** Default 0. */
  exit?: number;
  /** The whole output (standard output, then standard error) after normalising, or what it has to match. */
  expect: string | RegExp;
  /** The command is ended once this has been printed. */
  until?: RegExp;
  /** Requested over HTTP once `until` was printed; `$1` is its first group. */
  request?: string;
  /** Tried again until it fits, this long, in ms: the command shows what takes time. */
  within?: number;
  /** The least kubectl that can do it (1.x). */
  since?: number;
  /** A namespace of its own is named, or none counts. */
  unscoped?: true;
}

/** `args` as one would type them, in single quotes what has spaces. */
export const step = (name: string, args: string, expect: Step["expect"], more: Partial<Step> = {}): Step => ({
  name,
  args: args.match(/(?:'[^']*'|[^\s'])+/g)!.map((arg) => arg.replaceAll("'", "")),
  expect,
  ...more,
});
