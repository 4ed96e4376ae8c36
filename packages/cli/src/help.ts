import { COMMANDS } from "./cli.ts";
import type { CommandSpec, OptionSpec } from "./command.ts";
import { COMMON_OPTIONS } from "./options.ts";
import type { Paint } from "./terminal.ts";

/** The first screen. */
export function mainHelp(paint: Paint, version: string): string {
  return sections(paint, [
    [
      `${paint("bold", "shipside")} ${version}`,
      ["Run one service on your machine as though it were inside the Kubernetes cluster."],
    ],
    ["Usage", ["  shipside <command> [options]"]],
    [
      "Commands",
      columns(
        COMMANDS.map(({ name, summary }) => [name, summary]),
        paint,
      ),
    ],
    ["On every command", columns(COMMON_OPTIONS.map(optionRow), paint)],
    [
      "First steps",
      columns(
        [
          ["shipside demo", "see all of it, without a cluster"],
          ["shipside teleport deployment/core -- npm start", "your version of core, at home in the cluster"],
          ["shipside help teleport", "one command's help"],
        ],
        paint,
      ),
    ],
  ]);
}

export function commandHelp(command: CommandSpec, paint: Paint): string {
  const { name, aliases = [], summary, usage, options = [], examples = [] } = command;
  const also = aliases.length > 0 ? paint("dim", ` (also: ${aliases.join(", ")})`) : "";
  return sections(paint, [
    [`${paint("bold", `shipside ${name}`)}${also}`, [`${summary[0]!.toUpperCase()}${summary.slice(1)}.`]],
    ["Usage", usage.map((form) => `  shipside ${name} ${form}`.trimEnd())],
    ["Options", columns(options.map(optionRow), paint)],
    ["On every command", columns(COMMON_OPTIONS.map(optionRow), paint)],
    ["Examples", examples.flatMap(([line, does]) => [`  ${paint("cyan", line)}`, `      ${paint("dim", does)}`])],
  ]);
}

function optionRow({ name, alias, value, describe }: OptionSpec): [string, string] {
  return [`${alias ? `-${alias}, ` : "    "}--${name}${value ? ` ${value}` : ""}`, describe];
}

function columns(rows: ReadonlyArray<readonly [string, string]>, paint: Paint): string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => `  ${paint("cyan", left)}${" ".repeat(width - left.length)}${right}`);
}

function sections(paint: Paint, parts: ReadonlyArray<readonly [title: string, lines: readonly string[]]>): string {
  const shown = parts.filter(([, lines]) => lines.length > 0);
  return `${shown.map(([title, lines]) => [paint("bold", title), ...lines].join("\n")).join("\n\n")}\n`;
}
