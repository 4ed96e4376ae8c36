import { execFileSync, spawnSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { COMMANDS } from "./cli.ts";
import { completionsFor, type Suggestions, type Where } from "./complete.ts";

const asked: Where[] = [];
const suggest: Suggestions = {
  contexts: async () => ["dev", "prod"],
  namespaces: async () => ["sample", "shop"],
  workloads: async (where) => {
    asked.push(where);
    return ["deployment/core", "statefulset/database"];
  },
  services: async () => ["service/core", "service/web"],
  profiles: async () => ["core", "shop"],
  sessions: async () => [{ text: "a1b2c3", describe: "deployment/core" }],
};

test.each([
  ["", COMMANDS.map(({ name }) => name)],
  ["te", ["teleport"]],
  ["help e", ["env", "expose"]],
  ["teleport ", ["namespace", "deployment/core", "statefulset/database"]],
  ["teleport d", ["deployment/core"]],
  ["teleport namespace ", ["sample", "shop"]],
  ["teleport core -n s", ["sample", "shop"]],
  ["teleport --context ", ["dev", "prod"]],
  ["teleport --fo", ["--format", "--foreground"]],
  ["teleport core -m j", ["json"]],
  ["env d", ["diff", "deployment/core"]],
  ["env diff ", ["deployment/core", "statefulset/database"]],
  ["env diff core --workload s", ["statefulset/database"]],
  ["env diff core --other-namespace ", ["sample", "shop"]],
  ["env core --from ", ["spec", "running"]],
  ["session ", ["list", "close", "clean"]],
  ["session close ", ["a1b2c3"]],
  ["intercept ", ["service/core", "service/web"]],
  ["intercept service/w", ["service/web"]],
  ["expose mine --workload s", ["statefulset/database"]],
  ["up --profile ", ["core", "shop"]],
  ["down --profile s", ["shop"]],
  ["hosts ", ["diff", "restore"]],
  ["completion ", ["bash", "zsh", "fish"]],
  ["nonsense ", []],
])("%j offers %j", async (line, expected) => {
  const { candidates, file } = await completionsFor(line.split(" "), suggest);
  expect(candidates.map(({ text }) => text)).toEqual(expected);
  expect(file).toBe(false);
});

test.each(["teleport core -f ", "teleport -k ", "env deploy/core ", "env diff core --with ", "teleport core -- np"])(
  "%j leaves it to the shell's files",
  async (line) => {
    expect(await completionsFor(line.split(" "), suggest)).toEqual({ candidates: [], file: true });
  },
);

test("what was named before is where is looked", async () => {
  asked.length = 0;
  await completionsFor(["teleport", "-k", "/k", "--context", "dev", "-n", "shop", "-q", ""], suggest);
  expect(asked).toEqual([{ kubeconfig: "/k", context: "dev", namespace: "shop" }]);
});

const shells = ["bash", "zsh", "fish"].filter((shell) => spawnSync(shell, ["-c", "true"]).status === 0);

test.each(shells)("%s takes its script", async (shell) => {
  const dir = await mkdtemp(join(tmpdir(), "shipside-completion-"));
  try {
    const bin = new URL("bin.ts", import.meta.url).pathname;
    const program = join(dir, "shipside");
    await writeFile(program, `#!/bin/sh\nexec ${process.execPath} --conditions=@shipside/source ${bin} "$@"\n`);
    await chmod(program, 0o755);
    const env = { ...process.env, PATH: `${dir}:${process.env["PATH"]}` };
    const script = execFileSync(program, ["completion", shell], { encoding: "utf8", env });
    await writeFile(join(dir, "script"), script);
    const asks: Record<string, string> = {
      bash: `. ${dir}/script; COMP_WORDS=(shipside te); COMP_CWORD=1; _shipside; echo "\${COMPREPLY[@]}"`,
      zsh: `autoload -U compinit; compinit -D; . ${dir}/script; echo ok`,
      fish: `source ${dir}/script; complete -C "shipside te"`,
    };
    const said = execFileSync(shell, ["-c", asks[shell]!], { encoding: "utf8", env });
    expect(said).toMatch(shell === "zsh" ? /ok/ : /^teleport/);
  } finally {
    await rm(dir, { recursive: true });
  }
});

test("a name that a shell would take for more than a word is not offered", async () => {
  const names = [
    "dev",
    "arn:aws:eks:eu-west-1:1:cluster/x",
    "me@host",
    "a;reboot",
    "$(reboot)",
    "`reboot`",
    "a b",
    "a\tb",
    "x\ny",
    "\x1b[2J",
    "~",
    "-rf",
  ];
  const { candidates } = await completionsFor(["teleport", "--context", ""], { ...suggest, contexts: async () => names });
  expect(candidates.map(({ text }) => text)).toEqual(["dev", "arn:aws:eks:eu-west-1:1:cluster/x", "me@host"]);
});
