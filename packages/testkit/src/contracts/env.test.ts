import type { EnvEntry, EnvFormat, EnvSource } from "@shipside/core";
import { describe, expect, it, test } from "vitest";
import type { ContractCase } from "./contract.ts";
import { envFormatContract } from "./env-format.ts";
import { envSourceContract } from "./env-source.ts";

const coded = (code: string, message: string, details?: object): Error => Object.assign(new Error(message), { code, details });

/** The simplest format that keeps the contract: a JSON string a line. */
const lines: EnvFormat = {
  name: "lines",
  render: (entries) =>
    entries
      .map(({ name, value }) => {
        if (/\0/.test(value) || !value.isWellFormed()) throw coded("ENV_UNREPRESENTABLE", `not ${JSON.stringify(name)}`, { name });
        return `${JSON.stringify([name, value])}\n`;
      })
      .join(""),
};
const readLines = async (text: string): Promise<Record<string, string>> =>
  Object.fromEntries(
    text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as [string, string]),
  );

const entries = (): EnvEntry[] => [
  { name: "A", value: "1", origin: { from: "plugin", plugin: "p" } },
  { name: "B", value: "s3cret-value", origin: { from: "plugin", plugin: "p" }, sensitive: true },
];
const source = (change: Partial<EnvSource> = {}): EnvSource => ({
  name: "p",
  async collect({ workload, signal }) {
    signal.throwIfAborted();
    if (workload === "deployment/none") throw coded("P_NONE", "there is none");
    return entries();
  },
  ...change,
});
const open = (subject: EnvSource) => async () => ({
  source: subject,
  request: { namespace: "n", workload: "deployment/core" },
  expected: { A: "1" },
  secrets: ["s3cret-value"],
  broken: async () => ({ namespace: "n", workload: "deployment/none" }),
  async [Symbol.asyncDispose]() {},
});

describe("the simplest ones keep the contracts", () => {
  for (const { name, run } of envFormatContract({ format: lines, read: readLines })) it(name, run);
  for (const { name, run } of envSourceContract({ open: open(source()) })) it(name, run);
});

/** Which cases fail, without their prefix. */
async function failures(cases: readonly ContractCase[]): Promise<string[]> {
  const out: string[] = [];
  for (const { name, run } of cases) await run().catch(() => out.push(name.slice(name.indexOf(": ") + 2)));
  return out;
}
const formatFailures = (change: Partial<EnvFormat>, read = readLines) =>
  failures(envFormatContract({ format: { ...lines, ...change }, read }));
const sourceFailures = (collect: EnvSource["collect"]) => failures(envSourceContract({ open: open(source({ collect })) }));

test("a format that is wrong is found out", async () => {
  const plain = (list: readonly EnvEntry[]): string => list.map(({ name, value }) => `${name}=${value}\n`).join("");
  const readPlain = async (text: string) =>
    Object.fromEntries(
      text.split("\n").flatMap((line) => (line.includes("=") ? [line.split(/=(.*)/s, 2) as [string, string]] : [])),
    );
  expect(await formatFailures({ render: plain }, readPlain)).toEqual([
    "each hard value is given back, or is one that may be refused",
    "all that it holds stand side by side",
    "a value that can't be held fails the whole, and is never left out",
    "names are given back, or refused",
  ]);
  const silent = (list: readonly EnvEntry[]): string =>
    lines.render(list.filter(({ value }) => !/[\0\n]/.test(value) && value.isWellFormed()));
  expect(await formatFailures({ render: silent })).toEqual([
    "each hard value is given back, or is one that may be refused",
    "all that it holds stand side by side",
    "a value that can't be held fails the whole, and is never left out",
  ]);
  const telling = (list: readonly EnvEntry[]): string => {
    const bad = list.find(({ value }) => /\0/.test(value) || !value.isWellFormed());
    if (bad) throw coded("ENV_UNREPRESENTABLE", `not ${bad.name}: ${bad.value}`, { name: bad.name });
    return lines.render(list);
  };
  expect(await formatFailures({ render: telling })).toEqual(["a value that can't be held fails the whole, and is never left out"]);
  const wrongParse = async (text: string) => ({ ...(await readLines(text)), HARD_1: "x" });
  expect(await formatFailures({ parse: wrongParse })).toContain("nothing is text too, and is read as nothing");
});

test("a source that is wrong is found out", async () => {
  const shared = entries();
  expect(
    await sourceFailures(async ({ signal, workload }) => {
      signal.throwIfAborted();
      if (workload === "deployment/none") throw coded("P_NONE", "there is none");
      return shared;
    }),
  ).toContain("gives the same again, to several at once, and nobody's changes to what was given");
  expect(
    await sourceFailures(async (_, { logger }) => {
      logger.info("found", { values: entries() });
      return entries().map(({ sensitive: _, ...entry }) => entry);
    }),
  ).toEqual([
    "what has a secret's value is marked sensitive",
    "logs no secret",
    "an aborted request rejects, and soon",
    "what it can't tell is a coded error without a secret in it",
  ]);
  expect(
    await sourceFailures(async ({ signal }) => {
      signal.throwIfAborted();
      throw coded("P_X", "no s3cret-value");
    }),
  ).toContain("has a name, and gives what it has");
});
