/** A line of either text: of both, of the first alone, of the second alone. */
export type DiffLine = readonly [mark: " " | "-" | "+", line: string];

/** The shortest way from one text to another, line by line (Myers 1986). Lines are without their ends. */
export function diffLines(before: readonly string[], after: readonly string[]): DiffLine[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  while (
    tail < before.length - head &&
    tail < after.length - head &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  )
    tail++;
  const same = (lines: readonly string[]): DiffLine[] => lines.map((line) => [" ", line]);
  return [
    ...same(before.slice(0, head)),
    ...middle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...same(before.slice(before.length - tail)),
  ];
}

function middle(a: readonly string[], b: readonly string[]): DiffLine[] {
  // `reach[k]`: how far along `a` one gets on diagonal k; one copy is kept for each number of edits.
  const history: Array<Map<number, number>> = [];
  let reach = new Map([[1, 0]]);
  for (let edits = 0; edits <= a.length + b.length; edits++) {
    history.push(new Map(reach));
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && reach.get(k - 1)! < reach.get(k + 1)!);
      let x = down ? reach.get(k + 1)! : reach.get(k - 1)! + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reach.set(k, x);
      if (x >= a.length && x - k >= b.length) return trace(history, a, b);
    }
    reach = new Map(reach);
  }
  return [];
}

function trace(history: ReadonlyArray<ReadonlyMap<number, number>>, a: readonly string[], b: readonly string[]): DiffLine[] {
  const lines: DiffLine[] = [];
  let [x, y] = [a.length, b.length];
  for (let edits = history.length - 1; edits >= 0; edits--) {
    const reach = history[edits]!;
    const k = x - y;
    const down = k === -edits || (k !== edits && reach.get(k - 1)! < reach.get(k + 1)!);
    const from = down ? k + 1 : k - 1;
    const fromX = reach.get(from)!;
    const fromY = fromX - from;
    while (x > fromX && y > fromY && x > 0 && y > 0) {
      y--;
      lines.push([" ", a[--x]!]);
    }
    if (edits > 0) lines.push(down ? ["+", b[--y]!] : ["-", a[--x]!]);
  }
  return lines.reverse();
}

/** Only what differs, with `context` lines around it, and "…" where lines are left out. */
export function changedLines(lines: readonly DiffLine[], context = 2): string[] {
  const shown = new Set<number>();
  for (const [at, [mark]] of lines.entries())
    if (mark !== " ") for (let near = at - context; near <= at + context; near++) shown.add(near);
  const out: string[] = [];
  for (const [at, [mark, line]] of lines.entries()) {
    if (shown.has(at)) out.push(`${mark} ${line}`);
    else if (out.length > 0 && out.at(-1) !== "…") out.push("…");
  }
  if (out.at(-1) === "…") out.pop();
  return out;
}
