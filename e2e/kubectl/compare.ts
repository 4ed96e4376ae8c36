import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Difference {
  /** File of the record: `kubectl-1.36.txt`. */
  file: string;
  step: string;
  /** Lines of the first record alone, then of the second alone. */
  left: string[];
  right: string[];
}

/** What some distributions add: a ConfigMap in every namespace, paths that everybody may read. No part of Kubernetes. */
const FOREIGN = /^configmap\/openshift-service-ca\.crt$|^ \[\/\.well-known(\/\*)?\] \[\] \[get\]$/;

/** What two runs of the script printed, `# step` by `# step`, where it isn't the same. */
export function compareRecords(file: string, left: string, right: string): { steps: number; differences: Difference[] } {
  const [a, b] = [stepsOf(left), stepsOf(right)];
  const names = [...new Set([...a.keys(), ...b.keys()])];
  const differences: Difference[] = [];
  for (const step of names) {
    const [one, two] = [a.get(step) ?? [], b.get(step) ?? []];
    if (one.join("\n") === two.join("\n")) continue;
    const [onlyOne, onlyTwo] = [without(one, two), without(two, one)];
    // The same lines in another order.
    if (onlyOne.length === 0 && onlyTwo.length === 0) differences.push({ file, step, left: one, right: two });
    else differences.push({ file, step, left: onlyOne, right: onlyTwo });
  }
  return { steps: names.length, differences };
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return lines.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

function stepsOf(record: string): Map<string, string[]> {
  const steps = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of record.trimEnd().split("\n")) {
    const name = /^# (.+)$/.exec(line)?.[1];
    if (name !== undefined) steps.set(name, (lines = []));
    else if (!FOREIGN.test(line)) lines.push(line);
  }
  for (const [name, text] of steps) steps.set(name, text.join("\n").trimEnd().split("\n"));
  return steps;
}

/** The same for two directories of `SHIPSIDE_KUBECTL_RECORD`. */
async function compareDirectories(left: string, right: string): Promise<{ steps: number; differences: Difference[] }> {
  const files = (await readdir(left)).filter((name) => /^kubectl-.*\.txt$/.test(name)).sort();
  let steps = 0;
  const differences: Difference[] = [];
  for (const file of files) {
    const compared = compareRecords(file, await readFile(join(left, file), "utf8"), await readFile(join(right, file), "utf8"));
    steps += compared.steps;
    differences.push(...compared.differences);
  }
  return { steps, differences };
}

// node e2e/kubectl/compare.ts REAL EMBEDDED
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [left = "", right = ""] = process.argv.slice(2);
  const { steps, differences } = await compareDirectories(left, right);
  for (const { file, step, left: one, right: two } of differences) {
    console.log(`${file}: ${step}`);
    for (const line of one) console.log(`  < ${line}`);
    for (const line of two) console.log(`  > ${line}`);
  }
  console.log(`${steps} outputs compared, ${differences.length} differ`);
}
