import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, connectCluster, kubeError } from "@shipside/kube";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { connectViewer } from "./fixtures/viewer.ts";
import { trustAnchors } from "./trust-anchors.ts";
import { openVolumes } from "./volumes.ts";

const namespace = "trust";
const SIGNER = "example.com/mesh";
const pem = (text: string): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(text).toString("base64")}\n-----END CERTIFICATE-----\n`;
/** Projections by the names of the files that they make. */
const PROJECTIONS = {
  named: { name: "corporate" },
  all: { signerName: SIGNER, labelSelector: {} },
  live: { signerName: SIGNER, labelSelector: { matchLabels: { stage: "live" } } },
  none: { signerName: SIGNER, optional: true },
  absent: { name: "absent", optional: true },
};
let embedded: EmbeddedCluster;
let cluster: Cluster;
let dir: string;

const bundle = (name: string, spec: object, labels: object = {}) => ({
  apiVersion: "certificates.k8s.io/v1beta1",
  kind: "ClusterTrustBundle",
  metadata: { name, labels },
  spec,
});
const deployment = (name: string, sources: object[], more: object = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, namespace },
  spec: {
    replicas: 0,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        volumes: [{ name: "trust", projected: { defaultMode: 0o444, sources } }],
        containers: [{ name: "main", image: "busybox", volumeMounts: [{ name: "trust", mountPath: "/trust" }] }],
        ...more,
      },
    },
  },
});
const projection = (path: string, source: object) => ({ clusterTrustBundle: { path, ...source } });

beforeAll(async () => {
  embedded = await startCluster();
  await embedded.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "conf", namespace }, data: { conf: "text" } },
    bundle("example.com:mesh:a", { signerName: SIGNER, trustBundle: `${pem("one")}# and\n${pem("two")}` }, { stage: "live" }),
    bundle("example.com:mesh:b", { signerName: SIGNER, trustBundle: pem("two") + pem("three") }),
    bundle("other.io:x:c", { signerName: "other.io/x", trustBundle: pem("four") }, { stage: "live" }),
    deployment("app", [
      { configMap: { name: "conf" } },
      ...Object.entries(PROJECTIONS).map(([path, source]) => projection(path, source)),
    ]),
    deployment("alone", [projection("ca", PROJECTIONS.named)], { securityContext: { runAsUser: 7 } }),
    deployment("lacking", [projection("ca", { signerName: SIGNER })]),
  ]);
  cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
});
afterAll(async () => {
  await cluster?.close();
  await embedded?.close();
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "trust-bundles-"));
  const { store } = embedded;
  const key = "clustertrustbundles.certificates.k8s.io";
  if (store.get(key, undefined, "corporate")) store.remove(key, undefined, "corporate");
  await embedded.apply([bundle("corporate", { trustBundle: pem("first") })]);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const read = (path: string): Promise<string> => readFile(join(dir, "trust", path), "utf8");
const certificates = (...texts: string[]): string => trustAnchors(texts.map(pem));
const open = (workload: string, by = cluster) => openVolumes(by, { workload: `deployment/${workload}`, namespace, dir });

it("has them by name, or by signer and label, each certificate once; what is optional and absent is an empty file", async () => {
  await using volumes = await open("app");
  expect(volumes.obstacles).toEqual([]);
  const files = await Promise.all(Object.keys(PROJECTIONS).map(read));
  expect(files).toEqual([certificates("first"), certificates("one", "two", "three"), certificates("one", "two"), "", ""]);
});

it("is kept current, also with what comes to fit", async () => {
  await using _volumes = await open("app");
  await embedded.apply([bundle("corporate", { trustBundle: pem("second") }, { stage: "live" })]);
  await expect.poll(() => read("named"), { timeout: 5_000 }).toBe(certificates("second"));
  const added = bundle("example.com:mesh:added", { signerName: SIGNER, trustBundle: pem("five") }, { stage: "live" });
  try {
    await embedded.apply([added]);
    await expect.poll(() => read("live"), { timeout: 5_000 }).toBe(certificates("one", "two", "five"));
  } finally {
    embedded.store.remove("clustertrustbundles.certificates.k8s.io", undefined, added.metadata.name);
  }
  await expect.poll(() => read("all"), { timeout: 5_000 }).toBe(certificates("one", "two", "three"));
});

it("is its user's alone where all containers have the same one, as a token is", async () => {
  await using _volumes = await open("alone");
  expect((await stat(join(dir, "trust/ca"))).mode & 0o777).toBe(0o600);
});

it("without a selector none fit, and what a pod could not start without rejects", async () => {
  await expect(open("lacking")).rejects.toMatchObject({
    code: "VOLUMES_REFERENCE_MISSING",
    message: expect.stringContaining(SIGNER),
  });
});

it("where it isn't allowed that file is left out, and why is said", async () => {
  await using viewer = await connectViewer(embedded, namespace);
  await using volumes = await open("app", viewer);
  expect(await read("conf")).toBe("text");
  const obstacles = volumes.obstacles.map(({ code, message }) => [code, message.split(" ")[0]]);
  expect(obstacles).toEqual(["named", "all", "live", "absent"].map((path) => ["KUBE_FORBIDDEN", path]));
  expect(volumes.obstacles[0]).toMatchObject({ volume: "trust", hint: expect.stringContaining("clustertrustbundles") });
});

it("where no version of it is served it is as if there were none", async () => {
  const unserved = (work: "get" | "list"): never =>
    (async (type: { group: string; version: string }, ...rest: unknown[]) => {
      if (type.group !== "certificates.k8s.io") return (cluster[work] as (...all: unknown[]) => unknown)(type, ...rest);
      throw kubeError("KUBE_KIND_UNKNOWN", `the API server does not serve ${type.version}`);
    }) as never;
  await using volumes = await open("app", { ...cluster, get: unserved("get"), list: unserved("list") });
  expect(await Promise.all([read("conf"), read("none"), read("absent")])).toEqual(["text", "", ""]);
  expect(volumes.obstacles.map(({ code, message }) => [code, message])).toEqual(
    ["named", "all", "live"].map((path) => ["KUBE_KIND_UNKNOWN", `${path} is left out: the API server does not serve v1`]),
  );
});
