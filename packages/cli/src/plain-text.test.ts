import { ShipsideError } from "@shipside/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { plainText } from "./plain-text.ts";
import { sessionTable } from "./session-table.ts";
import { createTerminal } from "./terminal.ts";

const EVIL = [
  ["clears the screen", "web\x1b[2J\x1b[H"],
  ["sets the title", "web\x1b]0;root@prod\x07"],
  ["fills the clipboard", "web\x1b]52;c;cm0gLXJmIH4K\x07"],
  ["hides what follows", "web\x1b[8m"],
  ["by C1 codes", "web\x9b2J\x9d0;x\x9c"],
  ["writes over the line", "web\r✓ all is well"],
  ["reads backwards", "web\u202ecod.exe"],
  ["backspaces", "web\b\b\bdb"],
] as const;

const OBEYED = /(?!\n|\t)[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

const ESC = "\\x1b";
const OURS = new RegExp(`${ESC}\\[(?:[12]|22|3[0-9])m`, "g");

function shown(tty: boolean, json = false) {
  const stream = () => {
    const made = { text: "", isTTY: tty, columns: 80, write: (text: string) => void (made.text += text) };
    return made;
  };
  const [stdout, stderr] = [stream(), stream()];
  return { stdout, stderr, terminal: createTerminal({ stdout, stderr, env: { NO_COLOR: "1", LANG: "C.UTF-8" }, json }) };
}

test.each(EVIL)("a name in the cluster that %s is shown instead of obeyed, wherever it is said", (_what, name) => {
  const { terminal, stdout, stderr } = shown(true);
  const session = {
    ...{ id: "a1", kind: "teleport", context: name, namespace: name, also: [name], workload: `deployment/${name}`, services: [] },
    ...{ names: { where: "hosts", count: 1 }, pid: 1, daemon: true },
  };
  terminal.result({}, sessionTable([session as never], terminal.out));
  terminal.done(name);
  terminal.warn(name);
  terminal.say(name);
  terminal.error(new ShipsideError("KUBE_FAILED", name, { hint: name, cause: new Error(`why: ${name}!`) }));
  for (const { text } of [stdout, stderr]) {
    expect(text).toContain("web");
    expect(text).not.toMatch(OBEYED);
  }
});

test("a line that moves takes none of it either", () => {
  const { terminal, stderr } = shown(true);
  terminal.busy("web\x1b[2J");
  terminal.settle();
  expect(stderr.text).toContain("web\\u001b[2J");
});

test("--json on a terminal is the same document", () => {
  for (const [, name] of EVIL) {
    const { terminal, stdout } = shown(true, true);
    terminal.result({ name }, "");
    expect(stdout.text).not.toMatch(OBEYED);
    expect(JSON.parse(stdout.text)).toEqual({ name });
  }
});

test("a pipe gets results as they are: a program reads them", () => {
  const { terminal, stdout } = shown(false);
  terminal.result({}, "A='\x1b[1;31m'");
  expect(stdout.text).toBe("A='\x1b[1;31m'\n");
});

test("a message of several lines can't pass for several messages", () => {
  const { terminal, stderr } = shown(true);
  terminal.warn("refused\n✓ everything is as it was");
  terminal.error(new ShipsideError("KUBE_FAILED", "refused\n✓ well", { cause: new Error("no\n✓ good") }));
  expect(stderr.text).not.toMatch(/^✓/m);
});

test("whatever text: nothing of it is obeyed, and what is plain stays as it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(plainText(text).replaceAll(OURS, "")).not.toMatch(OBEYED);
      if (!OBEYED.test(text)) expect(plainText(text)).toBe(text);
    }),
  );
  expect(plainText("\x1b[1mbold\x1b[22m, ünïcode 🙂\ttab")).toBe("\x1b[1mbold\x1b[22m, ünïcode 🙂\ttab");
});
