import type { DoctorLine, DoctorReport, Level } from "@shipside/daemon/doctor";
import type { Paint, Style } from "./terminal.ts";
import { wrap } from "./wrap.ts";

export interface ReportView {
  /** Columns of the terminal; undefined: no terminal, so that each line is one line, in words alone. */
  width: number | undefined;
  paint: Paint;
  /** Whether it can show more than ASCII. */
  unicode: boolean;
  /** Leave out what is well. */
  quiet: boolean;
}

const STYLES: Record<Level, Style> = { ok: "green", warning: "yellow", problem: "red" };
const MARKS: Record<Level, readonly [unicode: string, ascii: string]> = {
  ok: ["✓", "*"],
  warning: ["!", "!"],
  problem: ["✗", "x"],
};
/** Room for text that is worth a column of its own. */
const LEAST_TEXT = 20;

/** What `doctor` shows a person. */
export function renderDoctor({ lines }: Pick<DoctorReport, "lines">, view: ReportView): string {
  const { quiet, width, paint, unicode } = view;
  const shown = quiet ? lines.filter(({ level }) => level !== "ok") : lines;
  const titles = Math.max(0, ...shown.map(({ title }) => title.length));
  const marks = (level: Level): string => (width === undefined ? level.padEnd(7) : MARKS[level][unicode ? 0 : 1]);
  const lead = (width === undefined ? 7 : 1) + 1 + titles + 2;
  const room = width === undefined ? Number.POSITIVE_INFINITY : Math.max(LEAST_TEXT, width - lead - 1);
  return shown
    .flatMap((line, i) => {
      const title = shown[i - 1]?.check === line.check ? "" : line.title;
      const head = `${paint(STYLES[line.level], marks(line.level))} ${paint("bold", title)}${" ".repeat(titles - title.length + 2)}`;
      const [first = "", ...more] = wrap(line.text, room);
      const hint = line.hint === undefined ? [] : wrap(`hint: ${line.hint}`, room);
      const indent = " ".repeat(lead);
      return [
        head + first,
        ...more.map((text) => indent + text),
        ...hint.map((text) => indent + text.replace(/^hint:/, paint("cyan", "hint:"))),
      ];
    })
    .join("\n");
}

/** One line to end with. */
export function summary(lines: readonly DoctorLine[]): string {
  const of = (wanted: Level): number => lines.filter(({ level }) => level === wanted).length;
  const [problems, warnings] = [of("problem"), of("warning")];
  const parts = [
    ...(problems > 0 ? [`${problems} ${problems === 1 ? "problem" : "problems"}`] : []),
    ...(warnings > 0 ? [`${warnings} ${warnings === 1 ? "warning" : "warnings"}`] : []),
  ];
  return parts.length > 0 ? parts.join(", ") : "all is well";
}
