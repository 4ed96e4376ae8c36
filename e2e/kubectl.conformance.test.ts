import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { appendFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Kubectl, kubectls } from "./kubectl/binaries.ts";
import { fits, runStep, type Setting } from "./kubectl/run-step.ts";
import { SCRIPT } from "./kubectl/script.ts";

const run = promisify(execFile);
/** A directory for what each kubectl printed, normalised: that of two clusters can be compared. */
const RECORD = process.env["SHIPSIDE_KUBECTL_RECORD"];
const all = await kubectls();
const { missing } = all;
/** Every run has the oldest and the newest; a record, and a long run, those between them too. */
const found = RECORD || process.env["SHIPSIDE_SOAK"] === "1" ? all.found : oldestAndNewest(all.found);

function oldestAndNewest(kubectls: readonly Kubectl[]): Kubectl[] {
  const sorted = kubectls.toSorted((a, b) => a.minor - b.minor);
  return [...new Set([...sorted.slice(0, 1), ...sorted.slice(-1)])];
}

test("there are kubectls of at least two versions", () => {
  expect(found.length, `could not be had: ${missing.join("; ")}`).toBeGreaterThanOrEqual(2);
});

describe.each(found)("kubectl $version", (kubectl: Kubectl) => {
  let cluster: EmbeddedCluster | undefined;
  const setting: Setting = {
    kubectl: kubectl.path,
    kubeconfig: process.env["SHIPSIDE_E2E_KUBECONFIG"] ?? "",
    namespace: `conformance-${randomBytes(3).toString("hex")}`,
    home: "",
    node: "",
  };
  const kubectlRun = (...args: string[]): Promise<{ stdout: string }> =>
    run(kubectl.path, args, { env: { ...process.env, KUBECONFIG: setting.kubeconfig, HOME: setting.home } });

  beforeAll(async () => {
    if (RECORD) await mkdir(RECORD, { recursive: true });
    setting.home = await mkdtemp(join(tmpdir(), "shipside-kubectl-"));
    if (!setting.kubeconfig) {
      cluster = await startCluster();
      setting.kubeconfig = cluster.kubeconfigPath;
    }
    await kubectlRun("create", "namespace", setting.namespace);
    setting.node = (await kubectlRun("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")).stdout;
  });

  afterAll(async () => {
    try {
      if (setting.kubeconfig) await kubectlRun("delete", "namespace", setting.namespace, "--wait=false");
    } finally {
      await cluster?.close();
      if (setting.home) await rm(setting.home, { recursive: true, force: true });
    }
  });

  test.each(SCRIPT.filter(({ since = 0 }) => kubectl.minor >= since))("$name", { timeout: 60_000 }, async (step) => {
    let { args } = step;
    if (args.some((arg) => arg.includes("{pod}"))) {
      const { stdout } = await kubectlRun("get", "pods", "-n", setting.namespace, "-o", "jsonpath={.items[0].metadata.name}");
      args = args.map((arg) => arg.replaceAll("{pod}", stdout));
    }
    const outcome = await runStep({ ...step, args }, setting);
    if (RECORD) await appendFile(join(RECORD, `kubectl-${kubectl.version}.txt`), `# ${step.name}\n${outcome.output}\n\n`);
    expect
      .soft(fits(step, outcome), `${step.args.join(" ")}\nexit ${outcome.exit}\n${outcome.output}\n${outcome.answer ?? ""}`)
      .toBe(true);
  });
});
