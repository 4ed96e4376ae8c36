import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EnvFormatContractOptions, envFormatContract } from "@shipside/testkit";
import { parse as parseDotenv } from "dotenv";
import { afterAll, describe, expect, it } from "vitest";
import { parseAllDocuments, parse as parseYaml } from "yaml";
import { createPrograms, has } from "./fixtures/programs.ts";
import { readCompose, readDocker, readPowershell, readSystemd } from "./fixtures/readers.ts";
import { systemdManager } from "./fixtures/systemd-manager.ts";
import { FORMATS, formatNamed } from "./registry.ts";

const dir = mkdtempSync(join(tmpdir(), "shipside-contract-"));
afterAll(() => rmSync(dir, { recursive: true }));
const { shell, direnv } = createPrograms(dir);
const manager = systemdManager(dir);
const SYSTEMD_REFUSES = ["carriage returns", "carriage return at the end", "control characters"] as const;

type Reading = Pick<EnvFormatContractOptions, "read" | "refuses" | "maxBytes">;
/** What a program must inherit is less than 128 KiB. */
const INHERITED = 100_000;
const sourced = (program: string, ...args: string[]): Reading => ({ read: shell(program, ...args), maxBytes: INHERITED });

/** One reader or more a format: the real one where it can be had here, else its rules. */
const READINGS: Record<string, Record<string, Reading | undefined>> = {
  sh: Object.fromEntries(
    ["bash", "dash", "zsh"].map((name) => [name, has(name) ? sourced(name, "-c", '. "$0"; env -0') : undefined]),
  ),
  env: { dotenv: { read: async (text) => parseDotenv(text), refuses: ["all quotes"] } },
  json: { "JSON.parse": { read: async (text) => JSON.parse(text) } },
  yaml: {
    "yaml 1.2": { read: async (text) => parseYaml(text) },
    "yaml 1.1": { read: async (text) => parseYaml(text, { version: "1.1" }) },
  },
  docker: {
    "its rules": {
      read: async (text) => readDocker(text),
      refuses: [
        ...(["several lines", "line end at the end", "only a line end", "carriage returns", "carriage return at the end"] as const),
        ...(["quoted as a whole", "another assignment", "key"] as const),
      ],
    },
  },
  compose: { "its rules": { read: async (text) => readCompose(text) } },
  fish: { fish: has("fish") ? sourced("fish", "--no-config", "-c", "source $argv[1]; env -0") : undefined },
  powershell: { "its rules": { read: async (text) => readPowershell(text), refuses: ["empty"] } },
  direnv: { direnv: has("direnv") ? { read: direnv, maxBytes: INHERITED } : undefined },
  systemd: {
    "its rules": { read: async (text) => readSystemd(text), refuses: SYSTEMD_REFUSES },
    "the manager": manager && { read: manager, refuses: SYSTEMD_REFUSES, maxBytes: INHERITED },
  },
  k8s: {
    "a YAML parser": {
      async read(text) {
        const parts = parseAllDocuments(text).map((document) => document.toJS() as { data?: object; stringData?: object } | null);
        return Object.fromEntries(parts.flatMap((part) => Object.entries(part?.data ?? part?.stringData ?? {})));
      },
      maxBytes: 1 << 19,
    },
  },
};

for (const [name, readings] of Object.entries(READINGS)) {
  for (const [reader, reading] of Object.entries(readings)) {
    if (!reading) continue;
    describe(`${name}, read by ${reader}`, () => {
      for (const each of envFormatContract({ format: formatNamed(name), ...reading })) it(each.name, each.run, 60_000);
    });
  }
}

it("is kept by all formats", () => expect(Object.keys(READINGS)).toEqual(FORMATS.map(({ name }) => name)));
