import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { COMMANDS } from "./cli.ts";
import { EXIT, SIGNAL_EXIT } from "./exit-codes.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const firstCells = readme.split("\n").flatMap((line) => /^\| (.*?[^\\]) *\|/.exec(line)?.[1] ?? []);

test("every command stands in the README's table", () => {
  const named = new Set(firstCells.flatMap((cell) => [...cell.matchAll(/`([a-z]+)/g)].map(([, name]) => name)));
  expect(COMMANDS.map(({ name }) => name).filter((name) => !named.has(name))).toEqual([]);
});

test("every exit code stands in the README's table, and no other", () => {
  const listed = firstCells.filter((cell) => /^[\d, ]+$/.test(cell)).flatMap((cell) => cell.split(", ").map(Number));
  const given = [...new Set([...Object.values(EXIT), ...Object.values(SIGNAL_EXIT)])];
  expect(listed.toSorted((a, b) => a - b)).toEqual(given.toSorted((a, b) => a - b));
});
