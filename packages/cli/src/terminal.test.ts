import { ShipsideError } from "@shipside/core";
import { expect, test, vi } from "vitest";
import { createTerminal, errorLines, shouldColor } from "./terminal.ts";

function capture(tty = false, columns = 60) {
  const stream = { text: "", isTTY: tty, columns, write: (text: string) => (stream.text += text) };
  return stream;
}

function terminal(options: { json?: boolean; quiet?: boolean; tty?: boolean; env?: NodeJS.ProcessEnv } = {}) {
  const [stdout, stderr] = [capture(options.tty), capture(options.tty)];
  const env = { LANG: "C.UTF-8", ...options.env };
  return { stdout, stderr, ...createTerminal({ stdout, stderr, env, json: options.json ?? false, quiet: options.quiet ?? false }) };
}

test("in a pipe: plain lines on stderr, the result alone on stdout", () => {
  const t = terminal();
  t.busy("connecting");
  t.done("connected");
  t.say("a line");
  t.warn("careful");
  t.result({ a: 1 }, "the result");
  expect(t.stderr.text).toBe("✓ connected\na line\n! careful\n");
  expect(t.stdout.text).toBe("the result\n");
});

test("--json: exactly one document on stdout, also where an error follows", () => {
  const t = terminal({ json: true });
  t.result({ a: 1 }, "the result");
  t.result({ a: 2 }, "another");
  t.error(new ShipsideError("SOME_CODE", "it failed"));
  expect(JSON.parse(t.stdout.text)).toEqual({ a: 1 });
});

test("--json: an error is the document", () => {
  const t = terminal({ json: true });
  t.error(new ShipsideError("SOME_CODE", "it failed", { hint: "do this", details: { x: 1 } }));
  expect(JSON.parse(t.stdout.text)).toEqual({
    error: { code: "SOME_CODE", message: "it failed", hint: "do this", details: { x: 1 } },
  });
  expect(t.stderr.text).toBe("error[SOME_CODE]: it failed\nhint: do this\n");
});

test("-q keeps warnings and errors", () => {
  const t = terminal({ quiet: true });
  t.busy("x");
  t.done("x");
  t.say("x");
  t.warn("careful");
  t.error(new ShipsideError("C", "m"));
  expect(t.stderr.text).toBe("! careful\nerror[C]: m\n");
});

test("a terminal that was never told its size has 80 columns", () => {
  const [stdout, stderr] = [capture(true, 0), capture(true, 60)];
  const { outShows, errShows } = createTerminal({ stdout, stderr, env: {}, json: false, quiet: false });
  expect([outShows.width, errShows.width]).toEqual([80, 60]);
});

test("on a terminal a moving line is taken away before the next", () => {
  vi.useFakeTimers();
  try {
    const t = terminal({ tty: true });
    t.busy("connecting");
    vi.advanceTimersByTime(250);
    t.done("connected");
    vi.advanceTimersByTime(1_000);
    expect(t.stderr.text.match(/connecting/g)).toHaveLength(3);
    expect(t.stderr.text.endsWith("\r\x1b[K\x1b[32m✓\x1b[39m connected\n")).toBe(true);
  } finally {
    vi.useRealTimers();
  }
});

test("a locale without more than ASCII gets ASCII", () => {
  const t = terminal({ env: { LC_ALL: "C" } });
  t.done("connected");
  if (process.platform === "linux") expect(t.stderr.text).toBe("* connected\n");
});

test.each([
  [{}, true, true],
  [{}, false, false],
  [{ NO_COLOR: "1" }, true, false],
  [{ NO_COLOR: "" }, true, true],
  [{ TERM: "dumb" }, true, false],
  [{ FORCE_COLOR: "1" }, false, true],
  [{ FORCE_COLOR: "1", NO_COLOR: "1" }, false, true],
  [{ FORCE_COLOR: "0" }, true, false],
])("colour with %j, terminal %s: %s", (env, isTTY, expected) => {
  expect(shouldColor(env, { isTTY })).toBe(expected);
});

test("causes are told where they say something new", () => {
  const lines = errorLines(
    {
      code: "C",
      message: "could not connect to x: refused",
      hint: "first\nsecond",
      causes: [{ code: "D", message: "refused", causes: [{ code: "E", message: "the port is closed" }] }],
    },
    (_style, text) => text,
  );
  expect(lines).toEqual([
    "error[C]: could not connect to x: refused",
    "  because: the port is closed",
    "hint: first",
    "      second",
  ]);
});
