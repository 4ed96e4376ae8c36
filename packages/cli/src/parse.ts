import { hasCode } from "@shipside/core";
import yargs, { type Argv, type Options } from "yargs";
import { COMMANDS, findCommand } from "./cli.ts";
import type { CommandSpec, Invocation, OptionSpec } from "./command.ts";
import { cliError } from "./errors.ts";
import { COMMON_OPTIONS } from "./options.ts";

export interface Parsed {
  spec: CommandSpec;
  invocation: Invocation;
}

/** Reads a command line by the table. Throws `USAGE` with what was probably meant. */
export async function parse(argv: readonly string[]): Promise<Parsed> {
  if (argv.indexOf("--") === argv.length - 1)
    throw usageError("no command stands after `--`", "leave `--` out, or name a command after it");
  let parsed: Parsed | undefined;
  let parser: Argv = yargs([...argv])
    .scriptName("shipside")
    .exitProcess(false)
    .help(false)
    .version(false)
    .parserConfiguration({
      "populate--": true,
      "strip-aliased": true,
      "strip-dashed": false,
      "camel-case-expansion": false,
      "dot-notation": false,
      "parse-numbers": false,
      "parse-positional-numbers": false,
      "boolean-negation": false,
      "greedy-arrays": false,
    })
    .options(yargsOptions(COMMON_OPTIONS))
    .strict()
    .recommendCommands()
    .demandCommand(1, "no command was given")
    .fail((message, error) => {
      // Ours has a code; what yargs throws has only words.
      throw hasCode(error, "USAGE") ? error : mistake(message ?? error.message, argv);
    });
  for (const spec of COMMANDS) {
    parser = parser.command({
      command: [`${spec.name} [words..]`, ...(spec.aliases ?? [])],
      describe: spec.summary,
      builder: (each) => each.options(yargsOptions(spec.options ?? [])),
      handler: (args) => {
        parsed = { spec, invocation: toInvocation(spec, args) };
      },
    });
  }
  await parser.parseAsync();
  if (!parsed) throw usageError("no command was given");
  return parsed;
}

function yargsOptions(specs: readonly OptionSpec[]): Record<string, Options> {
  return Object.fromEntries(
    specs.map(({ name, alias, type, describe }) => [
      name,
      {
        ...(alias && { alias }),
        describe,
        ...(type === "boolean"
          ? { type }
          : { type: "string" as const, requiresArg: true, array: type === "list" || type === "texts" }),
      },
    ]),
  );
}

function toInvocation(spec: CommandSpec, args: Record<string, unknown>): Invocation {
  const options: Record<string, boolean | string | readonly string[]> = {};
  for (const { name, type } of [...COMMON_OPTIONS, ...(spec.options ?? [])]) {
    const given = args[name];
    // Of an option that is given twice the last one counts, as everywhere.
    const value = Array.isArray(given) && type !== "list" && type !== "texts" ? given.at(-1) : given;
    if (value === undefined || value === false) continue;
    if (type === "list") options[name] = (Array.isArray(value) ? value : [value]).flatMap((each) => String(each).split(","));
    else if (type === "texts") options[name] = (Array.isArray(value) ? value : [value]).map(String);
    else if (type === "string") options[name] = String(value);
    else options[name] = true;
  }
  const words = ((args["words"] as unknown[] | undefined) ?? []).map(String);
  const command = (args["--"] as unknown[] | undefined)?.map(String);
  const { min, max } = spec.words;
  const help = `\`shipside help ${spec.name}\` shows its forms`;
  if (options["help"] !== true) {
    if (words.length < min)
      throw usageError(`shipside ${spec.name}: too few words`, `usage: shipside ${spec.name} ${spec.usage[0]}\n${help}`);
    if (words.length > max) {
      const left = words.slice(max).join(" ");
      const hint = spec.takesCommand ? `a command to run stands after \`--\`: … -- ${left}` : help;
      throw usageError(`shipside ${spec.name}: what is ${JSON.stringify(left)}?`, hint);
    }
    if (command && !spec.takesCommand) throw usageError(`shipside ${spec.name} runs no command`, help);
  }
  return { words, options, ...(command && { command }) };
}

/** What yargs says of a mistake, in words of a command line. */
function mistake(message: string, argv: readonly string[]): Error {
  const spec = argv.map(findCommand).find((found) => found !== undefined);
  const hint = spec && `\`shipside help ${spec.name}\` lists its options`;
  const dashed = (name: string): string => (name.length > 1 ? `--${name}` : `-${name}`);
  const valueless = /^Not enough arguments following: (.+)$/.exec(message)?.[1];
  if (valueless !== undefined) return usageError(`${dashed(valueless)} takes a value, and none follows it`, hint);
  const unknown = /^Unknown arguments?: (.+)$/.exec(message)?.[1]?.split(", ");
  if (!unknown) return usageError(message);
  const isOption = (name: string): boolean => argv.some((word) => word.startsWith("-") && word.includes(name));
  const options = unknown.filter(isOption).map(dashed);
  return options.length > 0
    ? usageError(`there is no option ${options.join(", ")}`, hint)
    : usageError(`there is no command ${unknown.map((word) => JSON.stringify(word)).join(", ")}`);
}

function usageError(message: string, hint = "`shipside --help` lists commands and options"): Error {
  return cliError("USAGE", message[0]!.toLowerCase() + message.slice(1), { hint });
}
