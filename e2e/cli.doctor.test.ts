import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describeRight, type RoleObject, type Rule, rightsOf } from "@shipside/daemon/rbac";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { newUser, type User } from "./cli.harness.ts";

const NAMESPACE = "shop";
const RBAC = "rbac.authorization.k8s.io";
let cluster: EmbeddedCluster;
let user: User;

beforeAll(async () => {
  cluster = await startCluster({ name: "doctor", node: false, controllers: false });
  await cluster.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "leaf", namespace: NAMESPACE },
      spec: { selector: { app: "leaf" }, ports: [{ port: 43_171 }] },
    },
  ]);
});
afterAll(() => cluster.close());
beforeEach(async () => {
  user = await newUser();
});
afterEach(async () => {
  expect((await user.left()).filter((file) => !file.endsWith(".zip"))).toEqual([]);
  await user[Symbol.asyncDispose]();
});

async function kubeconfig(text: string): Promise<string> {
  const path = join(user.home, "kubeconfig");
  await writeFile(path, text);
  await chmod(path, 0o644);
  return path;
}

describe("doctor", () => {
  test("without a kubeconfig: a problem, exit code 12, one JSON document", async () => {
    const { code, stdout } = await user.run(["doctor", "--json"]);
    expect(code).toBe(12);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ doctor: 1, worst: "problem" });
    expect(report.lines[0]).toMatchObject({ check: "kubeconfig", level: "problem", details: { code: "KUBE_NO_CONFIG" } });
  });

  test("in a pipe: words, no colours, no symbols; quiet says only what isn't well", async () => {
    const path = await kubeconfig(cluster.kubeconfig());
    const { stdout, stderr } = await user.run(["doctor", "-k", path, "-n", NAMESPACE]);
    expect(stdout).toMatch(/^ok {6}kubeconfig +context doctor, namespace shop, from .*kubeconfig$/m);
    expect(stdout).toMatch(/^ok {6}rights +may run teleport namespace, teleport, env/m);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters.
    expect(stdout).not.toMatch(/[✓✗]|\x1b/);
    expect(stderr).toMatch(/^\d+ warning|^\d+ problem|^all is well/m);
    const quiet = await user.run(["doctor", "-q", "-k", path, "-n", NAMESPACE]);
    expect(quiet.stdout).not.toMatch(/^ok/m);
    const worst = /^problem/m.test(quiet.stdout) ? 12 : /^warning/m.test(quiet.stdout) ? 11 : 0;
    expect(quiet.code).toBe(worst);
  });

  test("--bundle writes an archive that only its owner reads", async () => {
    const path = join(user.home, "tmp", "out.zip");
    const { stdout, stderr } = await user.run(["doctor", "--bundle", path, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ doctor: 1, bundle: path });
    expect(stderr).toContain("look into it before you hand it on");
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readFile(path)).subarray(0, 2).toString()).toBe("PK");
  });

  test("a file without --bundle is a mistake", async () => {
    expect((await user.run(["doctor", "out.zip"])).code).toBe(2);
  });
});

describe("--print-rbac", () => {
  const teleport = ["teleport", "namespace", NAMESPACE];

  test("prints YAML on stdout and asks no cluster", async () => {
    const path = await kubeconfig(cluster.kubeconfig().replace(/server: .*/, "server: https://127.0.0.1:1"));
    const { code, stdout, stderr } = await user.run([...teleport, "-k", path, "--print-rbac", "--", "echo", "a-password"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^# What this needs: shipside teleport namespace shop -k /);
    expect(stdout).not.toContain("a-password");
    expect(parseAllDocuments(stdout).map((each) => each.toJSON().kind)).toEqual(["Role"]);
  });

  test("what it prints is enough; without one of its rules the command names that rule and points here", async () => {
    const path = await kubeconfig(cluster.addUser({ name: "shopper" }));
    const { stdout } = await user.run([...teleport, "--print-rbac"]);
    const [role] = parseAllDocuments(stdout).map((each) => each.toJSON());
    const bind = {
      apiVersion: `${RBAC}/v1`,
      kind: "RoleBinding",
      metadata: role.metadata,
      roleRef: { apiGroup: RBAC, kind: "Role", name: role.metadata.name },
      subjects: [{ kind: "User", name: "shopper", apiGroup: RBAC }],
    };
    await cluster.apply([role, bind]);
    const run = () => user.run([...teleport, "-k", path, "--", process.execPath, "-e", ""]);
    const well = await run();
    expect(well.code, well.stderr).toBe(0);
    expect(well.stderr).not.toMatch(/rule|print-rbac/);

    const without = (resource: string) => ({
      ...role,
      rules: role.rules.filter((rule: { resources: string[] }) => rule.resources[0] !== resource),
    });
    await cluster.apply([without("services")]);
    const refused = await run();
    expect(refused.code).toBe(5);
    expect(refused.stderr).toMatch(
      /error\[KUBE_FORBIDDEN\].*list services.*\nhint: ask for this rule in a Role in namespace shop:[\s\S]*--print-rbac/,
    );

    await cluster.apply([without("pods/portforward")]);
    const warned = await run();
    expect(warned.code).toBe(0);
    expect(warned.stderr).toMatch(
      /! this user may not create pods\/portforward in namespace shop[\s\S]*resources: \["pods\/portforward"\][\s\S]*--print-rbac/,
    );
  });

  test.each([
    ["up", ["shop", "other"], "create services"],
    ["env diff deployment/core --other-namespace other", ["shop", "other"], "get deployments.apps"],
    ["clean", ["shop"], "delete deployments.apps"],
    ["doctor", ["shop"], "list pods"],
    ["intercept core --path /mine", ["shop"], "create deployments.apps"],
    ["expose hook --port 80", ["shop"], "create deployments.apps"],
  ])("%s: a Role for each namespace", async (words, namespaces, right) => {
    const file = join(user.home, "shipside.yaml");
    const sessions = "teleports: [{ namespace: shop }]\nexposes: [{ namespace: other, service: hook, ports: ['80:9'] }]\n";
    await writeFile(file, sessions, { mode: 0o644 });
    const where = words === "up" ? ["-f", file] : ["-n", NAMESPACE];
    const { code, stdout, stderr } = await user.run([...words.split(" "), ...where, "--print-rbac", "--json"]);
    expect(code, stderr).toBe(0);
    const { needs } = JSON.parse(stdout) as { needs: Array<{ roles: RoleObject[]; rules: Rule[] }> };
    const roles = needs.flatMap(({ roles }) => roles.map(({ metadata }) => metadata.namespace));
    expect(roles).toEqual(expect.arrayContaining(namespaces));
    const rights = needs.flatMap(({ rules }) => rightsOf(rules)).map(describeRight);
    expect(rights.some((each) => each.startsWith(right))).toBe(true);
  });

  test("a command that asks no cluster needs nothing", async () => {
    expect((await user.run(["session", "--print-rbac"])).stdout).toContain("# no right in a cluster");
  });
});
