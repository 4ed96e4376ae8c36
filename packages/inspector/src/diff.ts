import { viewBody } from "./decode/view.ts";
import type { Exchange, HeaderList } from "./exchange.ts";
import { isOfTheConnection, maskHeaders } from "./headers.ts";

export interface HeaderChange {
  name: string;
  /** Undefined: it isn't on that side. Several of one name are joined by a comma. */
  left?: string;
  right?: string;
}

/** A line of the two bodies side by side. */
export interface DiffLine {
  kind: "same" | "left" | "right";
  text: string;
}

export interface AnswerDiff {
  left: { id: number; status: number | null; duration: number | null };
  right: { id: number; status: number | null; duration: number | null };
  headers: HeaderChange[];
  /** What came behind the bodies, as a call's status. */
  trailers: HeaderChange[];
  lines: DiffLine[];
  /** Why the bodies aren't compared as a whole; "" where they are. */
  note: string;
  /** Status, headers, body and trailers are the same, but for headers that differ from answer to answer (`date`). */
  same: boolean;
}

/** Lines that are compared one by one; the rest is left out and said. */
const MOST_LINES = 4000;
/** Steps of the search, squared: beyond it what differs is shown as a whole. */
const MOST_EDITS = 1500;

/** The two answers, JSON compared in its indented form. Secret headers are masked (changed ones stay changes) unless `reveal`. */
export async function diffAnswers(
  left: Exchange,
  right: Exchange,
  { reveal = false }: { reveal?: boolean } = {},
): Promise<AnswerDiff> {
  const [a, b] = [
    await viewBody(left.responseHeaders, left.responseBody),
    await viewBody(right.responseHeaders, right.responseBody),
  ];
  const notes = [a.note && `left: ${a.note}`, b.note && `right: ${b.note}`].filter(Boolean);
  const [linesA, linesB] = [a.text.split("\n"), b.text.split("\n")];
  if (Math.max(linesA.length, linesB.length) > MOST_LINES) notes.push(`the first ${MOST_LINES} lines are compared`);
  const lines = diffLines(linesA.slice(0, MOST_LINES), linesB.slice(0, MOST_LINES));
  const headers = diffHeaders(left.responseHeaders, right.responseHeaders, reveal);
  const trailers = diffHeaders(left.responseTrailers, right.responseTrailers, reveal);
  const side = ({ id, status, timings }: Exchange): AnswerDiff["left"] => ({
    id,
    status: status ?? null,
    duration: timings.done ?? null,
  });
  const sameBytes =
    Buffer.from(left.responseBody.kept).equals(right.responseBody.kept) && left.responseBody.bytes === right.responseBody.bytes;
  if (!sameBytes && a.kind === "image" && b.kind === "image") notes.push("the pictures differ");
  return {
    left: side(left),
    right: side(right),
    headers,
    trailers,
    lines,
    note: notes.join("; "),
    same:
      left.status === right.status &&
      (sameBytes || (a.kind === "json" && a.text === b.text)) &&
      trailers.length === 0 &&
      headers.every(({ name }) => name === "date"),
  };
}

/** Those that belong to the connection or follow from the body's length are left out. */
function diffHeaders(left: HeaderList, right: HeaderList, reveal = false): HeaderChange[] {
  const joined = (headers: HeaderList): Map<string, string> => {
    const map = new Map<string, string>();
    for (const [name, value] of headers) {
      if (isOfTheConnection(name)) continue;
      const key = name.toLowerCase();
      map.set(key, map.has(key) ? `${map.get(key)}, ${value}` : value);
    }
    return map;
  };
  const [plainA, plainB] = [joined(left), joined(right)];
  const [a, b] = reveal ? [plainA, plainB] : [joined(maskHeaders(left)), joined(maskHeaders(right))];
  return [...new Set([...plainA.keys(), ...plainB.keys()])]
    .sort()
    .filter((name) => plainA.get(name) !== plainB.get(name))
    .map((name) => ({ name, ...(a.has(name) && { left: a.get(name)! }), ...(b.has(name) && { right: b.get(name)! }) }));
}

/**
 * The shortest way from one list of lines to the other (Myers, 1986), common head and tail taken off first; where that is longer than
 * `mostEdits`, all that differs of the left and then all of the right.
 */
export function diffLines(left: readonly string[], right: readonly string[], mostEdits = MOST_EDITS): DiffLine[] {
  let head = 0;
  while (head < left.length && head < right.length && left[head] === right[head]) head++;
  let tail = 0;
  while (tail < left.length - head && tail < right.length - head && left.at(-1 - tail) === right.at(-1 - tail)) tail++;
  const a = left.slice(head, left.length - tail);
  const b = right.slice(head, right.length - tail);
  const line = (kind: DiffLine["kind"]) => (text: string) => ({ kind, text });
  const middle = shortest(a, b, mostEdits) ?? [...a.map(line("left")), ...b.map(line("right"))];
  return [...left.slice(0, head).map(line("same")), ...middle, ...left.slice(left.length - tail).map(line("same"))];
}

function shortest(a: readonly string[], b: readonly string[], mostEdits: number): DiffLine[] | undefined {
  const most = Math.min(a.length + b.length, mostEdits);
  const offset = most + 1;
  const furthest = new Int32Array(2 * most + 3);
  const trace: Int32Array[] = [];
  for (let edits = 0; edits <= most; edits++) {
    trace.push(furthest.slice(offset - edits - 1, offset + edits + 2));
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      const down =
        diagonal === -edits || (diagonal !== edits && furthest[offset + diagonal - 1]! < furthest[offset + diagonal + 1]!);
      let x = down ? furthest[offset + diagonal + 1]! : furthest[offset + diagonal - 1]! + 1;
      while (x < a.length && x - diagonal < b.length && a[x] === b[x - diagonal]) x++;
      furthest[offset + diagonal] = x;
      if (x >= a.length && x - diagonal >= b.length) return walkBack(a, b, trace);
    }
  }
  return undefined;
}

function walkBack(a: readonly string[], b: readonly string[], trace: readonly Int32Array[]): DiffLine[] {
  const lines: DiffLine[] = [];
  let x = a.length;
  let y = b.length;
  for (let edits = trace.length - 1; edits >= 0; edits--) {
    const furthest = trace[edits]!;
    const at = (diagonal: number): number => furthest[diagonal + edits + 1]!;
    const diagonal = x - y;
    const down = diagonal === -edits || (diagonal !== edits && at(diagonal - 1) < at(diagonal + 1));
    const fromDiagonal = down ? diagonal + 1 : diagonal - 1;
    const fromX = edits === 0 ? 0 : at(fromDiagonal);
    const fromY = edits === 0 ? 0 : fromX - fromDiagonal;
    while (x > fromX && y > fromY && a[x - 1] === b[y - 1]) {
      lines.push({ kind: "same", text: a[x - 1]! });
      x--;
      y--;
    }
    if (edits === 0) break;
    if (down) lines.push({ kind: "right", text: b[--y]! });
    else lines.push({ kind: "left", text: a[--x]! });
  }
  return lines.reverse();
}
