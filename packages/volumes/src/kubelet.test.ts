import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Cluster, CONFIG_MAPS, connectCluster, type KubeObject, NAMESPACES, PODS, type Pod, SECRETS } from "@shipside/kube";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { openVolumes } from "./volumes.ts";

/** With the kubeconfig of a real cluster its kubelet is what ours is held to, in a namespace that is made for it and deleted. */
const real = process.env["SHIPSIDE_E2E_KUBECONFIG"];
const namespace = `layout-${randomBytes(4).toString("hex")}`;
/** Runs, and has `find`, `stat` and `base64`. */
const image = process.env["SHIPSIDE_E2E_SHELL_IMAGE"] ?? "busybox:1.36";
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

let embedded: EmbeddedCluster | undefined;
let cluster: Cluster;
let dir: string;

const base64 = (text: string): string => Buffer.from(text).toString("base64");
/** What `%q` writes in ways of its own. */
const odd = 'tab\t bell\u0007 quote" \\ <&> nul\u0001 é 雪 \u00a0 \u2028 \u200b 😀 del\u007f';

const volumes = [
  { name: "conf", configMap: { name: "conf" } },
  { name: "strict", configMap: { name: "conf", defaultMode: 0o440 } },
  {
    name: "picked",
    configMap: {
      name: "conf",
      defaultMode: 0o400,
      items: [
        { key: "a.txt", path: "deep/er/a" },
        { key: "run.sh", path: "bin/run", mode: 0o755 },
      ],
    },
  },
  { name: "keys", secret: { secretName: "keys" } },
  { name: "closed", secret: { secretName: "keys", defaultMode: 0o400, items: [{ key: "pem", path: "tls/pem", mode: 0o600 }] } },
  { name: "absent", configMap: { name: "absent", optional: true } },
  { name: "lacking", secret: { secretName: "keys", optional: true, items: [{ key: "none", path: "none" }] } },
  {
    name: "about",
    downwardAPI: {
      items: [
        { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
        { path: "annotations", fieldRef: { fieldPath: "metadata.annotations" } },
        { path: "one", fieldRef: { fieldPath: "metadata.annotations['odd']" }, mode: 0o444 },
        { path: "who/name", fieldRef: { fieldPath: "metadata.name" } },
        { path: "who/uid", fieldRef: { fieldPath: "metadata.uid" } },
        { path: "cpu", resourceFieldRef: { containerName: "main", resource: "limits.cpu", divisor: "1m" } },
        { path: "memory", resourceFieldRef: { containerName: "main", resource: "requests.memory", divisor: "1Ki" } },
      ],
    },
  },
  {
    name: "all",
    projected: {
      defaultMode: 0o640,
      sources: [
        { secret: { name: "keys", items: [{ key: "pem", path: "tls/pem", mode: 0o400 }] } },
        { configMap: { name: "conf" } },
        { configMap: { name: "absent", optional: true } },
        { downwardAPI: { items: [{ path: "ns", fieldRef: { fieldPath: "metadata.namespace" }, mode: 0o404 }] } },
        { serviceAccountToken: { path: "tokens/vault", audience: "vault", expirationSeconds: 3_600 } },
      ],
    },
  },
];
const paths = [...volumes.map(({ name }) => `/v/${name}`), SERVICE_ACCOUNT];

const create = (type: typeof PODS | typeof SECRETS | typeof CONFIG_MAPS, name: string, fields: object, metadata: object = {}) =>
  cluster.create(type as typeof PODS, { metadata: { ...metadata, name, namespace }, ...fields } as unknown as Pod);

beforeAll(async () => {
  embedded = real === undefined ? await startCluster() : undefined;
  cluster = await connectCluster({ kubeconfig: real ?? embedded!.kubeconfigPath });
  await cluster.create(NAMESPACES, { metadata: { name: namespace } } as KubeObject);
  await create(CONFIG_MAPS, "conf", {
    data: { "a.txt": "text\n", "run.sh": "#!/bin/sh\n", empty: "" },
    binaryData: { bin: base64("\u0000\u0001") },
  });
  await create(SECRETS, "keys", { data: { password: base64("pa55word"), pem: base64("PEM\n") } });
  // The controller makes it a moment later.
  await vi.waitFor(() => cluster.get(CONFIG_MAPS, { namespace, name: "kube-root-ca.crt" }), { timeout: 30_000, interval: 100 });
}, 60_000);
afterAll(async () => {
  await cluster?.delete(NAMESPACES, { name: namespace });
  await cluster?.close();
  await embedded?.close();
}, 60_000);
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "layout-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Prints each entry below the folder: its type, permission bits, and content or target. */
const LIST = `cd "$1" && find . | sort | while read -r p; do
  if [ -L "$p" ]; then echo "link $p $(readlink "$p")"
  elif [ -d "$p" ]; then echo "directory $p $(stat -c %a "$p")"
  else echo "file $p $(stat -c %a "$p") $(base64 "$p" | tr -d '\\n')"; fi; done`;

/** One line an entry, with what is different each time taken out: the time in names, a token's content. */
const normal = (listed: string): string[] =>
  listed
    .trim()
    .split("\n")
    // The folder itself: a pod's is open to all, ours to its user alone.
    .filter((line) => !/^directory \. /.test(line))
    .map((line) => line.replace(/\.\.\d{4}(_\d\d){5}\.\w+/g, "..TIME"))
    // What a fsGroup makes of folders besides is the group that files get, which here is the user's.
    .map((line) => line.replace(/^(directory .*) 2(\d{3})$/, "$1 $2"))
    .map((line) => line.replace(/^(file \S*\/(token|tokens\/vault) \d+) .*/, "$1 TOKEN"))
    .map((line) => line.replace(/^(file \S*\/annotations \d+) (.*)/, (_, file, data) => `${file} ${ofApi(data)}`))
    .sort();

/** Two that the kubelet adds for itself, which the API doesn't have. */
const ofApi = (data: string): string =>
  Buffer.from(data, "base64")
    .toString()
    .replace(/^kubernetes\.io\/config\.(seen|source)=.*\n/gm, "");

const inPod = async (name: string, path: string): Promise<string[]> => {
  const { exitCode, stdout, stderr } = await cluster.exec({ namespace, name }, ["sh", "-ec", LIST, "sh", path], {
    container: "main",
  });
  expect(exitCode, stderr.toString()).toBe(0);
  return normal(stdout.toString());
};
const here = async (path: string): Promise<string[]> =>
  normal((await promisify(execFile)("sh", ["-ec", LIST, "sh", path], { maxBuffer: 1e7 })).stdout);

describe.each([
  ["plain", {}],
  ["with a user", { runAsUser: 1234, runAsGroup: 1234, fsGroup: 1234 }],
  ["with a user alone", { runAsUser: 1234 }],
])("a pod %s", (title, securityContext) => {
  it("has just the files, links and modes that are brought", async () => {
    const name = title.replaceAll(" ", "-");
    // Whom no group lets in can read nothing that is root's alone.
    const readable = "runAsUser" in securityContext && !("fsGroup" in securityContext) ? [SERVICE_ACCOUNT] : paths;
    await create(
      PODS,
      name,
      {
        spec: {
          terminationGracePeriodSeconds: 0,
          securityContext,
          volumes,
          containers: [
            {
              name: "main",
              image,
              imagePullPolicy: "IfNotPresent",
              command: ["sleep", "98765"],
              resources: { limits: { cpu: "250m" }, requests: { cpu: "10m", memory: "8Mi" } },
              volumeMounts: volumes.map((each) => ({ name: each.name, mountPath: `/v/${each.name}` })),
            },
          ],
        },
      },
      { labels: { app: "layout", tier: "gold" }, annotations: { odd, plain: "x" } },
    );
    const phase = async (): Promise<unknown> => (await cluster.get(PODS, { namespace, name })).status?.phase;
    await expect.poll(phase, { timeout: 60_000 }).toBe("Running");
    const wanted = { workload: `pod/${name}`, namespace, dir: join(dir, "root"), only: paths };
    await using ours = await openVolumes(cluster, wanted);
    expect(ours.obstacles).toEqual([]);
    for (const path of readable)
      expect([path, ...(await here(join(ours.dir, path)))]).toEqual([path, ...(await inPod(name, path))]);
    await cluster.delete(PODS, { namespace, name }, { gracePeriodSeconds: 0 });
  }, 120_000);
});
