/**
 * Whether a path fits one of the patterns: a name, anywhere; or where it has a `/`, a path from the root. `*` stands for any part of one name.
 * Paths are byte strings (latin1).
 */
export function ignoreRule(patterns: readonly string[]): (path: string) => boolean {
  const rules = patterns.map((given) => {
    const isPath = given.replace(/\/$/, "").includes("/");
    const pattern = Buffer.from(given.replace(/^\.?\//, "").replace(/\/$/, "")).toString("latin1");
    return { isPath, test: new RegExp(`^${pattern.split("*").map(escaped).join("[^/]*")}$`) };
  });
  return (path) => rules.some(({ isPath, test }) => test.test(isPath ? path : path.slice(path.lastIndexOf("/") + 1)));
}

const escaped = (text: string): string => text.replace(/[\\^$.|?+()[\]{}]/g, "\\$&");
