import type { EnvEntry, EnvOrigin } from "@shipside/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { changedNames, diffEntries, diffEnv, diffRows } from "./diff.ts";
import { explain } from "./explain.ts";
import { shellEntries } from "./local.ts";
import { describeOrigin } from "./origin.ts";
import { MASK } from "./redact.ts";
import { markSensitive } from "./sensitive.ts";
import { renderDiff, renderExplain } from "./show.ts";
import { withRunning } from "./with-running.ts";

const entry = (name: string, value: string, origin: EnvOrigin = { from: "literal", container: "c" }): EnvEntry => ({
  name,
  value,
  origin,
  ...(origin.from === "secret" && { sensitive: true }),
});
const config = (name: string, value: string) => entry(name, value, { from: "configMap", name: "conf", key: name });
const secret = (name: string, value: string) => entry(name, value, { from: "secret", name: "keys", key: name });
const image = (name: string, value: string) => entry(name, value, { from: "image", pod: "core-1" });

describe("describeOrigin", () => {
  it.each<[EnvOrigin, string]>([
    [{ from: "literal", container: "core" }, "spec of container core"],
    [{ from: "configMap", name: "conf", key: "K" }, "ConfigMap conf, key K"],
    [{ from: "secret", name: "keys", key: "K" }, "Secret keys, key K"],
    [{ from: "field", path: "metadata.name", pod: "p" }, "metadata.name of pod p"],
    [{ from: "field", path: "metadata.namespace" }, "metadata.namespace"],
    [{ from: "resource", resource: "limits.cpu", container: "c" }, "limits.cpu of container c"],
    [{ from: "file", volume: "v", path: "a.env", key: "K" }, "file a.env in volume v, key K"],
    [{ from: "service", namespace: "n", name: "leaf" }, "Service n/leaf"],
    [{ from: "image", pod: "p" }, "image or entrypoint, in pod p"],
    [{ from: "plugin", plugin: "vault" }, "plugin vault"],
    [{ from: "local", where: "--set" }, "--set"],
  ])("%j is %s", (origin, text) => expect(describeOrigin(origin)).toBe(text));
});

describe("markSensitive", () => {
  it("judges what nobody knows by its name, and by what is known to be secret", () => {
    const known = [secret("K", "s3cret-value"), secret("SHORT", "ab"), entry("PORT", "1")];
    const hidden = (each: EnvEntry) => markSensitive([each], known)[0]?.sensitive === true;
    for (const name of ["DB_PASSWORD", "API_KEY", "apikey", "GITHUB_TOKEN", "CLIENT_SECRET", "K", "SIGNING_KEY"])
      expect(hidden(image(name, "x")), name).toBe(true);
    for (const name of ["PATH", "HOME", "KEYBOARD", "PORT", "MODE"]) expect(hidden(image(name, "ab")), name).toBe(false);
    expect(hidden(image("URL", "db://u:s3cret-value@db"))).toBe(true);
    // A literal of the spec stands open in the spec.
    expect(hidden(entry("DB_PASSWORD", "x"))).toBe(false);
  });
});

describe("explain", () => {
  const merged = withRunning({
    spec: [config("MODE", "test"), secret("K", "s3cret-value"), secret("GONE", "s3cret-gone"), config("HOST", "10.0.0.1")],
    local: [config("MODE", "test"), secret("K", "s3cret-value"), secret("GONE", "s3cret-gone"), config("HOST", "127.72.0.9")],
    running: new Map([
      ["PATH", "/bin"],
      ["MODE", "live\n\u001b[31m"],
      ["K", "s3cret-other"],
      ["HOST", "10.0.0.1"],
    ]),
    pod: "core-1",
    warnings: [
      { reason: "NEEDS_POD", name: "PATH", message: "known now" },
      { reason: "INVALID_NAME", name: "x=", message: "still" },
    ],
  });

  it("tells where each value is from, with secrets masked, and what the spec says otherwise", () => {
    expect(merged.warnings.map(({ message }) => message)).toEqual(["still"]);
    const rows = explain(merged.entries, merged);
    const of = (name: string) => rows.find((row) => row.name === name);
    expect(rows.map(({ name }) => name)).toEqual(["PATH", "MODE", "K", "HOST", "GONE"]);
    expect(of("PATH")).toEqual({ name: "PATH", value: "/bin", sensitive: false, origin: { from: "image", pod: "core-1" } });
    expect(of("MODE")?.spec).toEqual({ value: "test", origin: { from: "configMap", name: "conf", key: "MODE" } });
    expect(of("K")).toMatchObject({ value: MASK, sensitive: true, spec: { value: MASK, origin: { from: "secret" } } });
    expect(of("HOST")).toMatchObject({ value: "127.72.0.9", origin: { from: "configMap" } });
    expect(of("HOST")).not.toHaveProperty("spec");
    expect(of("GONE")).not.toHaveProperty("value");
    expect(JSON.stringify(rows)).not.toContain("s3cret");
    expect(explain(merged.entries, { ...merged, reveal: true }).find(({ name }) => name === "K")).toMatchObject({
      value: "s3cret-other",
      spec: { value: "s3cret-value" },
    });
  });

  it("is a table in which a value can't end a line or move the cursor", () => {
    const text = renderExplain(explain(merged.entries, merged));
    expect(text).toBe(
      [
        "NAME  VALUE             FROM",
        "PATH  /bin              image or entrypoint, in pod core-1",
        "MODE  live\\n\\u{1b}[31m  image or entrypoint, in pod core-1",
        "  ≠ the spec says test (ConfigMap conf, key MODE)",
        `K     ${MASK}            image or entrypoint, in pod core-1`,
        `  ≠ the spec says ${MASK} (Secret keys, key K)`,
        "HOST  127.72.0.9        ConfigMap conf, key HOST",
        "GONE  –                 Secret keys, key GONE",
        `  ≠ the running container hasn't it; the spec says ${MASK} (Secret keys, key GONE)`,
        "",
      ].join("\n"),
    );
    const wide = fc.array(fc.tuple(fc.string({ minLength: 1 }), fc.string({ unit: "binary" })), { maxLength: 5 });
    fc.assert(
      fc.property(wide, fc.integer({ min: 60, max: 200 }), fc.boolean(), (pairs, width, color) => {
        const rows = explain(pairs.map(([name, value]) => config(name, value)));
        const lines = renderExplain(rows, { width, color }).split("\n");
        expect(lines).toHaveLength(pairs.length + 2);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of ours
        const plain = lines.map((line) => line.replace(/\x1b\[\d+m/g, ""));
        for (const line of plain) expect(line.length, line).toBeLessThanOrEqual(width);
        expect(plain.join("")).not.toMatch(/\p{Cc}/u);
      }),
    );
  });
});

describe("diffEnv", () => {
  const cluster = [config("MODE", "test"), secret("TOKEN", "s3cret-1"), config("ONLY", "here"), config("SAME", "1")];

  it("compares with what is here, and masks both sides where either is secret", () => {
    const shell = shellEntries({
      MODE: "dev",
      TOKEN: "s3cret-2",
      SAME: "1",
      PATH: "/bin",
      NOT: undefined,
      MY_PASSWORD: "s3cret-3",
    });
    const rows = diffRows(diffEnv(cluster, shell));
    expect(rows.map(({ name, change }) => `${change} ${name}`)).toEqual([
      "changed MODE",
      "added MY_PASSWORD",
      "removed ONLY",
      "added PATH",
      "changed TOKEN",
    ]);
    const text = renderDiff(rows);
    expect(text).toBe(
      [
        "~ MODE=test → dev  shell",
        `+ MY_PASSWORD=${MASK}  shell`,
        "- ONLY=here  ConfigMap conf, key ONLY",
        "+ PATH=/bin  shell",
        `~ TOKEN=${MASK} (another value)  shell`,
        "",
      ].join("\n"),
    );
    expect(diffRows(diffEnv(cluster, shell, { extra: false })).map(({ name }) => name)).toEqual(["MODE", "ONLY", "TOKEN"]);
    expect(renderDiff(diffRows(diffEnv(cluster, shell), { reveal: true }))).toContain("~ TOKEN=s3cret-1 → s3cret-2");
    expect(renderDiff(diffRows(diffEnv(cluster, cluster)))).toBe("");
  });

  it("fits the terminal: values first, then where they come from", () => {
    const of = (value: string): EnvEntry[] => [
      { name: "GREETING", value, origin: { from: "configMap", name: "a-config-map-of-a-long-name", key: "GREETING" } },
    ];
    const short = renderDiff(diffRows(diffEnv(of("hello"), of("hello again"))), { width: 80 });
    expect(short).toBe("~ GREETING=hello → hello again  ConfigMap a-config-map-of-a-long-name, key GREE…\n");
    for (const width of [40, 80, 120]) {
      const long = renderDiff(diffRows(diffEnv(of("x".repeat(200)), of("y".repeat(200)))), { width });
      expect(long.trimEnd().length).toBeLessThanOrEqual(width);
    }
  });

  it("never shows a secret's value, whichever side it stands on", () => {
    const value = fc.stringMatching(/^[a-z]{6,10}$/);
    const some = fc.uniqueArray(fc.tuple(fc.constantFrom("A", "B", "C"), value, fc.boolean()), { selector: ([name]) => name });
    fc.assert(
      fc.property(some, some, (before, after) => {
        const side = (list: typeof before) => list.map(([name, text, hidden]) => (hidden ? secret : config)(name, text));
        const shown = renderDiff(diffRows(diffEnv(side(before), side(after))));
        const open = new Set([...before, ...after].filter(([, , hidden]) => !hidden).map(([, text]) => text));
        for (const [, text, hidden] of [...before, ...after]) {
          if (hidden && ![...open].some((each) => each.includes(text))) expect(shown).not.toContain(text);
        }
      }),
    );
  });

  it("names what differs", () => {
    expect(changedNames(diffEntries(cluster, [config("MODE", "x"), config("SAME", "1"), config("NEW", "1")]))).toEqual([
      "MODE",
      "NEW",
      "ONLY",
      "TOKEN",
    ]);
  });
});
