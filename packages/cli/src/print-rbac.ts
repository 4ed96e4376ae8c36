import type { CommandModule, CommandSpec, Invocation } from "./command.ts";
import { EXIT } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";

/** `--print-rbac`: the Roles that a command line needs, as YAML to apply. Nothing is asked of a cluster, and nothing else is done. */
export async function printRbac(
  { name }: Pick<CommandSpec, "name">,
  { rights }: Pick<CommandModule, "rights">,
  invocation: Invocation,
  argv: readonly string[],
  terminal: Terminal,
): Promise<number> {
  const needs = (await rights?.(invocation)) ?? [];
  const { renderRoles, rolesFor } = await import("@shipside/daemon/rbac");
  const role = `shipside-${name}`;
  const line = ["shipside", ...beforeCommand(argv).filter((word) => word !== "--print-rbac" && word !== "--json")].map(shellWord);
  const parts = needs
    .filter(({ rules }) => rules.length > 0)
    .map(({ context, rules }) =>
      [
        ...(context === undefined ? [] : [`# In the cluster of context ${JSON.stringify(context)}:`]),
        renderRoles(rules, role),
      ].join("\n"),
    );
  const yaml = [
    `# What this needs: ${line.join(" ")}`,
    ...(parts.length > 0 ? [parts.join("---\n")] : ["# no right in a cluster"]),
  ];
  const data = needs.map(({ context, rules }) => ({ context: context ?? null, roles: rolesFor(rules, role), rules }));
  terminal.result({ needs: data }, yaml.join("\n"));
  return EXIT.ok;
}

/** What is run with a session needs no rights of ours, and may hold a password. */
const beforeCommand = (argv: readonly string[]): readonly string[] =>
  argv.slice(0, argv.includes("--") ? argv.indexOf("--") : undefined);

/** In a comment: a line's end would end that. */
const shellWord = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word));
