import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeEnvFile } from "./env-file.ts";
import { parseSh } from "./formats/parse-sh.ts";
import { FORMATS, renderWhatFits } from "./formats/registry.ts";
import { readEnvFile } from "./local.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-local-"));
});
afterAll(() => rm(dir, { recursive: true }));

const write = async (name: string, text: string): Promise<string> => {
  const path = join(dir, name);
  await writeFile(path, text);
  return path;
};

describe("readEnvFile", () => {
  it("gives back what was written, in every format that can be read", async () => {
    const values = {
      PLAIN: "x",
      QUOTES: `it's "x"`,
      LINES: "a\nb",
      EMPTY: "",
      DOLLAR: "$HOME `id` \\",
      HASH: " # ",
      UNICODE: "ż😀",
    };
    const entries = Object.entries(values).map(
      ([name, value]) => ({ name, value, origin: { from: "literal", container: "c" } }) as const,
    );
    const readable = FORMATS.filter(({ parse }) => parse);
    expect(readable.map(({ name }) => name)).toEqual(["sh", "env", "json", "yaml", "docker", "direnv", "k8s"]);
    for (const format of readable) {
      const path = join(dir, format.name);
      await using file = await writeEnvFile(path, entries, { format, skipUnrepresentable: true });
      const read = await readEnvFile(path, { format: format.name });
      const wanted = entries.filter(({ name }) => !file.skipped.includes(name));
      expect(read, format.name).toEqual(wanted.map(({ name, value }) => ({ name, value, origin: { from: "local", where: path } })));
      expect(renderWhatFits(entries, format).skipped.length).toBeLessThan(3);
    }
  });

  it("takes hand-written files, by their names", async () => {
    const read = async (name: string, text: string) =>
      Object.fromEntries((await readEnvFile(await write(name, text))).map((entry) => [entry.name, entry.value]));
    expect(await read("a.json", '{ "PORT": 3010, "DEBUG": true, "NAME": "x" }')).toEqual({
      PORT: "3010",
      DEBUG: "true",
      NAME: "x",
    });
    expect(await read("a.yaml", "\ufeffPORT: 3010\nTEXT: |\n  a\n  b\n")).toEqual({ PORT: "3010", TEXT: "a\nb\n" });
    expect(await read("empty.yaml", "")).toEqual({});
    expect(await read(".env", "export A = 'x' # note\nB=\"a\\nb\"\n")).toEqual({ A: "x", B: "a\nb" });
    const manifest = `apiVersion: v1\nkind: Secret\ndata: { A: ${Buffer.from("ż").toString("base64")} }\nstringData: { B: x }\n`;
    const path = await write("m.yaml", manifest);
    expect((await readEnvFile(path, { format: "k8s" })).map(({ value }) => value)).toEqual(["ż", "x"]);
  });

  it("says what can't be read, and never its text", async () => {
    for (const [name, text, format] of [
      ["bad.json", "{ s3cret"],
      ["list.json", '["s3cret"]'],
      ["deep.json", '{ "A": { "B": "s3cret" } }'],
      ["bad.yaml", "a: 's3cret\nb: [s3cret"],
      ["run.sh", "A=$(echo s3cret)"],
      ["bad.txt", "s3cret", "docker"],
      ["bad-manifest.yaml", "kind: Pod\ndata: { A: s3cret }", "k8s"],
      ["a.fish", "set -gx A s3cret"],
    ] as const) {
      const failed = await readEnvFile(await write(name, text), format ? { format } : {}).catch((error: unknown) => error);
      expect(failed, name).toMatchObject({ code: "ENV_FILE_UNREADABLE", hint: expect.any(String) });
      let whole = "";
      for (let error: unknown = failed; error instanceof Error; error = error.cause) whole += `${error.message} ${error.stack}`;
      expect(whole, name).not.toContain("s3cret");
    }
    await expect(readEnvFile(join(dir, "none.env"))).rejects.toMatchObject({ code: "ENV_FILE_UNREADABLE" });
    await expect(readEnvFile(join(dir, "a.json"), { format: "nope" })).rejects.toMatchObject({ code: "ENV_FORMAT_UNKNOWN" });
  });
});

describe("parseSh", () => {
  const bash = (text: string): Record<string, string> => {
    const out = execFileSync("bash", ["--norc", "-c", `set -a\n${text}\nenv -0`], {
      env: { PATH: process.env["PATH"] },
    }).toString();
    const all = out.split("\0").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]);
    return Object.fromEntries(all.filter(([name = ""]) => /^[A-D]$/.test(name)));
  };

  it("reads as bash does", () => {
    for (const text of [
      "#!/bin/bash\nA=1 # note\n\n  export B='x y'C=\"z\"; D=\\$x\\ \\'",
      `export A=a B="b \\" \\\\ \\x \\\n c" C\nD=a#b`,
      "A=\nB='' # c\nC=\"\"\r\n".replace("\r", ""),
      "A=/a:b/*?[x]{1,2}!\\\n  \nB=x;C=y;#D=z",
      "A='multi\nline # '\"'\"' $x'\nB=1",
    ]) {
      expect(parseSh(text), text).toEqual(bash(text));
    }
  });

  it("reads any quoting of any value as bash does", () => {
    const piece = fc.oneof(
      fc.string({ unit: fc.constantFrom(...'ab "$`\\#\n;é') }).map((text) => `'${text}'`),
      fc.string({ unit: fc.constantFrom(..."ab '#\n;é") }).map((text) => `"${text}"`),
      fc.constantFrom("\\ ", "\\$", "\\\\", "\\'", '\\"', "x", "#", "=", '"\\$\\`\\\\"', '"\\a"').filter((text) => text !== "#"),
    );
    const word = fc.array(piece, { maxLength: 5 }).map((pieces) => pieces.join(""));
    const texts = fc.sample(
      fc.tuple(word, word, fc.boolean()).map(([a, b, exported]) => `${exported ? "export " : ""}A=${a}\nB=${b} # note\n`),
      300,
    );
    const script = texts.map((text) => `${text}printf '%s\\0' "$A" "$B"\n`).join("");
    const out = execFileSync("bash", ["--norc", "-c", script]).toString().split("\0");
    for (const [at, text] of texts.entries()) expect(parseSh(text), text).toEqual({ A: out[2 * at], B: out[2 * at + 1] });
  });

  it.each([
    "A=$B",
    'A="$B"',
    "A=`id`",
    'A="`id`"',
    "A=~/x",
    "A=x:~/y",
    "echo x",
    "A=x cmd",
    "A=x | y",
    "A=(1 2)",
    "A='x",
    "if true; then A=1; fi",
    "A+=x",
    "A=x && B=y",
  ])("refuses %s", (text) =>
    expect(() => parseSh(`# one\n${text}\n`)).toThrow(expect.objectContaining({ code: "ENV_FILE_UNREADABLE" })),
  );
});
