import { styleText } from "node:util";
import type { DiffRow } from "./diff.ts";
import { describeDifference, type ExplainRow } from "./explain.ts";
import { describeOrigin } from "./origin.ts";

export interface ShowOptions {
  /** Columns of the terminal: longer values are cut with `…`. Default: nothing is cut. */
  width?: number | undefined;
  /** Default false. */
  color?: boolean;
}

type Style = Parameters<typeof styleText>[0];
const painter =
  (color: boolean) =>
  (style: Style, text: string): string =>
    color ? styleText(style, text, { validateStream: false }) : text;

const MIN_VALUE = 12;
const GAP = 2;

/** Rows of `explain` as a table of name, value and origin, a line each; a difference to the spec has a line of its own below. */
export function renderExplain(
  rows: readonly ExplainRow[],
  { width = Number.POSITIVE_INFINITY, color = false }: ShowOptions = {},
): string {
  const paint = painter(color);
  const cells = rows.map((row) => ({
    row,
    name: oneLine(row.name),
    value: row.value === undefined ? "–" : oneLine(row.value),
    origin: oneLine(describeOrigin(row.origin)),
  }));
  const widest = (key: "name" | "value" | "origin"): number => Math.max(key.length, ...cells.map((cell) => cell[key].length));
  const nameWidth = Math.min(widest("name"), Math.max(MIN_VALUE, Math.floor(width * 0.4)));
  const originWidth = Math.min(widest("origin"), Math.max(MIN_VALUE, Math.floor(width * 0.35)));
  const valueWidth = Math.min(widest("value"), Math.max(MIN_VALUE, width - nameWidth - originWidth - 2 * GAP));
  const line = (name: string, value: string, origin: string): string => {
    const gap = " ".repeat(GAP);
    return `${name}${gap}${value}${gap}${origin}`.trimEnd();
  };
  const head = paint("dim", line("NAME".padEnd(nameWidth), "VALUE".padEnd(valueWidth), "FROM"));
  const lines = cells.flatMap(({ row, name, value, origin }) => {
    const shown = fit(value, valueWidth).padEnd(valueWidth);
    const first = line(
      paint("bold", fit(name, nameWidth).padEnd(nameWidth)),
      row.sensitive || row.value === undefined ? paint("dim", shown) : shown,
      paint("dim", fit(origin, originWidth)),
    );
    const note = describeDifference(row, oneLine);
    return note === undefined ? [first] : [first, paint("yellow", fit(`  ≠ ${note}`, width))];
  });
  return `${[head, ...lines].join("\n")}\n`;
}

/** Rows of `diffRows`, a line each: `+ NAME=value`, `- NAME=value`, `~ NAME=before → after`, with the origin. */
export function renderDiff(
  rows: readonly DiffRow[],
  { width = Number.POSITIVE_INFINITY, color = false }: ShowOptions = {},
): string {
  const paint = painter(color);
  return rows
    .map(({ name, change, before, after, sensitive, origin }) => {
      const [mark, style] = ({ added: ["+", "green"], removed: ["-", "red"], changed: ["~", "yellow"] } as const)[change];
      const text =
        change !== "changed"
          ? (after ?? before ?? "")
          : sensitive && before === after
            ? `${before} (another value)`
            : `${before} → ${after}`;
      const line = `${mark} ${oneLine(name)}=${oneLine(text)}`;
      const where = `  ${oneLine(describeOrigin(origin))}`;
      // What has changed matters more than where it comes from.
      const room = Math.max(MIN_VALUE, width - where.length, Math.min(line.length, Math.floor(width * 0.65)));
      const shown = fit(line, room);
      return `${paint(style, shown)}${paint("dim", fit(where, Math.max(GAP + 1, width - shown.length)))}\n`;
    })
    .join("");
}

/** Nothing of a value may move the cursor or end the line. */
const oneLine = (text: string): string =>
  text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Cf}\p{Cs}]/gu, (char) => {
    const short: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
    return short[char] ?? `\\u{${char.codePointAt(0)?.toString(16)}}`;
  });

const fit = (text: string, width: number): string => {
  if (text.length <= width) return text;
  const cut = text.slice(0, width - 1);
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}…`;
};
