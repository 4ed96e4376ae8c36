import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { EnvEntry, EnvFormat } from "@shipside/core";
import { parse as parseDotenv } from "dotenv";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { parseAllDocuments, parse as parseYaml } from "yaml";
import { compose } from "./compose.ts";
import { direnv } from "./direnv.ts";
import { docker } from "./docker.ts";
import { env } from "./env.ts";
import { fish } from "./fish.ts";
import { createPrograms, has, SYSTEMD_GENERATOR } from "./fixtures/programs.ts";
import { readCompose, readDocker, readPowershell, readSystemd } from "./fixtures/readers.ts";
import { systemdManager } from "./fixtures/systemd-manager.ts";
import { json } from "./json.ts";
import { k8s } from "./k8s.ts";
import { powershell } from "./powershell.ts";
import { FORMATS, formatForFile, formatNamed, renderWhatFits } from "./registry.ts";
import { sh } from "./sh.ts";
import { systemd } from "./systemd.ts";
import { yaml } from "./yaml.ts";

const run = promisify(execFile);
const dir = mkdtempSync(join(tmpdir(), "shipside-formats-"));
const { shell, direnv: readDirenv, systemd: readEnvironmentD } = createPrograms(dir);
afterAll(() => rmSync(dir, { recursive: true }));

const entry = (name: string, value: string): EnvEntry => ({ name, value, origin: { from: "literal", container: "c" } });

const value = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: fc.constantFrom(..."ab '\"`\\$#={}()!%^&*;|<>~\n\r\tnr0:,-é€😀\u2018") }) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme" }) },
  { weight: 1, arbitrary: fc.string({ unit: fc.integer({ min: 1, max: 0x24f }).map((code) => String.fromCharCode(code)) }) },
);
const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/).map((text) => `T_${text}`);
const environment = fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key, maxLength: 12 });

/** What nobody may get wrong. */
const hard: Record<string, string> = {
  MULTILINE: "a\nb\n\nc\n",
  CRLF: "a\r\nb\r",
  QUOTES: `it's "quoted" \`here\``,
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's variable
  DOLLAR: "$HOME ${HOME} $(id) $$ \\$x",
  BACKTICK: "`id`",
  HASH: "a # b#c",
  EQUALS: "=a=b=",
  SPACES: "  lead and trail  ",
  BACKSLASHES: "\\ \\\\ \\n \\r \\' \\",
  BANG: "!history !!",
  PERCENT: "100%",
  UNICODE: "żółw 😀 \u2028 \u00a0 \ufeff",
  CONTROL: "\u0001\u001b[31m\u007f\t\v\f",
  EMPTY: "",
  QUOTED: "'whole'",
  TILDE: "~/x",
  YES: "yes",
  NUMBER: "0755",
  TIME: "1:30",
  NULL: "null",
  MEBIBYTE: "x".repeat(1024 * 1024 - 100),
};

/**
 * Renders what the format says it can hold and gives it to a reader, which must give back just that. A value that is refused is
 * refused by itself, and most values must not be.
 */
async function proves(
  format: EnvFormat,
  pairs: ReadonlyArray<readonly [string, string]>,
  read: (text: string, names: string[]) => Promise<Record<string, string>>,
) {
  const entries = pairs.map(([key, text]) => entry(key, text));
  const { text, skipped } = renderWhatFits(entries, format);
  const wanted = Object.fromEntries(pairs.filter(([key]) => !skipped.includes(key)));
  const got = await read(text, Object.keys(wanted));
  expect(Object.keys(got).sort()).toEqual(Object.keys(wanted).sort());
  for (const [key, each] of Object.entries(wanted)) {
    if (got[key] !== each) expect({ [key]: got[key]?.slice(0, 200) }).toEqual({ [key]: each.slice(0, 200) });
  }
  return skipped;
}

// The largest value that execve takes is 128 KiB, so what a program must inherit is tried with less.
const inherited = { ...hard, MEBIBYTE: "x".repeat(100_000) };

const each = (runs: number, check: (pairs: ReadonlyArray<readonly [string, string]>) => Promise<unknown>) =>
  fc.assert(
    fc.asyncProperty(environment, async (pairs) => void (await check(pairs))),
    { numRuns: runs },
  );

describe("sh", () => {
  for (const [program, ...args] of [
    ["bash", "-c", '. "$0"; env -0'],
    ["dash", "-c", '. "$0"; env -0'],
    ["zsh", "-c", '. "$0"; env -0'],
  ] as Array<[string, ...string[]]>) {
    if (!has(program)) continue;
    it(`gives ${program} every value`, async () => {
      expect(await proves(sh, Object.entries(inherited), shell(program, ...args))).toEqual([]);
      await each(15, async (pairs) => expect(await proves(sh, pairs, shell(program, ...args))).toEqual([]));
    });
  }

  it("refuses what a shell keeps for itself or can't name", () => {
    for (const bad of ["UID", "RANDOM", "SHLVL", "_", "a.b", "1a", "a-b", ""]) {
      expect(() => sh.render([entry(bad, "x")]), bad).toThrow(expect.objectContaining({ code: "ENV_UNREPRESENTABLE" }));
    }
  });
});

describe("env", () => {
  const read = async (text: string) => parseDotenv(text);

  it("gives dotenv every value that it can read", async () => {
    expect(await proves(env, Object.entries(hard), read)).toEqual([]);
    await each(600, (pairs) => proves(env, pairs, read));
  });

  it("refuses little", async () => {
    for (const text of ["it's", 'say "x"', "a\nb", "a\r\nb", "C:\\dir\\", "$x", "#x", " x ", "`x`", `it's "x"`, "it's `x`"]) {
      expect(
        await proves(
          env,
          [
            ["A", text],
            ["B", "'next'"],
          ],
          read,
        ),
        text,
      ).toEqual([]);
    }
  });
});

describe("json", () => {
  it("gives JSON.parse and jq every value and name", async () => {
    const read = async (text: string) => JSON.parse(text) as Record<string, string>;
    expect(await proves(json, [...Object.entries(hard), ["__proto__", "x"], ["a.b", "y"]], read)).toEqual([]);
    await each(200, (pairs) => proves(json, pairs, read));
    if (has("jq")) {
      await proves(json, Object.entries(hard), async (text) => {
        writeFileSync(join(dir, "input"), text);
        const { stdout } = await run("jq", ["-c", ".", join(dir, "input")], { maxBuffer: 64 << 20 });
        return JSON.parse(stdout) as Record<string, string>;
      });
    }
  });
});

describe("yaml", () => {
  it("gives a YAML parser every value and name, by the rules of 1.1 and 1.2", async () => {
    for (const version of ["1.1", "1.2"] as const) {
      const read = async (text: string) => parseYaml(text, { version }) as Record<string, string>;
      expect(
        await proves(yaml, [...Object.entries(hard), ["y", "y"], ["ON", "1"], ["a.b", "2"], ["null", "3"], ["1", "4"]], read),
      ).toEqual([]);
      await each(200, (pairs) => proves(yaml, pairs, read));
    }
  });
});

describe("docker", () => {
  it("gives Docker's rules every value on one line", async () => {
    const refused = await proves(docker, Object.entries(hard), async (text) => readDocker(text));
    expect(refused).toEqual(["MULTILINE", "CRLF", "QUOTED", "MEBIBYTE"]);
    await each(400, (pairs) => proves(docker, pairs, async (text) => readDocker(text)));
    expect(await proves(docker, [["BIG", "x".repeat(65_536 - 6)]], async (text) => readDocker(text))).toEqual([]);
  });

  if (has("docker")) {
    it("gives the docker client the same", async () => {
      // The client reads the file itself; a daemon that only listens to what it is asked to create is enough.
      let body = "";
      const server = createServer((request, response) => {
        let received = "";
        request.on("data", (chunk) => (received += chunk));
        request.on("end", () => {
          response.setHeader("Api-Version", "1.45");
          response.setHeader("Content-Type", "application/json");
          if (request.url?.includes("/containers/create")) body = received;
          response.end(JSON.stringify({ Id: "1", ApiVersion: "1.45", Os: "linux", Warnings: [] }));
        });
      });
      const socket = join(dir, "docker.sock");
      server.listen(socket);
      await once(server, "listening");
      try {
        const read = async (text: string) => {
          writeFileSync(join(dir, "input"), text);
          const environment = { PATH: process.env["PATH"], HOME: dir, DOCKER_HOST: `unix://${socket}` };
          await run("docker", ["create", "--env-file", join(dir, "input"), "image"], { env: environment });
          const { Env } = JSON.parse(body) as { Env: string[] | null };
          return Object.fromEntries(
            (Env ?? []).map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
          );
        };
        await proves(docker, Object.entries(hard), read);
        await each(10, (pairs) => proves(docker, pairs, read));
      } finally {
        server.close();
      }
    });
  }
});

describe("compose", () => {
  it("gives Compose's rules every value", async () => {
    const read = async (text: string) => readCompose(text);
    expect(await proves(compose, Object.entries(hard), read)).toEqual([]);
    await each(600, async (pairs) => expect(await proves(compose, pairs, read)).toEqual([]));
  });
});

describe("fish", () => {
  it.runIf(has("fish"))("gives fish every value", async () => {
    const read = shell("fish", "--no-config", "-c", "source $argv[1]; env -0");
    expect(await proves(fish, Object.entries(inherited), read)).toEqual([]);
    await each(15, (pairs) => proves(fish, pairs, read));
  });

  it("refuses what fish can't hold", () => {
    for (const [key, text] of [
      ["status", "x"],
      ["a.b", "x"],
      ["A", "\uf610"],
    ] as const) {
      expect(() => fish.render([entry(key, text)]), key).toThrow(expect.objectContaining({ code: "ENV_UNREPRESENTABLE" }));
    }
  });
});

describe("powershell", () => {
  it("gives PowerShell's rules every value but an empty one", async () => {
    const read = async (text: string) => readPowershell(text);
    expect(await proves(powershell, Object.entries(hard), read)).toEqual(["EMPTY"]);
    await each(300, (pairs) => proves(powershell, pairs, read));
    expect(powershell.render([entry("A", "é")]).startsWith("\ufeff")).toBe(true);
  });
});

describe("direnv", () => {
  it.runIf(has("direnv"))("gives direnv every value", async () => {
    expect(await proves(direnv, Object.entries(inherited), readDirenv)).toEqual([]);
    await each(5, (pairs) => proves(direnv, pairs, readDirenv));
  });

  it("refuses what direnv never exports", () => {
    for (const bad of ["PWD", "SHELL", "DIRENV_DIR", "PS1"]) {
      expect(() => direnv.render([entry(bad, "x")]), bad).toThrow(expect.objectContaining({ code: "ENV_UNREPRESENTABLE" }));
    }
  });
});

describe("systemd", () => {
  it("gives systemd's rules every value without control characters", async () => {
    const read = async (text: string) => readSystemd(text);
    expect(await proves(systemd, Object.entries(hard), read)).toEqual(["CRLF", "CONTROL"]);
    await each(400, (pairs) => proves(systemd, pairs, read));
  });

  const manager = systemdManager(dir);
  it.runIf(manager)("gives the service manager the same", async () => {
    if (!manager) return;
    expect(await proves(systemd, Object.entries(inherited), manager)).toEqual(["CRLF", "CONTROL"]);
    await each(20, (pairs) => proves(systemd, pairs, manager));
  });

  it.runIf(existsSync(SYSTEMD_GENERATOR))("gives systemd's own parser the same, but for what it then expands", async () => {
    const open = Object.entries(hard).filter(([, text]) => text !== "" && !text.includes("$"));
    expect(await proves(systemd, open, readEnvironmentD)).toEqual(["CRLF", "CONTROL"]);
    await each(25, (pairs) =>
      proves(
        systemd,
        pairs.map(([key, text]) => [key, text.replaceAll("$", "S") || "x"] as const),
        readEnvironmentD,
      ),
    );
  });
});

describe("k8s", () => {
  it("is a ConfigMap and a Secret that hold every value", async () => {
    const read = async (text: string) => {
      const documents = parseAllDocuments(text).map(
        (document) => document.toJS() as { kind: string; data?: object; stringData?: object },
      );
      return Object.assign({}, ...documents.map(({ data, stringData }) => data ?? stringData)) as Record<string, string>;
    };
    expect(await proves(k8s, [...Object.entries(inherited), ["a.b", "x"]], read)).toEqual([]);
    const text = k8s.render([entry("OPEN", "1"), { ...entry("CLOSED", "2"), sensitive: true }]);
    expect(parseAllDocuments(text).map((document) => document.toJS())).toEqual([
      { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "env" }, data: { OPEN: "1" } },
      { apiVersion: "v1", kind: "Secret", metadata: { name: "env" }, stringData: { CLOSED: "2" } },
    ]);
    expect(() => k8s.render([entry("A", "x".repeat(1 << 20))])).toThrow(expect.objectContaining({ code: "ENV_UNREPRESENTABLE" }));
  });
});

describe("all formats", () => {
  it("refuse NUL and half characters by name, never with the value", () => {
    for (const format of FORMATS.filter(({ name }) => name !== "json" && name !== "yaml")) {
      for (const bad of ["secret\0value", "secret\ud800value"]) {
        let thrown: unknown;
        try {
          format.render([entry("GOOD", "x"), entry("BAD", bad)]);
        } catch (error) {
          thrown = error;
        }
        expect(thrown, format.name).toMatchObject({ code: "ENV_UNREPRESENTABLE", details: { name: "BAD", format: format.name } });
        expect(String(thrown)).not.toContain("secret");
      }
    }
  });

  it("can be empty, and are found by name, alias and file", () => {
    for (const format of FORMATS) expect(typeof format.render([])).toBe("string");
    expect(formatNamed("dotenv")).toBe(env);
    expect(formatNamed("pwsh")).toBe(powershell);
    expect(() => formatNamed("nope")).toThrow(expect.objectContaining({ code: "ENV_FORMAT_UNKNOWN" }));
    for (const [file, format] of [
      ["core.env", env],
      [".env", env],
      [".env.local", env],
      ["x.SH", sh],
      ["a/.envrc", direnv],
      ["x.yml", yaml],
      ["x.json", json],
      ["x", env],
    ] as const) {
      expect(formatForFile(file), file).toBe(format);
    }
    const plugin: EnvFormat = { name: "toml", extensions: ["toml"], render: () => "" };
    expect(formatNamed("toml", [plugin])).toBe(plugin);
    expect(formatForFile("x.toml", [plugin])).toBe(plugin);
  });
});
