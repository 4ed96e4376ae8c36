/** Order of two versions as semver.org has it (11): below 0 where `a` is the older. What is no version is older than any. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parse(a), parse(b)];
  if (!left || !right) return Number(left !== undefined) - Number(right !== undefined);
  for (let i = 0; i < 3; i++) if (left.core[i] !== right.core[i]) return left.core[i]! - right.core[i]!;
  // One with a pre-release stands before the one without.
  if (left.pre.length === 0 || right.pre.length === 0) return Number(left.pre.length === 0) - Number(right.pre.length === 0);
  for (let i = 0; i < Math.max(left.pre.length, right.pre.length); i++) {
    const order = comparePart(left.pre[i], right.pre[i]);
    if (order !== 0) return order;
  }
  return 0;
}

function parse(version: string): { core: number[]; pre: string[] } | undefined {
  const found = /^v?(\d+)\.(\d+)\.(\d+)(?:-([\w.-]+))?(?:\+[\w.-]+)?$/.exec(version);
  return found ? { core: found.slice(1, 4).map(Number), pre: found[4]?.split(".") ?? [] } : undefined;
}

function comparePart(a: string | undefined, b: string | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  const numbers = [a, b].map((part) => (/^\d+$/.test(part) ? Number(part) : undefined));
  if (numbers[0] !== undefined && numbers[1] !== undefined) return numbers[0] - numbers[1];
  if (numbers[0] !== undefined || numbers[1] !== undefined) return numbers[0] !== undefined ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
