import { access, chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mayI } from "./access.ts";
import { readAccessFacts, withoutPassword } from "./access-facts.ts";
import { connectCluster } from "./client.ts";
import { probeServer } from "./server-probe.ts";

let embedded: EmbeddedCluster;
let dir: string;

beforeAll(async () => {
  embedded = await startCluster({ node: false, controllers: false });
  dir = await mkdtemp(join(tmpdir(), "shipside-access-"));
});
afterAll(async () => {
  await embedded.close();
  await rm(dir, { recursive: true });
});

async function file(name: string, text: string): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

const kubeconfig = (user: object, cluster: object = {}): string =>
  JSON.stringify({
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster: { server: "http://127.0.0.1:1", ...cluster } }],
    users: [{ name: "u", user }],
  });

const jwt = (claims: object): string => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;

describe("mayI", () => {
  test("tells what a Role grants, by name and subresource, and what it doesn't", async () => {
    const path = await file("reviewer", embedded.addUser({ name: "reviewer" }));
    await embedded.apply([
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "Role",
        metadata: { name: "some", namespace: "default" },
        rules: [
          { apiGroups: [""], resources: ["pods/portforward"], verbs: ["create"] },
          { apiGroups: ["apps"], resources: ["deployments"], resourceNames: ["core"], verbs: ["get"] },
        ],
      },
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "RoleBinding",
        metadata: { name: "some", namespace: "default" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "some" },
        subjects: [{ kind: "User", name: "reviewer", apiGroup: "rbac.authorization.k8s.io" }],
      },
    ]);
    await using cluster = await connectCluster({ kubeconfig: path });
    const pods = { group: "", resource: "pods/portforward", namespace: "default" };
    const core = { group: "apps", resource: "deployments", namespace: "default", verb: "get" };
    const asked = [
      { ...pods, verb: "create" },
      { ...pods, verb: "get" },
      { ...pods, verb: "create", namespace: "kube-system" },
      { ...core, name: "core" },
      { ...core, name: "other" },
      { verb: "list", group: "", resource: "nodes" },
    ];
    const answers = await Promise.all(asked.map((wish) => mayI(cluster, wish)));
    expect(answers.map(({ allowed }) => allowed)).toEqual([true, false, false, true, false, false]);
  });
});

describe("readAccessFacts", () => {
  test("a client certificate, its subject and when it ends", async () => {
    const notAfter = new Date(Math.floor(Date.now() / 1000) * 1000 + 3_600_000);
    const path = await file("cert", embedded.addUser({ name: "with-cert", notAfter }));
    expect(await readAccessFacts({ kubeconfig: path })).toMatchObject({
      sources: [path],
      auth: [{ kind: "client-certificate", subject: expect.stringContaining("CN=with-cert"), notAfter }],
    });
  });

  test("a JWT that ends, a token that says nothing, a token file that isn't there", async () => {
    const ending = await file("jwt", kubeconfig({ token: jwt({ exp: 1_700_000_000 }) }));
    expect((await readAccessFacts({ kubeconfig: ending })).auth).toEqual([{ kind: "token", expires: new Date(1_700_000_000_000) }]);
    const opaque = await file("opaque", kubeconfig({ token: "0123456789" }));
    expect((await readAccessFacts({ kubeconfig: opaque })).auth).toEqual([{ kind: "token" }]);
    const gone = await file("gone", kubeconfig({ tokenFile: "nowhere" }));
    expect((await readAccessFacts({ kubeconfig: gone })).auth).toEqual([
      { kind: "broken", what: expect.stringMatching(/token file.*ENOENT/) },
    ]);
  });

  test("a credential plugin is looked for in PATH and beside the kubeconfig, and not run", async () => {
    const plugin = await file("get-token", "#!/bin/sh\ntouch ran\n");
    await chmod(plugin, 0o755);
    const named = await file("named", kubeconfig({ exec: { command: "get-token" } }));
    expect((await readAccessFacts({ kubeconfig: named }, { PATH: `/nonexistent:${dir}` })).auth).toEqual([
      { kind: "plugin", command: "get-token", path: plugin },
    ]);
    expect((await readAccessFacts({ kubeconfig: named }, { PATH: "/nonexistent" })).auth).toEqual([
      { kind: "plugin", command: "get-token", path: undefined },
    ]);
  });

  test("proxies are told without their password", async () => {
    const ofFile = await file("proxied", kubeconfig({}, { "proxy-url": "http://me:hunter2@proxy:3128" }));
    expect((await readAccessFacts({ kubeconfig: ofFile }, {})).proxy).toEqual({ url: "http://***@proxy:3128", from: "kubeconfig" });
    const remote = await file("remote", kubeconfig({}, { server: "https://api.example.com" }));
    const env = { HTTPS_PROXY: "http://other:3128" };
    expect((await readAccessFacts({ kubeconfig: remote }, env)).proxy).toEqual({ url: "http://other:3128", from: "environment" });
  });

  test.each([
    ["https://api:6443", "https://api:6443"],
    ["https://u:p@api:6443/path?token=x", "https://***@api:6443/path"],
    ["api:6443", "api:6443"],
  ])("withoutPassword(%j) is %j", (url, shown) => {
    expect(withoutPassword(url)).toBe(shown);
  });
});

describe("probeServer", () => {
  test("an API server that refuses nobody's question has answered", async () => {
    const path = await file("admin", embedded.kubeconfig());
    const { status, date, answeredMs } = await probeServer({ kubeconfig: path });
    expect(status).toBe(401);
    expect(Math.abs(date!.getTime() - Date.now())).toBeLessThan(10_000);
    expect(answeredMs).toBeGreaterThanOrEqual(0);
  });

  test("tells the server's clock, not ours, and runs no plugin", async () => {
    const server = createServer((_asked, answer) => {
      answer.sendDate = false;
      answer.writeHead(403, { Date: "Tue, 15 Nov 1994 08:12:31 GMT" }).end("{}");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const path = await file("clock", kubeconfig({ exec: { command: "/nonexistent/plugin" } }, { server: url }));
    expect((await probeServer({ kubeconfig: path })).date).toEqual(new Date("1994-11-15T08:12:31Z"));
    server.close();
  });

  test("nobody there", async () => {
    const path = await file("dead", kubeconfig({}));
    await expect(probeServer({ kubeconfig: path })).rejects.toMatchObject({ code: "KUBE_UNREACHABLE" });
  });
});

test("what a kubeconfig has done on the way is in the cluster's facts, before anything is asked and without any of it having been done", async () => {
  const ran = join(dir, "ran");
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "./theirs", interactiveMode: "Never" };
  const theirs = await file("theirs", `#!/bin/sh\ntouch ${ran}\n`);
  await chmod(theirs, 0o755);
  const options = { "proxy-url": "http://me:hunter2@proxy:3128", "insecure-skip-tls-verify": true };
  await using cluster = await connectCluster({ kubeconfig: await file("hostile", kubeconfig({ exec }, options)) });
  expect(cluster.info.notes).toEqual([
    `the kubeconfig has ${theirs} run for credentials`,
    "the kubeconfig says: by the proxy http://***@proxy:3128",
    "the kubeconfig says: the server's certificate is not checked",
  ]);
  await expect(access(ran)).rejects.toMatchObject({ code: "ENOENT" });

  const provider = { name: "gcp", config: { "cmd-path": "/usr/bin/old-helper" } };
  await using legacy = await connectCluster({ kubeconfig: await file("legacy", kubeconfig({ "auth-provider": provider })) });
  expect(legacy.info.notes).toEqual(["the kubeconfig has /usr/bin/old-helper run for credentials"]);
  await using plain = await connectCluster({ kubeconfig: await file("plain", kubeconfig({ token: "t" })) });
  expect(plain.info).not.toHaveProperty("notes");
});
