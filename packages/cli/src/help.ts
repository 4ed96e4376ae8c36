import { COMMANDS } from "./cli.ts";
import type { CommandSpec, OptionSpec } from "./command.ts";
import { COMMON_OPTIONS } from "./options.ts";
import type { Paint } from "./terminal.ts";
import { wrap } from "./wrap.ts";

/** How it is shown: `width` is the terminal's columns, undefined where there is none. */
export interface HelpView {
  paint: Paint;
  width: number | undefined;
}

/** Room for text that is worth a column of its own. */
const LEAST_TEXT = 20;

/** The first screen. */
export function mainHelp(view: HelpView, version: string): string {
  const { paint } = view;
  return sections(paint, [
    [
      `${paint("bold", "shipside")} ${version}`,
      paragraph("Run one service on your machine as though it were inside the Kubernetes cluster.", view),
    ],
    ["Usage", ["  shipside <command> [options]"]],
    [
      "Commands",
      columns(
        COMMANDS.map(({ name, summary }) => [name, summary]),
        view,
      ),
    ],
    ["On every command", columns(COMMON_OPTIONS.map(optionRow), view)],
    [
      "First steps",
      columns(
        [
          ["shipside demo", "see all of it, without a cluster"],
          ["shipside teleport deployment/core -- npm start", "your version of core, at home in the cluster"],
          ["shipside help teleport", "one command's help"],
        ],
        view,
      ),
    ],
  ]);
}

export function commandHelp(command: CommandSpec, view: HelpView): string {
  const { paint } = view;
  const { name, aliases = [], summary, usage, options = [], examples = [] } = command;
  const also = aliases.length > 0 ? paint("dim", ` (also: ${aliases.join(", ")})`) : "";
  return sections(paint, [
    [`${paint("bold", `shipside ${name}`)}${also}`, paragraph(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`, view)],
    ["Usage", usage.map((form) => `  shipside ${name} ${form}`.trimEnd())],
    ["Options", columns(options.map(optionRow), view)],
    ["On every command", columns(COMMON_OPTIONS.map(optionRow), view)],
    ["Examples", examples.flatMap(([line, does]) => [`  ${paint("cyan", line)}`, `      ${paint("dim", does)}`])],
  ]);
}

function optionRow({ name, alias, value, describe }: OptionSpec): [string, string] {
  return [`${alias ? `-${alias}, ` : "    "}--${name}${value ? ` ${value}` : ""}`, describe];
}

const paragraph = (text: string, { width = Number.POSITIVE_INFINITY }: HelpView): string[] => wrap(text, width - 1);

/** Side by side, the right one wrapped; below each other where that leaves it too little room. */
function columns(rows: ReadonlyArray<readonly [string, string]>, { paint, width }: HelpView): string[] {
  const left = Math.max(0, ...rows.map(([text]) => text.length)) + 2;
  const room = width === undefined ? Number.POSITIVE_INFINITY : width - 2 - left - 1;
  if (room < LEAST_TEXT)
    return rows.flatMap(([text, right]) => [`  ${paint("cyan", text)}`, ...wrap(right, width! - 7).map((line) => `      ${line}`)]);
  return rows.flatMap(([text, right]) => {
    const [first = "", ...more] = wrap(right, room);
    return [
      `  ${paint("cyan", text)}${" ".repeat(left - text.length)}${first}`,
      ...more.map((line) => " ".repeat(2 + left) + line),
    ];
  });
}

function sections(paint: Paint, parts: ReadonlyArray<readonly [title: string, lines: readonly string[]]>): string {
  const shown = parts.filter(([, lines]) => lines.length > 0);
  return `${shown.map(([title, lines]) => [paint("bold", title), ...lines].join("\n")).join("\n\n")}\n`;
}
