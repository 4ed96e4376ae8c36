import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { connectCluster } from "./client.ts";
import { kubeconfigText, type TempDir, tempDir } from "./fixtures/fake-api.ts";
import { listContexts, resolveContext } from "./kubeconfig.ts";

let dir: TempDir;
beforeEach(async () => {
  dir = await tempDir();
  vi.stubEnv("HOME", dir.path);
  vi.stubEnv("KUBECONFIG", undefined);
  vi.stubEnv("KUBERNETES_SERVICE_HOST", undefined);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await dir[Symbol.asyncDispose]();
});

const yaml = (name: string, current = ""): string => `
apiVersion: v1
kind: Config
${current && `current-context: ${current}`}
clusters:
- name: ${name}-cluster
  cluster: { server: "https://${name}.example:6443", certificate-authority: certs/ca.pem }
users:
- name: ${name}-user
  user:
    tokenFile: token
    exec: { apiVersion: client.authentication.k8s.io/v1, command: bin/login }
contexts:
- name: ${name}
  context: { cluster: ${name}-cluster, user: ${name}-user }
`;

describe("finding and merging", () => {
  test("no ~/.kube and no KUBECONFIG is an error that says where it looked", async () => {
    await expect(connectCluster()).rejects.toMatchObject({
      code: "KUBE_NO_CONFIG",
      message: `no kubeconfig: ${join(dir.path, ".kube", "config")} does not exist`,
    });
    await expect(listContexts()).rejects.toMatchObject({ code: "KUBE_NO_CONFIG" });
    await expect(connectCluster({ kubeconfig: "/nowhere/config" })).rejects.toMatchObject({ code: "KUBE_NO_CONFIG" });
  });

  test("a file without contexts is told from no file", async () => {
    const kubeconfig = await dir.write("empty", "");
    await expect(connectCluster({ kubeconfig })).rejects.toMatchObject({
      code: "KUBE_NO_CONFIG",
      message: `${kubeconfig} names no context`,
    });
  });

  test("several files of KUBECONFIG: the first to say something wins, missing ones are passed over, paths are the file's own", async () => {
    const one = await dir.write("one", yaml("one"));
    const two = await dir.write("two", `${yaml("two", "two")}\n`);
    const three = await dir.write("three", yaml("two", "one").replaceAll("two.example", "other.example"));
    vi.stubEnv("KUBECONFIG", [one, join(dir.path, "missing"), two, three, ""].join(delimiter));
    expect(await listContexts()).toEqual([
      { name: "one", cluster: "one-cluster", user: "one-user", namespace: "default", current: false },
      { name: "two", cluster: "two-cluster", user: "two-user", namespace: "default", current: true },
    ]);
    const resolved = await resolveContext({});
    expect(resolved.info).toEqual({
      context: "two",
      cluster: "two-cluster",
      user: "two-user",
      server: "https://two.example:6443",
      namespace: "default",
    });
    expect(resolved.cluster["certificate-authority"]).toBe(join(dir.path, "certs/ca.pem"));
    expect(resolved.user.tokenFile).toBe(join(dir.path, "token"));
    expect(resolved.user.exec?.command).toBe(join(dir.path, "bin/login"));
  });

  test("an explicit file wins over KUBECONFIG; context and namespace over the file's", async () => {
    vi.stubEnv("KUBECONFIG", await dir.write("env", yaml("env", "env")));
    const kubeconfig = await dir.write("given", yaml("a", "a"));
    const { info } = await resolveContext({ kubeconfig, namespace: "shop" });
    expect(info).toMatchObject({ context: "a", namespace: "shop" });
    expect((await resolveContext({ context: "env" })).info.context).toBe("env");
  });
});

describe("what is wrong with a file", () => {
  const invalid = async (text: string, why: RegExp, options: object = {}): Promise<void> => {
    const kubeconfig = await dir.write("config", text);
    const failure = await connectCluster({ kubeconfig, ...options }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "KUBE_CONFIG_INVALID", message: expect.stringMatching(why) });
    expect((failure as Error).message).toContain(kubeconfig);
  };

  test("not YAML, not a mapping, not lists: said with the file, without what it holds", async () => {
    await invalid("contexts: [\n  s3cret-token: {", /is not YAML/);
    await invalid("- a", /is not a mapping/);
    await invalid("contexts: 3", /`contexts` is not a list/);
    await invalid("clusters: [{ cluster: {} }]", /clusters\[0\] has no name/);
    const kubeconfig = await dir.write("secret", 'users: [{name: u, user: {token: "s3cret');
    await expect(connectCluster({ kubeconfig })).rejects.toMatchObject({ message: expect.not.stringContaining("s3cret") });
  });

  test("references that lead nowhere, and servers that are none", async () => {
    await invalid(yaml("a", "a").replace("cluster: a-cluster, user", "cluster: x, user"), /cluster "x" is not defined/);
    await invalid(yaml("a", "a").replace("user: a-user", "user: x"), /user "x" is not defined/);
    await invalid(yaml("a", "a").replace("https://a.example:6443", "ftp://a"), /is not an http or https URL/);
    await invalid(yaml("a", "a").replace('server: "https://a.example:6443", ', ""), /has no server/);
  });

  test("a directory in place of the file", async () => {
    await expect(connectCluster({ kubeconfig: dir.path })).rejects.toMatchObject({ code: "KUBE_CONFIG_INVALID" });
  });

  test("files that the user names but that aren't there, and certificates that are none", async () => {
    const missing = await dir.write(
      "missing",
      kubeconfigText({ server: "https://127.0.0.1:1", cluster: { "certificate-authority": "no.pem" } }),
    );
    await using one = await connectCluster({ kubeconfig: missing });
    await expect(one.version()).rejects.toMatchObject({ code: "KUBE_CONFIG_INVALID", details: { file: join(dir.path, "no.pem") } });
    const user = { "client-certificate-data": Buffer.from("nonsense").toString("base64"), "client-key-data": "bm9uc2Vuc2U=" };
    const broken = await dir.write("broken", kubeconfigText({ server: "https://127.0.0.1:1", user }));
    await using two = await connectCluster({ kubeconfig: broken });
    await expect(two.version()).rejects.toMatchObject({ code: "KUBE_CONFIG_INVALID", hint: expect.stringContaining("PEM") });
  });
});

test("an unknown context: near misses, else what there is; none chosen", async () => {
  const kubeconfig = await dir.write("config", yaml("production"));
  await expect(connectCluster({ kubeconfig, context: "prodction" })).rejects.toMatchObject({
    code: "KUBE_CONTEXT_UNKNOWN",
    hint: "did you mean production?",
  });
  await expect(connectCluster({ kubeconfig, context: "x" })).rejects.toMatchObject({ hint: "there is: production" });
  await expect(connectCluster({ kubeconfig })).rejects.toMatchObject({
    code: "KUBE_CONTEXT_UNKNOWN",
    message: expect.stringContaining("current-context"),
  });
});

test("options are checked on entry", async () => {
  await expect(connectCluster({ namespace: "No_Good" })).rejects.toMatchObject({ code: "KUBE_OPTION_INVALID" });
  await expect(connectCluster({ requestTimeoutMs: 0 })).rejects.toMatchObject({ code: "KUBE_OPTION_INVALID" });
  await expect(connectCluster({ watchInactivityMs: Number.NaN })).rejects.toMatchObject({ code: "KUBE_OPTION_INVALID" });
});
