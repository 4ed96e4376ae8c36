import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type ExecRequest, runExecPlugin } from "./exec-credential.ts";
import { eventually } from "./fixtures/eventually.ts";
import { tempDir } from "./fixtures/fake-api.ts";
import { writePlugin } from "./fixtures/plugin.ts";
import type { ExecConfig } from "./kubeconfig.ts";

const V1 = "client.authentication.k8s.io/v1";
const cluster = { server: "https://c.example", "tls-server-name": "n" };
const request = (exec: Partial<ExecConfig> & { command: string }, more: Partial<ExecRequest> = {}): ExecRequest => ({
  exec: { apiVersion: V1, interactiveMode: "Never", ...exec },
  cluster,
  timeoutMs: 10_000,
  ...more,
});
const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe("a credential plugin", () => {
  test("gets its arguments, environment and the cluster's facts, and gives a token", async () => {
    await using dir = await tempDir();
    const { command, log } = await writePlugin(
      dir,
      `log(process.argv.slice(2).join(" ") + " " + process.env.EXTRA + " " + process.env.KUBERNETES_EXEC_INFO); answer({ token: "t", expirationTimestamp: "2030-01-01T00:00:00Z" });`,
    );
    const credential = await runExecPlugin(
      request(
        { command, args: ["get", "token"], env: [{ name: "EXTRA", value: "yes" }], provideClusterInfo: true },
        {
          cluster: { ...cluster, extensions: [{ name: "client.authentication.k8s.io/exec", extension: { audience: "a" } }] },
          caData: "PEM",
        },
      ),
    );
    expect(credential).toEqual({ token: "t", expirationTimestamp: "2030-01-01T00:00:00Z" });
    const said = await readFile(log, "utf8");
    expect(said).toMatch(/^get token yes /);
    expect(JSON.parse(said.slice("get token yes ".length))).toEqual({
      apiVersion: V1,
      kind: "ExecCredential",
      spec: {
        interactive: false,
        cluster: {
          server: "https://c.example",
          "tls-server-name": "n",
          "certificate-authority-data": Buffer.from("PEM").toString("base64"),
          config: { audience: "a" },
        },
      },
    });
  });

  test("that fails: its exit code and the end of what it said, and never what it printed as its answer", async () => {
    await using dir = await tempDir();
    const { command } = await writePlugin(
      dir,
      `process.stdout.write("s3cret"); process.stderr.write("x".repeat(5000) + "\\nplease run: cloud login\\n", () => process.exit(3));`,
    );
    const failure = (await runExecPlugin(request({ command, installHint: "see example.com" })).catch(
      (error: unknown) => error,
    )) as Error;
    expect(failure).toMatchObject({ code: "KUBE_AUTH_PLUGIN_FAILED", hint: "see example.com", details: { exitCode: 3 } });
    expect(failure.message).toContain("please run: cloud login");
    expect(failure.message.length).toBeLessThan(2400);
    expect(failure.message).not.toContain("s3cret");
  });

  test("that isn't there, answers nonsense, another version, or nothing of use", async () => {
    await using dir = await tempDir();
    const failing = async (script: string, why: RegExp): Promise<void> => {
      const { command } = await writePlugin(dir, script);
      await expect(runExecPlugin(request({ command }))).rejects.toMatchObject({
        code: "KUBE_AUTH_PLUGIN_FAILED",
        message: expect.stringMatching(why),
      });
    };
    await expect(runExecPlugin(request({ command: "shipside-no-such-plugin", installHint: "install it" }))).rejects.toMatchObject({
      code: "KUBE_AUTH_PLUGIN_FAILED",
      message: expect.stringContaining("not in PATH"),
      hint: "install it",
    });
    await failing(`console.log("Opening browser")`, /not JSON/);
    await failing(`console.log('{"kind":"Other"}')`, /no object of kind ExecCredential/);
    await failing(
      `answer({ token: "t" }, "client.authentication.k8s.io/v1beta1")`,
      /answered in client.authentication.k8s.io\/v1beta1/,
    );
    await failing(`answer({ clientCertificateData: "only half" })`, /neither a token nor/);
    await expect(
      runExecPlugin(request({ command: "x", apiVersion: "client.authentication.k8s.io/v1alpha1" })),
    ).rejects.toMatchObject({
      code: "KUBE_AUTH_PLUGIN_FAILED",
    });
    await expect(runExecPlugin(request({ command: "x", interactiveMode: "Always" }))).rejects.toMatchObject({
      message: expect.stringContaining("terminal"),
    });
  });

  test("that hangs is killed with its children; the event loop is never held", async () => {
    await using dir = await tempDir();
    const { command, log } = await writePlugin(
      dir,
      `const child = require("node:child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" });
       log(process.pid + " " + child.pid); console.error("waiting for the browser"); setInterval(() => {}, 1000);`,
    );
    let ticks = 0;
    const ticker = setInterval(() => ticks++, 10);
    const failure = await runExecPlugin(request({ command }, { timeoutMs: 1_500 })).catch((error: unknown) => error);
    clearInterval(ticker);
    expect(failure).toMatchObject({
      code: "KUBE_AUTH_PLUGIN_TIMEOUT",
      details: { timeoutMs: 1_500, stderr: "waiting for the browser\n" },
    });
    expect(ticks).toBeGreaterThan(30);
    const pids = (await readFile(log, "utf8")).trim().split(" ").map(Number);
    expect(pids).toHaveLength(2);
    await eventually(() => expect(pids.map(alive)).toEqual([false, false]));
  });

  test("that leaves an agent behind on its output is not waited for", async () => {
    await using dir = await tempDir();
    const { command, log } = await writePlugin(
      dir,
      `const child = require("node:child_process").spawn("sleep", ["60"], { stdio: "inherit" }); log(String(child.pid)); answer({ token: "t" }); process.exit(0);`,
    );
    expect(await runExecPlugin(request({ command }))).toEqual({ token: "t" });
    process.kill(Number(await readFile(log, "utf8")), "SIGKILL");
  });

  test("an abort ends it", async () => {
    await using dir = await tempDir();
    const { command } = await writePlugin(dir, `setInterval(() => {}, 1000)`);
    const abort = new AbortController();
    const running = runExecPlugin(request({ command }, { signal: abort.signal }));
    await sleep(50);
    abort.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
  });
});
