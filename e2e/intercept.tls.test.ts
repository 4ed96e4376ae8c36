import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { DEPLOYMENTS, isReady, type KubeObject, PODS, type Pod, type ResourceType, SECRETS, SERVICES } from "@shipside/kube";
import { type InterceptOptions, openIntercept } from "@shipside/proxy";
import { createAuthority, type KeyPair } from "@shipside/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newUser, untilSaid } from "./cli.harness.ts";
import { type E2eCluster, e2eCluster } from "./tunnel.fixture.ts";

// A Service whose pods speak TLS, with a certificate of the cluster's own authority, and what `--tls-secret` sees of it.

const PORT = 43_140;
const authority = createAuthority("e2e");
let e2e: E2eCluster;
let local: Awaited<ReturnType<typeof serveLocal>>;

const SERVER = `
const { createSecureServer } = require("node:http2"), { readFileSync } = require("node:fs");
const [cert, key] = ["crt", "key"].map((end) => readFileSync("/certificate/tls." + end));
createSecureServer({ cert, key, allowHTTP1: true }, (request, response) =>
  response.end(["pods", request.httpVersion, request.url, request.headers["x-forwarded-proto"]].join(" ")),
).listen(${PORT}, process.env.POD_IP);`;

async function serveLocal() {
  const server = createServer((request, response) => response.end(`local ${request.url} ${request.headers["x-forwarded-proto"]}`));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const secret = (name: string, { cert, key }: KeyPair): KubeObject =>
  ({
    metadata: { name, namespace: e2e.namespace },
    type: "kubernetes.io/tls",
    data: { "tls.crt": base64(cert), "tls.key": base64(key), "ca.crt": base64(authority.cert) },
  }) as KubeObject;
const hosts = (): string[] => ["secure", `secure.${e2e.namespace}.svc`];
const pod = (name: string, command: string[], more: object = {}, container: object = {}): KubeObject =>
  ({
    metadata: { name, namespace: e2e.namespace, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name, image: "node:24", command, ...container }],
      ...more,
    },
  }) as KubeObject;

beforeAll(async () => {
  e2e = await e2eCluster();
  local = await serveLocal();
  const { namespace } = e2e;
  const create = (type: ResourceType<never>, object: KubeObject) => e2e.cluster.create(type, object as never);
  await create(SECRETS as never, secret("pods", authority.issue({ commonName: "pods", hosts: hosts() })));
  await create(SECRETS as never, secret("relay", authority.issue({ commonName: "relay", hosts: hosts() })));
  await create(SECRETS as never, { metadata: { name: "password", namespace }, data: { password: base64("x") } } as never);
  await create(
    PODS as never,
    pod(
      "secure",
      ["node", "-e", SERVER],
      { volumes: [{ name: "certificate", secret: { secretName: "pods" } }] },
      {
        env: [{ name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
        volumeMounts: [{ name: "certificate", mountPath: "/certificate" }],
        readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
      },
    ),
  );
  await create(PODS as never, pod("caller", ["node", "-e", "setInterval(() => {}, 1e6)"]));
  await create(
    SERVICES as never,
    {
      metadata: { name: "secure", namespace },
      spec: { selector: { app: "secure" }, ports: [{ name: "https", port: 443, targetPort: PORT }] },
    } as never,
  );
  const ready = async (): Promise<boolean> => {
    const pods = await Promise.all(["secure", "caller"].map((name) => e2e.cluster.get(PODS, { namespace, name })));
    return pods.every((each: Pod) => isReady(each));
  };
  while (!(await ready())) await sleep(100);
}, 150_000);
afterAll(async () => {
  local?.close();
  await e2e?.[Symbol.asyncDispose]();
});

/** From the caller's pod, verified by the authority: the answer, and whose certificate it saw. `h2`: a client that speaks nothing else. */
async function ask(path: string, { flagged = false, h2 = false } = {}): Promise<string> {
  const program = `
const ca = ${JSON.stringify(authority.cert)}, headers = ${JSON.stringify(flagged ? { "x-user": "alice" } : {})};
const seen = (socket) => socket.getPeerCertificate().subject.CN;
const say = (stream, who) => { let text = ""; stream.on("data", (d) => (text += d)).on("end", () => console.log(who + ": " + text)); };
const fail = (e) => { console.log("failed: " + e.code); process.exit(); };
if (${h2}) {
  const session = require("node:http2").connect("https://secure:443", { ca }).on("error", fail);
  const stream = session.request({ ":path": "${path}", ...headers }).on("error", fail);
  stream.on("close", () => session.close());
  stream.on("response", () => say(stream, seen(session.socket)));
} else {
  require("node:https").get({ host: "secure", port: 443, path: "${path}", ca, headers }, (r) => say(r, seen(r.socket))).on("error", fail);
}`;
  const { stdout, stderr } = await e2e.cluster.exec({ namespace: e2e.namespace, name: "caller" }, ["node", "-e", program]);
  return `${stdout}${stderr}`.trim();
}

/** A node's proxy follows a switched Service after a moment. */
const soon = (path: string, options?: Parameters<typeof ask>[1]) =>
  expect.poll(() => ask(path, options), { timeout: 15_000, interval: 300 });

const selector = async (): Promise<object> =>
  (await e2e.cluster.get(SERVICES, { namespace: e2e.namespace, name: "secure" })).spec.selector!;

const options = (more: Partial<InterceptOptions> = {}): InterceptOptions => ({
  cluster: e2e.cluster,
  service: "secure",
  ports: [{ remote: "https", local: local.port }],
  match: { headers: [{ name: "x-user", value: "alice" }] },
  holder: "alice@laptop",
  ...more,
});

test("the relay ends TLS: flagged requests come here as plain HTTP, the rest to the pods by TLS, of either HTTP; the Secret is replaced meanwhile", async () => {
  await soon("/0").toBe("pods: pods 1.1 /0");
  await using made = await openIntercept(options({ tlsSecret: "relay" }));
  await soon("/1").toBe("relay: pods 1.1 /1 https");
  expect(await ask("/2", { flagged: true })).toBe("relay: local /2 https");
  expect(await ask("/3", { h2: true })).toBe("relay: pods 2.0 /3 https");
  expect(made.status().ports).toMatchObject([{ connections: 1, refused: 0 }]);

  // Of two: the second joins the relay as it is, and can't have another Secret.
  await expect(openIntercept(options({ tlsSecret: "pods", holder: "bob@desk" }))).rejects.toMatchObject({
    code: "PROXY_OPTION_INVALID",
    message: expect.stringContaining("ends TLS by the Secret relay"),
  });

  const { data } = secret("relay", authority.issue({ commonName: "renewed", hosts: hosts() })) as unknown as { data: object };
  await e2e.cluster.patch(SECRETS, { namespace: e2e.namespace, name: "relay" }, { data }, { kind: "merge" });
  // A kubelet brings it within about a minute and a half.
  await expect.poll(() => ask("/4"), { timeout: 120_000, interval: 500 }).toBe("renewed: pods 1.1 /4 https");
  await made.close();
  await soon("/5").toBe("pods: pods 1.1 /5");
}, 240_000);

test.each([
  ["none", "RELAY_TLS_SECRET", /the Secret none isn't there/],
  ["password", "RELAY_TLS_SECRET", /the Secret password isn't there, or has no tls\.crt and tls\.key/],
  ["Not A Name", "PROXY_OPTION_INVALID", /can't be the name of a Secret/],
])(
  "by the Secret %j it is refused before anything is changed, and nothing is left",
  async (tlsSecret, code, says) => {
    const before = await selector();
    await expect(openIntercept(options({ tlsSecret }))).rejects.toMatchObject({ code, message: expect.stringMatching(says) });
    expect(await selector()).toEqual(before);
    expect(await e2e.cluster.list(DEPLOYMENTS, { namespace: e2e.namespace })).toEqual([]);
  },
  60_000,
);

test("on the command line; without the Secret it says what to do", async () => {
  await using user = await newUser({ asSelf: true });
  const words = ["intercept", "service/secure", "-p", `443:${local.port}`, "-x", "x-user: alice", "--foreground"];
  const where = ["-k", e2e.kubeconfig, "-n", e2e.namespace];
  const refused = await user.run([...words, "--tls-secret", "none", ...where]);
  expect([refused.code, refused.stderr]).toEqual([
    13,
    expect.stringMatching(/the Secret none isn't there[\s\S]*kubectl create secret tls/),
  ]);
  const child = user.start([...words, "--tls-secret", "relay", ...where]);
  await untilSaid(child, /ready in/);
  await soon("/1", { flagged: true }).toMatch(/: local \/1 https$/);
  child.kill("SIGINT");
  await once(child, "exit");
  await soon("/2").toBe("pods: pods 1.1 /2");
}, 120_000);
