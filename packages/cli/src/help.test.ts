import { expect, test } from "vitest";
import { COMMANDS } from "./cli.ts";
import { commandHelp, mainHelp } from "./help.ts";

const plain = { paint: (_style: string, text: string): string => text, width: undefined };

test("the first screen names every command and fits a terminal", () => {
  const text = mainHelp(plain, "1.2.3");
  for (const { name, summary } of COMMANDS) expect(text).toMatch(new RegExp(`^  ${name} .*${summary.slice(0, 20)}`, "m"));
  for (const line of text.split("\n")) expect(line.length, line).toBeLessThanOrEqual(100);
  expect(text.split("\n").length).toBeLessThan(44);
});

test.each(COMMANDS.map((command) => [command.name, command] as const))(
  "help of %s shows its forms and options",
  (_name, command) => {
    const text = commandHelp(command, plain);
    for (const form of command.usage) expect(text).toContain(`shipside ${command.name} ${form}`.trimEnd());
    for (const { name } of command.options ?? []) expect(text).toContain(`--${name}`);
    expect(text).toContain("--kubeconfig");
    for (const line of text.split("\n")) expect(line.length, line).toBeLessThanOrEqual(100);
  },
);

test.each([40, 60, 80])("in %i columns words stay whole and nothing is lost", (width) => {
  for (const command of COMMANDS) {
    const text = commandHelp(command, { ...plain, width });
    const told = text.split("\n\n").filter((part) => /^(Options|On every command)\n/.test(part));
    for (const line of told.join("\n").split("\n")) expect(line.length, line).toBeLessThan(width);
    const words = (shown: string): string => shown.replaceAll(/\s+/g, " ");
    expect(words(text)).toBe(words(commandHelp(command, plain)));
  }
});

test("no two options of a command share a letter or a name", async () => {
  const { COMMON_OPTIONS } = await import("./options.ts");
  for (const { options = [] } of COMMANDS) {
    const all = [...COMMON_OPTIONS, ...options];
    const keys = all.flatMap(({ name, alias }) => (alias ? [name, alias] : [name]));
    expect(new Set(keys).size).toBe(keys.length);
  }
});
