import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { confirm } from "./ask.ts";
import type { Interrupt } from "./interrupt.ts";
import { createTerminal } from "./terminal.ts";

function scene(options: { json?: boolean; quiet?: boolean; tty?: boolean } = {}) {
  const { json = false, quiet = false, tty = true } = options;
  const stdin = Object.assign(new PassThrough(), { isTTY: tty }) as unknown as NodeJS.ReadStream & PassThrough;
  const stderr = Object.assign(new PassThrough(), { isTTY: tty }) as unknown as NodeJS.WriteStream & PassThrough;
  let said = "";
  stderr.on("data", (chunk: Buffer) => {
    said += chunk;
  });
  const terminal = createTerminal({ stdout: new PassThrough(), stderr, env: { TERM: "dumb" }, json, quiet });
  const abort = new AbortController();
  const interrupt = { signal: abort.signal } as Interrupt;
  return { stdin, abort, said: () => said, asked: confirm("Go on?", terminal, interrupt, { stdin, stderr }) };
}

test.each([
  ["y", true],
  ["Yes", true],
  ["", false],
  ["no", false],
  ["yesterday", false],
])("the answer %j", async (answer, expected) => {
  const { stdin, asked, said } = scene();
  stdin.write(`${answer}\n`);
  expect(await asked).toBe(expected);
  expect(said()).toContain("Go on? [y/N] ");
});

test.each([{ json: true }, { quiet: true }, { tty: false }])("nobody to answer: %j", async (options) => {
  const { asked, said } = scene(options);
  expect(await asked).toBeUndefined();
  expect(said()).toBe("");
});

test("an interrupt ends the question", async () => {
  const { abort, asked } = scene();
  abort.abort();
  await expect(asked).rejects.toThrow();
});

test("an end of input is no yes", async () => {
  const { stdin, asked } = scene();
  stdin.end();
  expect(await asked).toBe(false);
});
