import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { checkSessionOptions } from "../session-options.ts";
import type { Field, ObjectField } from "./fields.ts";
import { PROFILE_KINDS } from "./kinds.ts";
import { nearest } from "./nearest.ts";
import { planFile, planText } from "./plan.ts";
import { renderProfile, saveProfile } from "./saved.ts";
import { profileSchema } from "./schema.ts";
import { profileShape } from "./shape.ts";
import { substitute } from "./substitute.ts";

const FILE = "/work-of-mine/shop/shipside.yaml";
const validate = new Ajv2020({ allErrors: true, allowUnionTypes: true }).compile(profileSchema());

const EXAMPLE = `
context: dev
namespace: shop
services: ["*", "!metrics-*"]

teleports:
  - name: core
    workload: deployment/core
    also: [payments]
    envFile: .env
    env: { except: [PATH_*], set: { LOG_LEVEL: debug, EMPTY: "" } }
  - namespace: search
    services: ["app=web,tier!=test"]
envFiles:
  - workload: cronjob/report
    file: ../report.json
    format: json
`;

test("several entries in one file: each is a session's options, with the file's defaults and absolute paths", () => {
  const { entries } = planText(EXAMPLE, FILE, { defaults: { kubeconfig: "/k", context: "other" } });
  expect(entries.map(({ entry, title, line }) => [entry, title, line])).toEqual([
    ["teleports.core", "deployment/core", 7],
    ["teleports[1]", "namespace search", 12],
    ["envFiles[0]", "cronjob/report", 15],
  ]);
  expect(entries[0]?.options).toMatchObject({
    kind: "teleport",
    name: "core",
    workload: "deployment/core",
    kubeconfig: "/k",
    context: "dev",
    namespace: "shop",
    also: ["payments"],
    services: ["*", "!metrics-*"],
    envFile: { path: "/work-of-mine/shop/.env" },
    env: { except: ["PATH_*"], set: { LOG_LEVEL: "debug", EMPTY: "" } },
    origin: { file: FILE, entry: "teleports.core" },
  });
  expect(entries[1]?.options).toMatchObject({ namespace: "search", services: ["app=web,tier!=test"] });
  expect(entries[2]?.options).toMatchObject({ kind: "env", envFile: { path: "/work-of-mine/report.json", format: "json" } });
  for (const { options } of entries) expect(checkSessionOptions(options)).toMatchObject({ kind: options?.kind });
  expect(validate(parse(EXAMPLE))).toBe(true);
});

test("what differs in an entry is another digest, and nothing else is", () => {
  const digests = (text: string) => planText(text, FILE).entries.map(({ options }) => options?.origin?.digest);
  const before = digests(EXAMPLE);
  expect(
    digests(EXAMPLE.replace("  - name: core\n    workload: deployment/core", "  - workload: deployment/core\n    name: core")),
  ).toEqual(before);
  const after = digests(EXAMPLE.replace("also: [payments]", "also: [search]"));
  expect(after.map((digest, i) => digest === before[i])).toEqual([false, true, true]);
});

test.each<[what: string, text: string, where: string, says: RegExp]>([
  [
    "a key with a slip",
    "teleports:\n  - worklaod: core\n",
    "2:5",
    /unknown key "worklaod" in teleports\[0\]; did you mean "workload"\?/,
  ],
  ["a key of nobody", "zebra: 1\n", "1:1", /unknown key "zebra"; there is kubeconfig, context/],
  ["a wrong type", "teleports: core\n", "1:12", /teleports must be a list, and is the text "core"/],
  ["nothing where something should be", "teleports:\n", "1:11", /teleports must be a list, and is empty/],
  ["a number for a text", "context: 1.20\n", "1:10", /context must be a text, and is 1.2; in quotes it is one: "1.20"/],
  ["a namespace that is none", "namespace: My_Shop\n", "1:12", /namespace can't be "My_Shop"/],
  ["a value with a slip", "teleports:\n  - workload: a\n    env:\n      from: specs\n", "4:13", /did you mean "spec"\?/],
  ["a rule that is none", "services:\n  - ok\n  - Not One\n", "3:5", /services\[1\]: "Not One" is neither a name/],
  ["something missing", "envFiles:\n  - file: x\n", "2:5", /envFiles\[0\] lacks "workload"/],
  ["an env of no workload", "teleports:\n  - envFile: .env\n", "2:5", /"envFile", which needs "workload"/],
  ["a variable that isn't set", "context: $" + "{NO_SUCH}\n", "1:10", /NO_SUCH.* is not set/],
  ["a number out of range", "exposes:\n  - { service: a, graceSeconds: 99999 }\n", "2:33", /from 1 to 86400/],
  ["a key twice", "context: a\ncontext: b\n", "2:1", /unique/i],
  ["no YAML", "a: [1\n", "2:1", /./],
  ["nothing", "# only this\n", "1:1", /the file must be keys and values, and is empty/],
  ["two of one name", "teleports:\n  - name: a\n  - name: a\n", "3:11", /teleports\[1\]: teleports\[0\] has the name a already/],
  [
    "two that write one file",
    "teleports:\n  - workload: a\n    envFile: x\nenvFiles:\n  - {workload: b, file: ./x}\n",
    "5:25",
    /writes .*x already/,
  ],
])("%s is told with its line and column", (_what, text, where, says) => {
  const run = () => planText(text, FILE, { env: {} });
  expect(run).toThrow(expect.objectContaining({ code: "PROFILE_INVALID", message: expect.stringContaining(`${FILE}:${where}: `) }));
  expect(run).toThrow(says);
});

test("a key with a slip is one mistake: what needs that key, or lacks it, isn't another", () => {
  for (const text of ["teleports:\n  - worklaod: core\n    envFile: .env\n", "envFiles:\n  - worklaod: core\n    file: .env\n"]) {
    const issues = [expect.objectContaining({ line: 2, message: expect.stringContaining("did you mean") })];
    expect(() => planText(text, FILE)).toThrow(expect.objectContaining({ details: expect.objectContaining({ issues }) }));
  }
});

test("all mistakes are told at once, in the file's order", () => {
  const text = "namespace: A\nteleports:\n  - wrkload: core\nzebra: 1\n";
  const lines = (() => {
    try {
      return planText(text, FILE);
    } catch (error) {
      return (error as { details: { issues: Array<{ line: number }> } }).details.issues.map(({ line }) => line);
    }
  })();
  expect(lines).toEqual([1, 3, 4]);
});

test("variables, the home folder, anchors", () => {
  const text = [
    "x-common: &common { also: [payments] }",
    "namespace: dev-$" + "{USER}",
    "kubeconfig: ~/.kube/dev",
    "teleports:",
    "  - workload: $" + "{WORKLOAD:-deployment/core}",
    "    env: { set: { PRICE: 5$, LITERAL: '$$" + "{X}' } }",
    "envFiles:",
    "  - { workload: &w web, file: a.env }",
    "  - { workload: *w, file: b.env }",
  ].join("\n");
  const { entries } = planText(text, FILE, { env: { USER: "ann", WORKLOAD: "" } });
  expect(entries[0]?.options).toMatchObject({
    namespace: "dev-ann",
    kubeconfig: join(homedir(), ".kube/dev"),
    workload: "deployment/core",
    env: { set: { PRICE: "5$", LITERAL: "$" + "{X}" } },
  });
  expect(entries[2]?.options?.workload).toBe("web");
  expect(substitute("$" + "{A}", {})).toEqual({ missing: "A" });
});

test("the published schema is the parser's: scripts/profile-schema.ts writes it", async () => {
  const published = await readFile(new URL("../../shipside.schema.json", import.meta.url), "utf8");
  expect(JSON.parse(published)).toEqual(profileSchema());
});

/** Values of a field, now and then of another kind. */
function arbitrary(field: Field): fc.Arbitrary<unknown> {
  const junk = fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.constantFrom("", "x", "A b"),
    fc.constant([]),
    fc.constant({ a: 1 }),
  );
  const right = ((): fc.Arbitrary<unknown> => {
    switch (field.type) {
      case "text":
        if (field.oneOf) return fc.constantFrom(...field.oneOf);
        return field.orNumber ? fc.constantFrom("http", 80) : fc.constantFrom("core", "a.shop", "web-1");
      case "flag":
        return fc.boolean();
      case "number":
        return fc.integer({ min: field.least - 1, max: 70_000 });
      case "list":
        return fc.array(arbitrary(field.of), { maxLength: 2 });
      case "map":
        return fc.dictionary(fc.constantFrom("A", "B"), arbitrary(field.of));
      case "text or object":
        return fc.oneof(arbitrary(field.object.fields[field.short]!), arbitraryObject(field.object));
      case "object":
        return arbitraryObject(field);
    }
  })();
  return fc.oneof({ weight: 30, arbitrary: right }, { weight: 1, arbitrary: junk });
}

function arbitraryObject({ fields, required = [], needs = {} }: ObjectField): fc.Arbitrary<unknown> {
  const values: Record<string, fc.Arbitrary<unknown>> = Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, arbitrary(field)]),
  );
  const strange: typeof values = { ...values, stray: fc.constant(1) };
  const wanted = [...new Set([...required, ...Object.values(needs)])];
  return fc.oneof(
    { weight: 12, arbitrary: fc.record(values, { requiredKeys: wanted }) },
    { weight: 1, arbitrary: fc.record(values, { requiredKeys: [] }) },
    { weight: 1, arbitrary: fc.record(strange, { requiredKeys: wanted }) },
  );
}

test("schema and parser accept the same files", () => {
  const seen = { valid: 0, invalid: 0 };
  const property = fc.property(arbitraryObject(profileShape()), (document) => {
    const text = stringify(document);
    const issues = (() => {
      try {
        planText(text, FILE, { env: {} });
        return [];
      } catch (error) {
        // What a schema can't say: that two entries collide, and what a rule's text means.
        return (error as { details: { issues: Array<{ message: string }> } }).details.issues.filter(
          ({ message }) => !/ already$|is neither a name|is no label/.test(message),
        );
      }
    })();
    const valid = validate(document);
    seen[valid ? "valid" : "invalid"]++;
    expect(issues.length === 0, `${text}\n${JSON.stringify(issues)}\n${JSON.stringify(validate.errors)}`).toBe(valid);
  });
  fc.assert(property, { numRuns: 400 });
  // A test that only ever sees one side proves nothing.
  expect(Math.min(seen.valid, seen.invalid)).toBeGreaterThan(10);
});

test("what is saved is what is read again, without what tells of a secret", async () => {
  const dir = await mkdtemp(join(tmpdir(), "shipside-profile-"));
  try {
    const options = {
      kind: "teleport" as const,
      workload: "deployment/core",
      namespace: "shop",
      also: ["payments"],
      services: ["*", "!x"],
      envFile: { path: join(dir, ".env") },
      env: { set: { LOG_LEVEL: "$" + "{x}", DB_PASSWORD: "pl4nted" }, follow: true },
    };
    const { path, leftOut } = await saveProfile("core", options, dir);
    expect(leftOut).toEqual(["DB_PASSWORD"]);
    const text = await readFile(path, "utf8");
    expect(text).not.toContain("pl4nted");
    expect(text).toMatch(/^# yaml-language-server: \$schema=https:/);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(validate(parse(text))).toBe(true);
    const { entries } = await planFile(path);
    const { origin: _origin, ...read } = entries[0]!.options!;
    expect(read).toEqual({ ...options, env: { set: { LOG_LEVEL: "$" + "{x}" } } });
    const env = { kind: "env" as const, workload: "web", envFile: { path: join(dir, "a.json"), format: "json" } };
    const { origin: _o, ...again } = planText(renderProfile(env).text, path).entries[0]!.options!;
    expect(again).toEqual(env);
    for (const incoming of [
      { kind: "expose" as const, namespace: "shop", expose: { service: "mine", ports: ["9000"], graceSeconds: 5 } },
      {
        kind: "intercept" as const,
        capture: false,
        name: "cart",
        intercept: { service: "web", ports: ["80:8080"], match: { headers: ["x-user: ann"] }, takeOver: true, holdMs: 2_000 },
      },
    ]) {
      const { text: saved } = renderProfile(incoming);
      expect(validate(parse(saved))).toBe(true);
      const { origin: _of, ...opened } = planText(saved, path).entries[0]!.options!;
      expect(opened).toEqual(incoming);
    }
    const { text: both } = renderProfile([options, { kind: "intercept", intercept: { service: "web" } }]);
    expect(planText(both, path).entries.map(({ entry }) => entry)).toEqual([expect.stringMatching(/^teleports/), "intercepts[0]"]);
    await expect(saveProfile("../x", options, dir)).rejects.toMatchObject({ code: "PROFILE_NAME" });
    await expect(planFile(join(dir, "nope.yaml"))).rejects.toMatchObject({ code: "PROFILE_MISSING" });
    await writeFile(join(dir, "file"), "");
    await expect(saveProfile("core", options, join(dir, "file"))).rejects.toMatchObject({ code: "PROFILE_UNWRITABLE" });
  } finally {
    await rm(dir, { recursive: true });
  }
});

test("what brings traffic here: the entry is the session's own options", () => {
  const text = [
    "intercepts:",
    "  - { name: cart, service: web, ports: [80:8080], match: { headers: ['x-user: ann'], path: /api/* } }",
    "exposes:",
    "  - { service: mine, ports: [9000], namespace: shop }",
  ].join("\n");
  const [intercept, expose] = planText(text, FILE).entries.map(({ options }) => options!);
  expect(intercept).toMatchObject({
    kind: "intercept",
    name: "cart",
    intercept: { service: "web", ports: ["80:8080"], match: { headers: ["x-user: ann"], path: "/api/*" } },
  });
  expect(expose).toMatchObject({ kind: "expose", namespace: "shop", expose: { service: "mine", ports: ["9000"] } });
  for (const options of [intercept, expose]) expect(checkSessionOptions(options).kind).toBe(options?.kind);
  expect(validate(parse(text))).toBe(true);
});

test("the nearest key", () => {
  const keys = ["workload", "namespace", "envFile"];
  expect(["wrokload", "workloads", "envfile", "name", "zebra"].map((word) => nearest(word, keys))).toEqual([
    "workload",
    "workload",
    "envFile",
    undefined,
    undefined,
  ]);
});

test("the page's example is right for an editor and for us, and names every key", async () => {
  const page = await readFile(new URL("../../../../docs/shipside-yaml.md", import.meta.url), "utf8");
  const [example = ""] = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text!);
  expect(validate(parse(example)), JSON.stringify(validate.errors)).toBe(true);
  expect(planText(example, FILE, { env: { USER: "ann" } }).entries.map(({ list }) => list)).toEqual([
    "teleports",
    "teleports",
    "envFiles",
    "intercepts",
    "exposes",
  ]);
  for (const { list, shape } of PROFILE_KINDS)
    for (const word of [list, ...Object.keys(shape.fields)]) expect(page).toContain(`\`${word}\``);
});
