import { writeFile } from "node:fs/promises";
import { connectCluster, DEPLOYMENTS, PODS } from "@shipside/kube";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { restrictedViolations } from "./fixtures/pod-security.ts";
import { startWorld, type World } from "./fixtures/world.ts";
import { deployRelay, findRelay, openRelayLink, RELAY_LABEL, type RelaySpec, relayName } from "./index.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
}, 60_000);
afterAll(() => world[Symbol.asyncDispose]());

const signal = new AbortController().signal;
let count = 0;
const specOf = (more: Partial<RelaySpec> = {}): RelaySpec => ({
  namespace: world.namespace,
  name: relayName("dial", String(++count)),
  owner: "ann@desk",
  ...more,
});

const KINDS = [
  ...["deployments.apps", "replicasets.apps", "pods", "configmaps", "secrets", "serviceaccounts"],
  ...["roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io", "poddisruptionbudgets.policy"],
];
/** What bears the relay's label, or is owned by what does. */
const objectsOf = (name: string): string[] =>
  KINDS.flatMap((kind) =>
    world.embedded.store
      .list(kind, world.namespace)
      .flatMap(({ metadata }) => (metadata.labels?.[RELAY_LABEL] === name ? [`${kind}/${metadata.name}`] : [])),
  );
const untilGone = (name: string, timeout = 15_000): Promise<void> =>
  vi.waitFor(() => expect(objectsOf(name)).toEqual([]), { timeout, interval: 50 });

describe("a relay in the cluster", () => {
  test("is linked to, and takes everything along when it is removed", async () => {
    const spec = specOf();
    const relay = await deployRelay(world.cluster, spec, { signal });
    expect(objectsOf(spec.name).map((each) => each.split("/")[0])).toEqual(
      expect.arrayContaining([
        "deployments.apps",
        "pods",
        "configmaps",
        "secrets",
        "serviceaccounts",
        "roles.rbac.authorization.k8s.io",
      ]),
    );
    expect(relay.selfRemoving).toBe(true);
    await using link = openRelayLink({ open: (until) => relay.openControl(undefined, { signal: until }), secret: relay.secret });
    await expect(link.request("GET", "/status")).resolves.toMatchObject({ name: spec.name, ready: true });
    await expect(link.connect("127.0.0.1:1")).rejects.toMatchObject({ code: "DIAL_REFUSED" });
    await expect(link.connect("nobody.invalid:80")).rejects.toMatchObject({ code: expect.stringMatching(/^DIAL_(GONE|FAILED)$/) });
    const again = await findRelay(world.cluster, spec);
    expect(again).toMatchObject({ secret: relay.secret, uid: relay.uid, selfRemoving: true });

    await relay.remove();
    await relay.remove();
    expect(await findRelay(world.cluster, spec)).toBeUndefined();
    await untilGone(spec.name);
  });

  test("of the name of one whose pods are still there has pods of its own alone", async () => {
    const spec = specOf();
    const earlier = await deployRelay(world.cluster, spec, { signal });
    const [left] = await earlier.pods();
    await earlier.remove();
    await untilGone(spec.name);
    // As one that hasn't been told to end yet.
    const stays = `${spec.name}-left`;
    await world.cluster.create(PODS, {
      metadata: { name: stays, namespace: spec.namespace, labels: left!.metadata.labels },
      spec: { containers: [{ name: "relay", image: "node:24", command: ["node", "-e", "setInterval(() => {}, 1000)"] }] },
    } as never);
    await vi.waitFor(async () => {
      const { status } = await world.cluster.get(PODS, { namespace: spec.namespace, name: stays });
      expect(status?.phase).toBe("Running");
    }, 10_000);
    const relay = await deployRelay(world.cluster, spec, { signal });
    const pods = await relay.pods();
    expect(pods).toHaveLength(1);
    expect(pods[0]!.metadata.name).not.toBe(stays);
    await relay.remove();
    await world.cluster.delete(PODS, { namespace: spec.namespace, name: stays }, { gracePeriodSeconds: 0 });
  });

  test("refuses who has another secret, or speaks something else", async () => {
    const relay = await deployRelay(world.cluster, specOf(), { signal });
    await using link = openRelayLink({ open: () => relay.openControl(), secret: "guessed" });
    await expect(link.ready).rejects.toMatchObject({ code: "RELAY_REFUSED" });
    const stream = await relay.openControl();
    const answer = new Promise((resolve) => stream.once("data", (chunk) => resolve(String(chunk))));
    stream.write("GET / HTTP/1.1\r\n\r\n");
    expect(await answer).toMatch(/"ok":false/);
    stream.destroy();
    await relay.remove();
  });

  test("its pod, as the cluster has it, meets the restricted Pod Security level", async () => {
    const relay = await deployRelay(world.cluster, specOf({ accept: [{ port: 80, listen: 8080, protocol: "TCP", mode: "tcp" }] }), {
      signal,
    });
    const [pod] = await relay.pods();
    const { spec } = await world.cluster.get(PODS, { namespace: world.namespace, name: pod!.metadata.name });
    expect(restrictedViolations(spec as never)).toEqual([]);
    await relay.remove();
  });

  test("removes itself when nobody has been linked for its grace period", async () => {
    const spec = specOf({ graceSeconds: 1 });
    const relay = await deployRelay(world.cluster, spec, { signal });
    const link = openRelayLink({ open: () => relay.openControl(), secret: relay.secret });
    await link.ready;
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(objectsOf(spec.name)).toContain(`deployments.apps/${spec.name}`);
    await link.close();
    await untilGone(spec.name);
  });

  test("is removed at once when it is asked to end", async () => {
    const spec = specOf();
    const relay = await deployRelay(world.cluster, spec, { signal });
    await using link = openRelayLink({ open: () => relay.openControl(), secret: relay.secret });
    await link.request("POST", "/end");
    await untilGone(spec.name);
  });
});

describe("what keeps a relay from being ready is told, and nothing is left", () => {
  test("an image that can't be pulled", async () => {
    const spec = specOf({ image: "registry.invalid/no/such:1" });
    await expect(deployRelay(world.cluster, spec, { signal })).rejects.toMatchObject({
      code: "RELAY_IMAGE_UNAVAILABLE",
      message: expect.stringContaining("registry.invalid/no/such:1"),
    });
    await untilGone(spec.name);
  });

  test("a pod that no node takes", async () => {
    const { store } = world.embedded;
    const [node] = store.list("nodes");
    const cordon = (unschedulable: boolean): void =>
      void store.mutate("nodes", undefined, node!.metadata.name, (copy) => void (copy["spec"].unschedulable = unschedulable));
    cordon(true);
    const spec = specOf();
    const deploying = deployRelay(world.cluster, spec, { signal, readyTimeoutMs: 1_500 });
    await expect(deploying).rejects.toMatchObject({
      code: "RELAY_NOT_READY",
      message: expect.stringContaining("no node takes its pod"),
    });
    cordon(false);
    await untilGone(spec.name);
  });

  test("somebody who deletes it meanwhile", async () => {
    const spec = specOf({ resources: { requests: { cpu: "1000" }, limits: { cpu: "1000" } } });
    const began = performance.now();
    const deploying = deployRelay(world.cluster, spec, { signal, readyTimeoutMs: 20_000 });
    const failed = expect(deploying).rejects.toMatchObject({
      code: "RELAY_NOT_READY",
      message: expect.stringMatching(/: its Deployment was deleted$/),
    });
    await vi.waitFor(() => expect(objectsOf(spec.name).join(" ")).toMatch(/ pods\//), { timeout: 10_000, interval: 10 });
    await world.cluster.delete(DEPLOYMENTS, spec);
    await failed;
    expect(performance.now() - began).toBeLessThan(15_000);
    await untilGone(spec.name);
  });

  test("where what was made can't be removed either, both are said, and what is left", async () => {
    const spec = specOf({ image: "Not An Image" });
    const cluster = {
      ...world.cluster,
      delete: () => Promise.reject(new Error("the API server went away")),
    } as unknown as typeof world.cluster;
    const failed = (await deployRelay(cluster, spec, { signal }).catch((error: unknown) => error)) as Error;
    expect(failed).toMatchObject({
      code: "RELAY_IMAGE_UNAVAILABLE",
      message: expect.stringMatching(/; and what was made could not be removed: the API server went away$/),
      hint: expect.stringContaining(`kubectl delete deployment ${spec.name} -n ${spec.namespace}`),
      cause: { errors: [{ code: "RELAY_IMAGE_UNAVAILABLE" }, { message: "the API server went away" }] },
    });
    await world.cluster.delete(DEPLOYMENTS, spec);
    await untilGone(spec.name);
  });

  test("an abort", async () => {
    const spec = specOf();
    const abort = new AbortController();
    const deploying = deployRelay(world.cluster, spec, { signal: abort.signal });
    await vi.waitFor(() => expect(objectsOf(spec.name).length).toBeGreaterThan(2), { timeout: 10_000, interval: 1 });
    abort.abort();
    await expect(deploying).rejects.toThrow();
    await untilGone(spec.name);
  });

  test("who may not create Roles gets a relay that others have to remove", async () => {
    const rules = [
      { apiGroups: ["apps"], resources: ["deployments"], verbs: ["*"] },
      {
        apiGroups: [""],
        resources: ["configmaps", "secrets", "pods", "pods/portforward", "serviceaccounts", "events"],
        verbs: ["*"],
      },
    ];
    const { namespace } = world;
    await world.embedded.apply([
      { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata: { name: "dev", namespace }, rules },
      {
        ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind: "RoleBinding", metadata: { name: "dev", namespace } },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "dev" },
        subjects: [{ kind: "User", name: "dev" }],
      },
    ]);
    const kubeconfig = `${world.embedded.kubeconfigPath}.dev`;
    await writeFile(kubeconfig, world.embedded.addUser({ name: "dev" }));
    await using cluster = await connectCluster({ kubeconfig, namespace });
    const spec = specOf();
    const relay = await deployRelay(cluster, spec, { signal });
    expect(relay.selfRemoving).toBe(false);
    await using link = openRelayLink({ open: () => relay.openControl(), secret: relay.secret });
    await link.ready;
    await relay.remove();
    await untilGone(spec.name);
  });
});

test("from another pod, only the health port answers, and says no more than ready", async () => {
  const relay = await deployRelay(world.cluster, specOf(), { signal });
  const { namespace } = world;
  const probe = `
    const { connect } = require("net"), http = require("http");
    const host = process.argv[1];
    http.get({ host, port: 28601, path: "/status" }, (r) => {
      let text = "";
      r.on("data", (c) => (text += c)).on("end", () => {
        connect({ host, port: 28600 }).on("connect", () => end("open")).on("error", (e) => end(e.code));
        const end = (control) => { console.log(JSON.stringify({ status: r.statusCode, text, control })); process.exit(); };
      });
    });`;
  const [pod] = await relay.pods();
  await world.embedded.apply([
    {
      ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "neighbour", namespace } },
      spec: { containers: [{ name: "main", image: "node:24", command: ["node", "-e", "setInterval(() => {}, 1e6)"] }] },
    },
  ]);
  await vi.waitFor(
    async () => expect((await world.cluster.get(PODS, { namespace, name: "neighbour" })).status?.phase).toBe("Running"),
    {
      timeout: 15_000,
      interval: 50,
    },
  );
  const { stdout } = await world.cluster.exec({ namespace, name: "neighbour" }, ["node", "-e", probe, pod!.status!.podIP!]);
  // Where pods have no network namespace, the control port's loopback address is also the pod's.
  const control = pod!.status!.podIP!.startsWith("127.") ? "open" : "ECONNREFUSED";
  expect(JSON.parse(stdout.toString())).toEqual({ status: 200, text: "", control });
  await relay.remove();
});
