import type { NamesInfo, SessionEvent } from "@shipside/daemon/client";
import { expect, test, vi } from "vitest";
import { createProgress } from "./progress.ts";
import { createTerminal } from "./terminal.ts";

function tell(
  events: readonly SessionEvent[],
  command: boolean | "told" = false,
  calm?: (error: { code: string }) => boolean,
): string {
  const stream = { text: "", write: (text: string) => (stream.text += text) };
  const terminal = createTerminal({ stdout: { write: () => {} }, stderr: stream, env: { LANG: "C.UTF-8" } });
  const progress = createProgress(terminal, { command, ...(calm && { calm }) });
  for (const event of events) progress.on(event);
  progress.ready();
  return stream.text;
}

const names = (where: NamesInfo["where"]): SessionEvent => ({
  step: "names",
  names: { where, count: 4, ...(where === "commands" && { reason: { code: "HOSTS_UNWRITABLE", message: "may not write" } }) },
  entries: [],
});
const warning = (code: string, n: number): SessionEvent => ({
  step: "warning",
  error: { code, message: `problem ${n}`, hint: `hint ${n}` },
});

test("a line for each thing that was done, and where it is comes first", () => {
  const text = tell([
    { step: "connected", context: "dev", cluster: "c", user: "me", server: "https://dev", namespace: "shop" },
    { step: "resolved", workload: "deployment/core" },
    { step: "tunnels", namespaces: ["shop", "pay"], services: 2, ports: 1, failed: 0 },
    names("hosts"),
    names("hosts"),
    { step: "env", variables: 1, file: "/x/.env" },
  ]);
  expect(text.split("\n")).toEqual([
    "context dev, namespace shop, server https://dev",
    "✓ deployment/core",
    "✓ 2 services of shop, pay, each on an address of its own (1 port)",
    "✓ 4 names in the hosts file",
    "✓ 1 variable in /x/.env, kept current",
    "",
  ]);
});

test("where no service fits, that is said", () => {
  const none = { step: "tunnels", namespaces: ["shop"], services: 0, ports: 0, failed: 0 } as const;
  expect(tell([none])).toContain("0 services, each on an address of its own (0 ports)\n  there is none, or none that fits");
  expect(tell([{ ...none, services: 1 }])).not.toContain("there is none");
});

test.each([
  [true, "✓ 4 names for the command alone: may not write\n"],
  [false, "! names are not on this machine: may not write\n  hint: give a command after `--`"],
  ["told", ""],
] as const)("names that only a command can have, with a command: %s", (command, says) => {
  expect(tell([names("commands")], command).startsWith(says)).toBe(true);
  if (says === "") expect(tell([names("commands")], command)).toBe("");
});

test("of many problems of one kind three are told, and how many there are", () => {
  const text = tell([1, 2, 3, 4, 5].map((n) => warning("LISTEN_IN_USE", n)));
  expect(text.match(/problem/g)).toHaveLength(3);
  expect(text).toContain("and 2 more like these (LISTEN_IN_USE)");
});

test("what needs no alarm is not told", () => {
  const text = tell([warning("LISTEN_IN_USE", 1), warning("NAME_TAKEN", 2)], false, ({ code }) => code === "LISTEN_IN_USE");
  expect(text).toBe("! problem 2\n  hint: hint 2\n");
});

test("what the kubeconfig has done on the way is told with where it leads, before anything else", () => {
  const connected = { context: "dev", cluster: "c", user: "me", server: "https://dev", namespace: "shop" };
  const notes = ["the kubeconfig has ./theirs run for credentials"];
  expect(
    tell([{ step: "connected", ...connected, notes }])
      .split("\n")
      .slice(0, 2),
  ).toEqual(["context dev, namespace shop, server https://dev", "  the kubeconfig has ./theirs run for credentials"]);
});

test("how far a copy is stands in a line that changes on a terminal, and in a pipe now and then", async () => {
  vi.useFakeTimers();
  try {
    const run = (isTTY: boolean): string => {
      const stream = { isTTY, columns: 80, text: "", write: (text: string) => (stream.text += text) };
      const terminal = createTerminal({ stdout: { write: () => {} }, stderr: stream, env: { LANG: "C.UTF-8", TERM: "xterm" } });
      const progress = createProgress(terminal, { command: false });
      for (let files = 1; files <= 60; files++) {
        vi.advanceTimersByTime(500);
        progress.on({ step: "copying", message: `copying data: ${files} of 60 files` });
      }
      terminal.settle();
      return stream.text;
    };
    const [terminal, pipe] = [run(true), run(false)];
    expect(terminal.includes("copying data: 7 of 60 files")).toBe(true);
    expect(terminal.includes("\n")).toBe(false);
    expect(pipe).toBe("  copying data: 21 of 60 files\n  copying data: 42 of 60 files\n");
  } finally {
    vi.useRealTimers();
  }
});
