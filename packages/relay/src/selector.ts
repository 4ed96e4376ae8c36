/**
 * A Service is switched to the relay by changing the value of every key of its selector and adding or dropping none: a key that we added or
 * dropped would be merged with a manifest applied again later, and select nothing.
 */

export type Selector = Readonly<Record<string, string>>;

/** The selector of the relay's own pods: the original's keys, each with `value`, which must be a label's value of nobody else. */
export function switchedSelector(original: Selector, value: string): Record<string, string> {
  return Object.fromEntries(Object.keys(original).map((key) => [key, value]));
}

/** Whether it is the one that we switched to, whatever the order of its keys. */
export function sameSelector(a: Selector | undefined, b: Selector): boolean {
  const [ours, theirs] = [Object.entries(b), Object.keys(a ?? {})];
  return ours.length === theirs.length && ours.every(([key, value]) => a?.[key] === value);
}
