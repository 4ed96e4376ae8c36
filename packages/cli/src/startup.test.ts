import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const bin = new URL("bin.ts", import.meta.url).pathname;
const node = ["--conditions=@shipside/source"];

/** Prints every module that was loaded, by asking a resolve hook. */
const loaded = (args: readonly string[]): string[] => {
  const hook = `import { registerHooks } from "node:module";
    registerHooks({ resolve(specifier, context, next) { const found = next(specifier, context); process.stderr.write("LOADED " + found.url + "\\n"); return found; } });`;
  const home = mkdtempSync(join(tmpdir(), "shipside-startup-"));
  try {
    const { stderr } = spawnSync(
      process.execPath,
      [...node, `--import=data:text/javascript,${encodeURIComponent(hook)}`, bin, ...args],
      {
        encoding: "utf8",
        env: { ...process.env, HOME: home, XDG_STATE_HOME: home, XDG_RUNTIME_DIR: home },
      },
    );
    return [...stderr.matchAll(/^LOADED (.*)$/gm)].map(([, url]) => url!);
  } finally {
    rmSync(home, { recursive: true });
  }
};

const heavy = /client-node|packages\/(testkit|kube|tunnel|hosts|envexport)\//;

test.each([["--version"], ["--help"], ["help teleport"], ["teleport --help"]])(
  "%s loads no parser and nothing of a session",
  (line) => {
    const urls = loaded(line.split(" "));
    expect(urls.length).toBeGreaterThan(3);
    expect(urls.filter((url) => heavy.test(url) || url.includes("/yargs"))).toEqual([]);
  },
);

test.each([["session list"], ["status"], ["session clean"], ["__complete te"]])(
  "%s talks to the daemon without what makes sessions",
  (line) => {
    const urls = loaded(line.split(" "));
    expect(urls.filter((url) => url.includes("daemon/src/client.ts"))).not.toEqual([]);
    expect(urls.filter((url) => heavy.test(url))).toEqual([]);
  },
);
