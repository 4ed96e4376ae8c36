/** Edits between two strings: insertions, deletions, substitutions and swaps of neighbours (Levenshtein, optimal string alignment). */
export function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next[j] = Math.min(
        row[j]! + 1,
        next[j - 1]! + 1,
        row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
        swapped ? before[j - 2]! + 1 : Number.POSITIVE_INFINITY,
      );
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}

/**
 * The candidates a person may have meant, best first: a slip of the keyboard (at most a third of the letters, at least one), or one
 * name within the other.
 */
export function nearMisses(wanted: string, candidates: Iterable<string>, limit = 5): string[] {
  const want = wanted.toLowerCase();
  const scored: Array<{ candidate: string; score: number }> = [];
  for (const candidate of new Set(candidates)) {
    const have = candidate.toLowerCase();
    const edits = distance(want, have);
    const near = edits <= Math.max(1, Math.floor(Math.max(want.length, have.length) / 3));
    const within = want.length >= 3 && have.length >= 3 && (have.includes(want) || want.includes(have));
    if (near || within) scored.push({ candidate, score: near ? edits : edits + 100 });
  }
  scored.sort((a, b) => a.score - b.score || (a.candidate < b.candidate ? -1 : 1));
  return scored.slice(0, limit).map(({ candidate }) => candidate);
}
