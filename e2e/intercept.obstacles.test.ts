import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { hasCode } from "@shipside/core";
import { parseMatch } from "@shipside/proxy";
import type { KubeJson } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { intercepts, NAMESPACE, openSampleCluster, QUICK, type SampleCluster, serveHttp } from "./incoming.fixture.ts";
import { kubectls } from "./kubectl/binaries.ts";

// Whole intercepts of Services that are special, or in namespaces that are: what is refused is refused before anything is made, what the
// cluster refuses leaves nothing and never touches the Service, and what is handled works.

let sample: SampleCluster;
let local: Awaited<ReturnType<typeof serveHttp>>;
let before: Record<string, unknown>;
/** Made by a test, and removed after it. */
const extra: Array<[kind: string, name: string]> = [];

const core = { "app.kubernetes.io/name": "core", "app.kubernetes.io/part-of": "sample" };
const KINDS: Record<string, string> = {
  Service: "services",
  Pod: "pods",
  NetworkPolicy: "networkpolicies.networking.k8s.io",
  ResourceQuota: "resourcequotas",
  LimitRange: "limitranges",
};

beforeAll(async () => {
  sample = await openSampleCluster({ node: { pullBackoff: { baseMs: 300, maxMs: 1_000 } } });
  local = await serveHttp();
  before = sample.objects();
}, 150_000);
afterAll(async () => {
  await sample?.[Symbol.asyncDispose]();
  await local?.[Symbol.asyncDispose]();
});
afterEach(async () => {
  await alices.close();
  const { store } = sample.embedded;
  for (const [kind, name] of extra.splice(0).reverse()) store.remove(kind, NAMESPACE, name);
  // What was made goes with its Deployment, by garbage collection.
  await expect.poll(() => Object.keys(sample.objects()), { timeout: 15_000 }).toEqual(Object.keys(before));
  expect(sample.objects()).toEqual(before);
}, 40_000);

const alices = intercepts(() => ({
  cluster: sample.cluster,
  service: "core",
  ports: [{ remote: 3020, local: local.port }],
  match: parseMatch({ path: "/mine*" }, { user: "alice", key: "alice-1" }),
  ...QUICK,
}));
const { open: intercept, said } = alices;

const object = (kind: string, name: string, spec: object, metadata: object = {}): KubeJson => ({
  apiVersion: kind === "NetworkPolicy" ? "networking.k8s.io/v1" : "v1",
  kind,
  metadata: { name, namespace: NAMESPACE, ...metadata } as KubeJson["metadata"],
  spec,
});
/** A Service that leads to core's pods, but for what is said. */
const service = (spec: object, metadata: object = {}): KubeJson =>
  object("Service", "special", { selector: core, ports: [{ name: "http", port: 3020 }], ...spec }, metadata);
const policy = (ingress: object[]): KubeJson => object("NetworkPolicy", "guard", { podSelector: { matchLabels: core }, ingress });
const quota = (hard: object, spec: object = {}): KubeJson => object("ResourceQuota", "team", { hard, ...spec });
const limits = (limit: object): KubeJson => object("LimitRange", "sizes", { limits: [{ type: "Container", ...limit }] });
const meshed = [
  service({ selector: { app: "meshed" }, ports: [{ port: 3020 }] }),
  object(
    "Pod",
    "meshed-1",
    {
      terminationGracePeriodSeconds: 0,
      containers: ["main", "istio-proxy"].map((name) => ({ name, image: "busybox", command: ["sleep", "1000"] })),
    },
    { labels: { app: "meshed" } },
  ),
];

async function given(...objects: KubeJson[]): Promise<void> {
  await sample.embedded.apply(objects);
  for (const { kind, metadata } of objects) extra.push([KINDS[kind!]!, metadata.name]);
  // A quota says what it has when it has counted.
  await expect
    .poll(() => sample.embedded.store.list("resourcequotas", NAMESPACE).every(({ status }) => status?.hard !== undefined))
    .toBe(true);
}

/** All that is written to Services, Deployments and pods from now on. */
function watchWrites(): () => string[] {
  const written: string[] = [];
  const stop = sample.embedded.store.subscribe(({ type, resource, object: { metadata } }) => {
    if (["services", "deployments.apps", "pods"].includes(resource)) written.push(`${type} ${resource}/${metadata.name}`);
  });
  return () => {
    stop();
    return written;
  };
}

test.each<[what: string, name: string, objects: KubeJson[], sentence: RegExp, hint?: RegExp]>([
  [
    "ExternalName",
    "special",
    [service({ type: "ExternalName", externalName: "db.example.com", selector: undefined, ports: undefined })],
    /DNS alias of db\.example\.com/,
    /Service that it leads to/,
  ],
  ["no selector", "special", [service({ selector: undefined })], /has no selector/, /shipside expose/],
  ["headless, with names for its pods", "database-pods", [], /database-0\.database-pods/, /ClusterIP that leads to the same pods/],
  [
    "SCTP",
    "special",
    [
      service({
        ports: [
          { name: "a", port: 3020 },
          { name: "b", port: 9, protocol: "SCTP" },
        ],
      }),
    ],
    /port 9 is SCTP/,
  ],
  [
    "internalTrafficPolicy Local",
    "special",
    [service({ internalTrafficPolicy: "Local" })],
    /internalTrafficPolicy is Local/,
    /where it is Cluster/,
  ],
  [
    "externalTrafficPolicy Local",
    "special",
    [service({ type: "NodePort", externalTrafficPolicy: "Local" })],
    /externalTrafficPolicy is Local/,
    /second one with a ClusterIP/,
  ],
  [
    "ClientIP affinity, and a port that no pod names",
    "special",
    [service({ sessionAffinity: "ClientIP", ports: [{ port: 3020, targetPort: "absent" }] })],
    /no pod says which number absent is/,
  ],
  ["a mesh's sidecar", "special", meshed, /container istio-proxy of meshed-1/, /outside the mesh/],
  [
    "a NetworkPolicy that admits others only",
    "core",
    [policy([{ from: [{ podSelector: { matchLabels: { app: "web" } } }] }])],
    /NetworkPolicy guard keeps the relay from the pods of core/,
    /managed-by=shipside/,
  ],
  [
    "a quota without room",
    "core",
    [quota({ pods: "5" })],
    /ResourceQuota team has no room.* of 5 are used/,
    /have the quota raised/,
  ],
  [
    "a limit below the relay's",
    "core",
    [limits({ max: { memory: "64Mi" } })],
    /LimitRange sizes wants at most 64Mi memory/,
    /without that limit/,
  ],
])(
  "%s: refused before anything is made",
  async (_what, name, objects, sentence, hint) => {
    await given(...objects);
    const written = watchWrites();
    const refused = await intercept({ service: name, ports: [{ remote: 9, local: 9 }] }).catch(
      (error: unknown) => error as Error & { hint?: string },
    );
    expect(hasCode(refused, "PROXY_OBSTACLE"), String(refused)).toBe(true);
    expect((refused as Error).message).toMatch(sentence);
    if (hint) expect((refused as { hint?: string }).hint).toMatch(hint);
    expect(written().filter((each) => each.includes("shipside") || each.startsWith("MODIFIED services"))).toEqual([]);
  },
  60_000,
);

const relays = (): KubeJson[] =>
  sample.embedded.store.list("pods", NAMESPACE).filter(({ metadata }) => metadata.name.startsWith("shipside-"));
/** What is flagged comes here, what isn't is the pods'. */
async function comesHere(host: string): Promise<void> {
  const answers = await sample.ask({ url: `http://${host}:3020/mine` }, { url: `http://${host}:3020/x` });
  expect(answers).toEqual(["local /mine", expect.stringContaining('"version": "cluster"')]);
}

test.each<[what: string, objects: KubeJson[], image: string | undefined, code: string, message: RegExp]>([
  [
    "a quota of some pods only",
    [quota({ pods: "5" }, { scopes: ["NotTerminating"] })],
    undefined,
    "RELAY_QUOTA",
    /exceeded quota: team, requested: pods=1, used: pods=5, limited: pods=5/,
  ],
  [
    "a ratio of limits to requests",
    [limits({ maxLimitRequestRatio: { memory: "1" } })],
    undefined,
    "RELAY_QUOTA",
    /memory max limit to request ratio per Container is 1/,
  ],
  [
    "an image that can't be pulled",
    [],
    "registry.invalid/team/absent:1",
    "RELAY_IMAGE_UNAVAILABLE",
    /registry\.invalid\/team\/absent:1.*ErrImagePull/,
  ],
  [
    "an image with a name that can't be one",
    [],
    "Not//An//Image",
    "RELAY_IMAGE_UNAVAILABLE",
    /Not\/\/An\/\/Image.*invalid reference format/,
  ],
])(
  "%s: the cluster refuses the relay, in its own words; the Service is never touched, and nothing is left",
  async (_what, objects, image, code, message) => {
    await given(...objects);
    const written = watchWrites();
    const refused = await intercept({ ...(image !== undefined && { image }) }).catch((error: unknown) => error as Error);
    expect(hasCode(refused, code), String(refused)).toBe(true);
    expect((refused as Error).message).toMatch(message);
    await expect.poll(relays, { timeout: 15_000 }).toEqual([]);
    expect(written().filter((each) => each.endsWith("services/core"))).toEqual([]);
  },
  60_000,
);

test("a NetworkPolicy that admits the relay by its label, as the hint of a refusal says", async () => {
  const ours = { matchLabels: { "app.kubernetes.io/managed-by": "shipside" } };
  await given(policy([{ from: [{ podSelector: { matchLabels: { app: "web" } } }] }, { from: [{ podSelector: ours }] }]));
  await intercept();
  await comesHere("core");
}, 60_000);

test("a quota and limits with room: each of the relay's pods says what it asks for, so that both are admitted", async () => {
  const amounts = ["requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
  await given(
    quota({ pods: "6", ...Object.fromEntries(amounts.map((name) => [name, "4Gi"])) }),
    limits({ min: { cpu: "1m", memory: "1Mi" }, max: { cpu: "2", memory: "1Gi" } }),
  );
  const used = () => sample.embedded.store.get("resourcequotas", NAMESPACE, "team")!["status"].used;
  const free = used();
  await intercept();
  await comesHere("core");
  await expect.poll(() => used().pods).toBe("6");
  for (const name of amounts) expect(used()[name], name).not.toBe(free[name]);
  await alices.close();
  await expect.poll(used, { timeout: 45_000 }).toEqual(free);
}, 90_000);

test("a namespace whose mesh puts sidecars into new pods: the relay's pods say no, in each mesh's words", async () => {
  const { store } = sample.embedded;
  const label = (value: string | undefined) =>
    store.mutate("namespaces", undefined, NAMESPACE, ({ metadata }) => {
      const { "istio-injection": _injection, ...rest } = metadata.labels ?? {};
      metadata.labels = { ...rest, ...(value !== undefined && { "istio-injection": value }) };
    });
  label("enabled");
  try {
    await intercept();
    expect(said).toContainEqual(expect.stringContaining("has Istio put a sidecar into new pods: the relay's pods say no"));
    expect(relays()).toHaveLength(2);
    for (const { metadata } of relays())
      expect({ ...metadata.labels, ...metadata.annotations }).toMatchObject({
        "sidecar.istio.io/inject": "false",
        "kuma.io/sidecar-injection": "disabled",
        "linkerd.io/inject": "disabled",
        "consul.hashicorp.com/connect-inject": "false",
      });
    await comesHere("core");
  } finally {
    label(undefined);
  }
}, 60_000);

test("headless: who asks DNS comes through the intercept, at the pods' own port", async () => {
  await given(service({ clusterIP: "None" }));
  await expect.poll(() => sample.endpoints("special").length, { timeout: 10_000 }).toBe(1);
  await intercept({ service: "special" });
  expect(said).toContainEqual(expect.stringContaining("it is headless: a client that holds a pod's address"));
  await comesHere("special");
}, 60_000);

/** As a controller does that owns what it writes. */
async function applyAs(manager: string, wanted: KubeJson): Promise<void> {
  const found = (await kubectls()).found.sort((a, b) => b.minor - a.minor)[0];
  if (!found) throw new Error("no kubectl could be had: `e2e/kubectl/binaries.ts` says where it is looked for");
  const how = ["--server-side", "--force-conflicts", `--field-manager=${manager}`];
  const child = spawn(found.path, ["--kubeconfig", sample.embedded.kubeconfigPath, "apply", "-f", "-", ...how], {
    stdio: ["pipe", "ignore", "pipe"],
  });
  child.stdin.end(JSON.stringify(wanted));
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, "close")]);
  if (code !== 0) throw new Error(stderr);
}

test.each<[tool: string, metadata: object, manager: string, sentence: RegExp]>([
  [
    "Argo CD",
    { annotations: { "argocd.argoproj.io/tracking-id": "shop:/Service:sample/special" } },
    "argocd-controller",
    /^Argo CD \(application shop\) will show this Service as out of sync/,
  ],
  [
    "Flux",
    { labels: { "kustomize.toolkit.fluxcd.io/name": "apps" } },
    "kustomize-controller",
    /^Flux \(apps\) puts the selector back at its next reconciliation/,
  ],
  ["an operator that is known by its fields alone", {}, "shop-operator", /^shop-operator writes this Service's selector/],
])(
  "%s owns the Service: that is said before anything is made; what it puts back is switched again, and in the end is as it wants",
  async (_tool, metadata, manager, sentence) => {
    await given(service({}, metadata));
    const reconcile = () => applyAs(manager, service({}, metadata));
    await reconcile();
    const selector = () => sample.embedded.store.get("services", NAMESPACE, "special")!["spec"].selector;
    await expect.poll(() => sample.endpoints("special").length, { timeout: 10_000 }).toBe(1);
    const written = watchWrites();
    let writtenBefore: string[] | undefined;
    await intercept({
      service: "special",
      onEvent(event) {
        if (event.kind !== "notice") return;
        if (sentence.test(event.message)) writtenBefore = written().filter((each) => each.includes("shipside"));
        said.push(event.message);
      },
    });
    expect(writtenBefore, said.join()).toEqual([]);
    await comesHere("special");
    await reconcile();
    await expect.poll(() => said, { timeout: 10_000 }).toContainEqual(expect.stringContaining("put the selector of special back"));
    await expect.poll(() => selector()["app.kubernetes.io/name"], { timeout: 10_000 }).toMatch(/^shipside-/);
    await expect.poll(() => sample.ask({ url: "http://special:3020/mine" }), { timeout: 10_000 }).toEqual(["local /mine"]);
    await alices.close();
    expect(selector()).toEqual(core);
  },
  60_000,
);
