import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { developer } from "../../developer.ts";
import { openJournal } from "../../journal.ts";
import type { Check } from "../check.ts";
import { type DoctorLine, runDoctor } from "../run.ts";
import { carrier } from "./carrier.ts";
import { clock } from "./clock.ts";
import { credentials } from "./credentials.ts";
import { kubeconfig } from "./kubeconfig.ts";
import { ports } from "./ports.ts";
import { relays } from "./relays.ts";
import { rights } from "./rights.ts";
import { server } from "./server.ts";

const NAMESPACE = "shop";
const RBAC = "rbac.authorization.k8s.io";
let embedded: EmbeddedCluster;
let dir: string;
let files = 0;

beforeAll(async () => {
  embedded = await startCluster();
  dir = await mkdtemp(join(tmpdir(), "shipside-doctor-"));
  await embedded.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "echo", namespace: NAMESPACE, labels: { app: "echo" } },
      spec: {
        containers: [
          {
            name: "echo",
            image: "node:24",
            command: ["node", "-e", "require('net').createServer((s) => s.pipe(s)).listen(7007)"],
            ports: [{ containerPort: 7007 }],
            readinessProbe: { tcpSocket: { port: 7007 }, periodSeconds: 1 },
          },
        ],
      },
    },
  ]);
});
afterAll(async () => {
  await embedded.close();
  await rm(dir, { recursive: true });
});

async function file(text: string): Promise<string> {
  const path = join(dir, `kubeconfig-${files++}`);
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

/** The lines of some checks, with a kubeconfig. */
async function look(config: string, ...checks: Check[]): Promise<DoctorLine[]> {
  const places = { stateDir: join(dir, "state"), runtimeDir: join(dir, "run") };
  return (await runDoctor({ kubeconfig: config, namespace: NAMESPACE, limitMs: 8_000, ...places }, checks)).lines;
}

const config = (user: object, cluster: object): string =>
  JSON.stringify({
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user }],
  });

async function allow(user: string, rules: object[]): Promise<void> {
  const metadata = { name: `for-${user}`, namespace: NAMESPACE };
  await embedded.apply([
    { apiVersion: `${RBAC}/v1`, kind: "Role", metadata, rules },
    {
      apiVersion: `${RBAC}/v1`,
      kind: "RoleBinding",
      metadata,
      roleRef: { apiGroup: RBAC, kind: "Role", name: metadata.name },
      subjects: [{ kind: "User", name: user, apiGroup: RBAC }],
    },
  ]);
}

describe("where all is well", () => {
  test("nothing but ok, a carrier among it", async () => {
    await expect
      .poll(() => embedded.store.get("pods", NAMESPACE, "echo")?.["status"]?.conditions, { timeout: 15_000 })
      .toContainEqual(expect.objectContaining({ type: "Ready", status: "True" }));
    const lines = await look(await file(embedded.kubeconfig()), kubeconfig, server, credentials, rights, carrier, clock);
    expect(lines.filter(({ level }) => level !== "ok")).toEqual([]);
    expect(lines.find(({ check }) => check === "carrier")?.details).toMatchObject({ carrier: "spdy", pod: { name: "echo" } });
    expect(lines.find(({ check }) => check === "server")?.text).toMatch(/answers in \d+ ms, Kubernetes v1\./);
    expect(lines.find(({ check }) => check === "rights")?.text).toContain(
      "teleport, env, env --watch, env --from running, mount, expose, intercept in namespace",
    );
  });
});

describe("kubeconfig", () => {
  test("several files: one that is missing, one that is broken, and what they come to", async () => {
    const [good, broken, users] = [await file(embedded.kubeconfig()), await file("contexts: {"), await file("users: []")];
    const lines = await look([good, join(dir, "gone"), broken, users].join(delimiter), kubeconfig);
    expect(lines.map(({ level, text }) => [level, text])).toEqual(
      expect.arrayContaining([
        ["warning", expect.stringMatching(/gone does not exist/)],
        ["problem", expect.stringContaining(broken)],
        ["ok", `${good}: 1 context`],
        ["ok", `${users}: no context`],
      ]),
    );
  });

  test("an unknown context", async () => {
    const path = await file(config({}, { server: "http://127.0.0.1:1" }).replace('"current-context":"c"', '"current-context":"d"'));
    expect(await look(path, kubeconfig, server)).toMatchObject([{ level: "problem", details: { code: "KUBE_CONTEXT_UNKNOWN" } }]);
  });
});

describe("server", () => {
  test("nobody there, and what depends on it is silent", async () => {
    const path = await file(config({ token: "x" }, { server: "http://127.0.0.1:1" }));
    const lines = await look(path, server, rights, carrier, clock, ports);
    expect(lines).toMatchObject([{ check: "server", level: "problem", details: { code: "KUBE_UNREACHABLE" } }]);
  });

  test("one that goes silent is a line within the limit", async () => {
    const path = await file(embedded.kubeconfig());
    const thaw = embedded.faults.freeze();
    const { lines } = await runDoctor({ kubeconfig: path, limitMs: 500 }, [server, credentials]).finally(thaw);
    expect(lines).toMatchObject([
      { check: "server", level: "problem", text: expect.stringMatching(/no answer within 0.5 s/) },
      { check: "credentials", level: "problem" },
    ]);
  });

  test.each([
    [
      "leads to a login page",
      302,
      { Location: "http://login.example/start?from=secret" },
      "leads elsewhere: http://login.example/start",
    ],
    ["shows one", 200, { "Content-Type": "text/html; charset=utf-8" }, "is a web page"],
    ["shows one in anger", 511, { "Content-Type": "text/html" }, "is a web page"],
  ])("a captive portal that %s is told as such, once, and nothing else is tried there", async (_what, status, says, said) => {
    const asked: string[] = [];
    await using portal = createServer(({ url, headers }, answer) => {
      asked.push(`${url} ${headers.authorization ?? "as nobody"}`);
      answer.writeHead(status, { ...says, Date: new Date(0).toUTCString() }).end("<html><title>Welcome</title></html>");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => portal.once("listening", resolve));
    const url = `http://127.0.0.1:${(portal.address() as AddressInfo).port}`;
    const lines = await look(
      await file(config({ token: "x" }, { server: url })),
      server,
      credentials,
      rights,
      carrier,
      clock,
      ports,
      relays,
    );
    expect(lines.filter(({ level }) => level !== "ok")).toMatchObject([
      { check: "server", text: expect.stringContaining(said), hint: expect.stringContaining("login") },
    ]);
    expect(asked).toEqual(["/version as nobody"]);
  });

  test("a certificate that isn't checked", async () => {
    const path = await file(config({}, { server: embedded.server, "insecure-skip-tls-verify": true }));
    expect((await look(path, server)).map(({ level }) => level)).toEqual(["ok", "warning"]);
  });

  test("a certificate of another authority", async () => {
    const path = await file(config({}, { server: embedded.server }));
    expect(await look(path, server)).toMatchObject([{ level: "problem", details: { code: "KUBE_TLS" } }]);
  });
});

describe("credentials", () => {
  test("an expired client certificate", async () => {
    const path = await file(embedded.addUser({ name: "late", notAfter: new Date(Date.now() - 60_000) }));
    const lines = await look(path, credentials);
    expect(lines[0]).toMatchObject({
      level: "problem",
      text: expect.stringMatching(/CN=late.* has expired/),
      hint: "log in again",
    });
  });

  test("one that ends within a day", async () => {
    const path = await file(embedded.addUser({ name: "soon", notAfter: new Date(Date.now() + 3_600_000) }));
    expect(await look(path, credentials)).toMatchObject([
      { level: "warning", text: expect.stringMatching(/ends soon/) },
      { level: "ok" },
    ]);
  });

  test("a token that the server takes no more", async () => {
    const path = await file(embedded.addUser({ name: "leaver", token: true }));
    embedded.expireUser("leaver");
    expect(await look(path, credentials)).toMatchObject([
      { level: "ok", text: expect.stringMatching(/doesn't say when it ends/) },
      { level: "problem", details: { code: "KUBE_UNAUTHORIZED" } },
    ]);
  });

  test("a plugin that isn't there", async () => {
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "no-such-plugin", interactiveMode: "Never" };
    const path = await file(config({ exec }, { server: embedded.server, "insecure-skip-tls-verify": true }));
    expect((await look(path, credentials))[0]).toMatchObject({ level: "problem", text: expect.stringContaining("no-such-plugin") });
  });
});

describe("rights", () => {
  test("each missing rule, and who needs it; what is optional is no fault", async () => {
    const path = await file(embedded.addUser({ name: "partly" }));
    await allow("partly", [
      { apiGroups: ["", "discovery.k8s.io"], resources: ["services", "endpointslices"], verbs: ["list", "watch"] },
      { apiGroups: ["apps"], resources: ["deployments"], verbs: ["get", "list", "watch"] },
      { apiGroups: [""], resources: ["configmaps"], verbs: ["get"] },
    ]);
    const lines = await look(path, rights);
    const missing = lines.filter(({ level }) => level !== "ok");
    const told = missing.map(({ level, text }) => `${level} ${text}`);
    expect(told).toEqual(
      expect.arrayContaining([
        "problem may not create pods/portforward in namespace shop: needed by teleport namespace, teleport, expose, intercept",
        "warning may not list pods in namespace shop: needed by env --from running, expose, intercept",
        "warning may not list configmaps, watch configmaps, list secrets, watch secrets in namespace shop: needed by env --watch",
        "warning may not create pods/exec, get pods/exec in namespace shop: needed by env --from running",
      ]),
    );
    // What is wanted together is told together.
    expect(told.length).toBeLessThan(12);
    const [first] = missing;
    expect(first?.hint).toMatch(/a Role in namespace shop: \{"apiGroups":\[""\].*--print-rbac/);
    expect(lines.at(-1)).toMatchObject({ level: "ok", text: expect.stringContaining("get nodes") });
  });

  test("without any, nothing of it is ok but the optional", async () => {
    const path = await file(embedded.addUser({ name: "nobody" }));
    const lines = await look(path, rights);
    expect(lines.filter(({ level }) => level === "problem").length).toBeGreaterThan(2);
    expect(lines.some(({ text }) => text.startsWith("may run"))).toBe(false);
  });
});

describe("the way to the pods", () => {
  test("a user who may not forward", async () => {
    const path = await file(embedded.addUser({ name: "looker" }));
    await allow("looker", [{ apiGroups: [""], resources: ["pods"], verbs: ["list"] }]);
    expect(await look(path, carrier)).toMatchObject([
      {
        level: "problem",
        text: expect.stringMatching(/create pods\/portforward/),
        hint: expect.stringContaining("pods/portforward"),
      },
    ]);
  });

  test("nothing to try it with", async () => {
    const path = await file(embedded.kubeconfig());
    const { lines } = await runDoctor({ kubeconfig: path, namespace: "default" }, [carrier]);
    expect(lines).toMatchObject([{ level: "ok", text: "not tried: no pod is ready in namespace default" }]);
  });
});

describe("clock", () => {
  let fake: Server;
  let off = 0;
  let url: string;
  beforeAll(async () => {
    fake = createServer((_asked, answer) => {
      answer.sendDate = false;
      answer.writeHead(403, { Date: new Date(Date.now() + off).toUTCString(), "Content-Type": "application/json" }).end("{}");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => fake.once("listening", resolve));
    url = `http://127.0.0.1:${(fake.address() as AddressInfo).port}`;
  });
  afterAll(() => fake.close());

  test.each([
    [0, "ok", /as the API server's/],
    // The header has whole seconds, and a busy machine takes its time.
    [-30_000, "warning", /(29|30|31) s ahead of/],
    [600_000, "problem", /10 min behind/],
    [-86_400_000, "problem", /24 h ahead of/],
  ])("a server that is off by %i ms is %s", async (ms, level, text) => {
    off = ms;
    expect(await look(await file(config({}, { server: url })), clock)).toMatchObject([
      { level, text: expect.stringMatching(text) },
    ]);
  });
});

describe("ports", () => {
  test("a port of a service that somebody has on all addresses, and who", async () => {
    const squatter = createTcpServer().listen(0, "0.0.0.0");
    await new Promise((resolve) => squatter.once("listening", resolve));
    const { port } = squatter.address() as AddressInfo;
    const spec = {
      selector: { app: "x" },
      ports: [
        { name: "taken", port },
        { name: "free", port: 1 },
      ],
    };
    await embedded.apply([{ apiVersion: "v1", kind: "Service", metadata: { name: "crowded", namespace: NAMESPACE }, spec }]);
    try {
      const path = await file(embedded.kubeconfig());
      expect(await look(path, ports)).toMatchObject([
        {
          level: "warning",
          text: expect.stringContaining(`port ${port} of crowded`),
          details: { port, holder: { pid: process.pid } },
        },
      ]);
      squatter.close();
      expect(await look(path, ports)).toMatchObject([{ level: "ok" }]);
    } finally {
      squatter.close();
      embedded.store.remove("services", NAMESPACE, "crowded");
    }
  });
});

describe("relays", () => {
  const relay = (name: string, owner: string): object => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      ...{ name, namespace: NAMESPACE },
      labels: { "shipside.dev/relay": name },
      annotations: { "shipside.dev/owner": owner },
    },
    spec: {
      replicas: 0,
      selector: { matchLabels: { "shipside.dev/relay": name } },
      template: {
        metadata: { labels: { "shipside.dev/relay": name } },
        spec: { containers: [{ name: "relay", image: "node:24" }] },
      },
    },
  });
  const record = {
    relay: "shipside-gone-1",
    original: { app: "web" },
    switched: { app: "shipside-gone-1" },
    by: "bob@desk",
    since: "2026",
  };
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: NAMESPACE, annotations: { "shipside.dev/intercept": JSON.stringify(record) } },
    spec: { selector: record.switched, ports: [{ port: 80 }] },
  };

  afterEach(async () => {
    for (const name of ["shipside-core-1", "shipside-mine-1"]) embedded.store.remove("deployments.apps", NAMESPACE, name);
    embedded.store.remove("services", NAMESPACE, "web");
    await rm(join(dir, "state"), { recursive: true, force: true });
  });

  test("none, others', mine without a session, and a Service that leads to none", async () => {
    const kubeconfig = embedded.kubeconfigPath;
    expect(await look(kubeconfig, relays)).toMatchObject([{ level: "ok", text: `none in namespace ${NAMESPACE}` }]);

    await embedded.apply([relay("shipside-core-1", "bob@desk"), relay("shipside-mine-1", developer().holder), service]);
    expect(await look(kubeconfig, relays)).toMatchObject([
      {
        level: "problem",
        text: expect.stringMatching(/^service web .* relay that is gone \(shipside-gone-1, by bob@desk since 2026\)/),
        hint: expect.stringContaining(
          `kubectl patch service web -n ${NAMESPACE} --type=merge -p '{"metadata":{"annotations":{"shipside.dev/intercept":null}},"spec":{"selector":{"app":"web"}}}'`,
        ),
      },
      {
        level: "warning",
        text: expect.stringContaining("relay shipside-mine-1"),
        hint: expect.stringContaining("kubectl delete deployment"),
      },
      { level: "ok", text: `1 relay in namespace ${NAMESPACE}: shipside-core-1 of bob@desk` },
    ]);

    // What a running process has on record is in use.
    const journal = openJournal(join(dir, "state"));
    await journal.record({ kind: "intercept", data: { relay: "shipside-mine-1" } });
    expect((await look(kubeconfig, relays)).map(({ level }) => level)).toEqual(["problem", "ok"]);
    await journal.close();
  });
});
