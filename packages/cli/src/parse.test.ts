import { expect, test } from "vitest";
import { parse } from "./parse.ts";

const read = async (line: string) => {
  const { spec, invocation } = await parse(line.split(" "));
  return { name: spec.name, ...invocation };
};

test.each([
  ["teleport deployment/core", { words: ["deployment/core"], options: {} }],
  ["teleport deploy core -n sample", { words: ["deploy", "core"], options: { namespace: "sample" } }],
  ["teleport namespace sample -a x -a y,z", { words: ["namespace", "sample"], options: { also: ["x", "y", "z"] } }],
  ["teleport core -a x y", { words: ["core", "y"], options: { also: ["x"] } }],
  ["teleport 007 -n 1e3", { words: ["007"], options: { namespace: "1e3" } }],
  ["teleport core -q --json -c", { words: ["core"], options: { quiet: true, json: true, clean: true } }],
  ["teleport core -n a -n b -q -q", { words: ["core"], options: { namespace: "b", quiet: true } }],
  ["teleport core -k=/x/y", { words: ["core"], options: { kubeconfig: "/x/y" } }],
  ["-n sample teleport core", { words: ["core"], options: { namespace: "sample" } }],
  ["teleport core -- npm start --json -n x", { words: ["core"], options: {}, command: ["npm", "start", "--json", "-n", "x"] }],
  ["teleport core -n x -- a -- b", { words: ["core"], options: { namespace: "x" }, command: ["a", "--", "b"] }],
  ["env deploy core .env -m sh", { words: ["deploy", "core", ".env"], options: { format: "sh" } }],
  ["env core --set A=1,2 --set B= --only A*,B", { words: ["core"], options: { set: ["A=1,2", "B="], only: ["A*", "B"] } }],
  ["env diff core --shell --no-secrets", { words: ["diff", "core"], options: { shell: true, "no-secrets": true } }],
  ["configuration deploy/core", { words: ["deploy/core"], options: {} }],
  ["session close --all --force", { words: ["close"], options: { all: true, force: true } }],
  ["status", { words: [], options: {} }],
])("%s", async (line, expected) => {
  expect(await read(line)).toMatchObject(expected);
  expect((await read(line)).options).toEqual(expected.options);
});

test.each([
  ["telport core", /did you mean teleport/],
  ["nosuch", /^there is no command "nosuch"$/],
  ["teleport core --jsn", /^there is no option --jsn$/],
  ["teleport core -z", /^there is no option -z$/],
  ["teleport", /too few words/],
  ["teleport a b c", /what is "c"/],
  ["teleport core -n", /^-n takes a value, and none follows it$/],
  ["teleport core --", /no command stands after/],
  ["status -- ls", /runs no command/],
  ["--json", /no command was given/],
])("%s is a mistake that says what it is", async (line, message) => {
  await expect(read(line)).rejects.toMatchObject({
    code: "USAGE",
    message: expect.stringMatching(message),
    hint: expect.any(String),
  });
});
