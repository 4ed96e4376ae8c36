import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createCloser, type Logger, silentLogger } from "@shipside/core";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { leaseOf, roleBindingOf, roleOf } from "../manifest.ts";
import { INTERCEPT_ANNOTATION, type RelayConfig } from "../protocol.ts";
import { watchEnding } from "./ending.ts";
import { inClusterApi, type KubeApi } from "./kube-api.ts";
import { createLeases } from "./lease.ts";
import { restoreService } from "./restore.ts";

let cluster: EmbeddedCluster;
const closer = createCloser();
beforeAll(async () => {
  cluster = closer.use(await startCluster({ node: false, controllers: false }));
}, 60_000);
// A test that failed may have left it stopped.
afterEach(() => cluster.start());
afterAll(() => closer.close());

const original = { app: "web", tier: "front" };
const switched = { app: "relay-x", tier: "relay-x" };
const signal = AbortSignal.timeout(120_000);
let count = 0;

interface Intercepted {
  config: RelayConfig;
  /** With the rights that a deployed relay has, and no others. */
  api: KubeApi;
  service(): { spec: { selector: unknown }; metadata: { annotations?: Record<string, string> } } | undefined;
  deployment(): unknown;
  change(to: (service: { spec: { selector: unknown }; metadata: { annotations?: Record<string, string> } }) => void): void;
}

/** A namespace with a Service that is switched, and what a relay of two replicas leaves in a cluster. */
async function intercepted({ graceSeconds = 60 } = {}): Promise<Intercepted> {
  const namespace = `ns-${++count}`;
  const name = `relay-${count}`;
  const [, service] = await cluster.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    {
      ...{ apiVersion: "v1", kind: "Service" },
      metadata: { name: "web", namespace, annotations: { [INTERCEPT_ANNOTATION]: "{}", other: "stays" } },
      spec: { selector: switched, ports: [{ port: 80 }] },
    },
  ]);
  const { uid } = service!.metadata;
  const record = { service: "web", uid, original, switched };
  const spec = { namespace, name, owner: "ann@desk", replicas: 2 as const, switch: record };
  const rbac = "rbac.authorization.k8s.io/v1";
  const pod = { metadata: { labels: { a: name } }, spec: { containers: [{ name: "c", image: "i" }] } };
  await cluster.apply([
    {
      ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name, namespace } },
      ...{ spec: { replicas: 2, selector: { matchLabels: { a: name } }, template: pod } },
    },
    { apiVersion: rbac, kind: "Role", ...roleOf(spec, "uid"), metadata: { name, namespace } },
    { apiVersion: rbac, kind: "RoleBinding", ...roleBindingOf(spec, "uid"), metadata: { name, namespace } },
    { apiVersion: "coordination.k8s.io/v1", kind: "Lease", ...leaseOf(spec, "uid"), metadata: { name, namespace } },
  ]);
  const directory = await mkdtemp(join(tmpdir(), "shipside-relay-"));
  closer.defer(() => rm(directory, { recursive: true }));
  const user = `system:serviceaccount:${namespace}:${name}`;
  const token = `of-${name}`;
  cluster.addUser({ name: user, token });
  await writeFile(join(directory, "token"), `${token}\n`);
  await writeFile(join(directory, "ca.crt"), cluster.ca);
  const { hostname, port } = new URL(cluster.server);
  return {
    config: { name, namespace, graceSeconds, accept: [{ port: 80, listen: 8080, protocol: "TCP", mode: "http" }], switch: record },
    api: inClusterApi(directory, { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port })!,
    service: () => cluster.store.get("services", namespace, "web") as never,
    deployment: () => cluster.store.get("deployments.apps", namespace, name),
    change: (to) => void cluster.store.mutate("services", namespace, "web", to as never),
  };
}

const back = (at: Intercepted): void => {
  expect(at.service()?.spec.selector).toEqual(original);
  expect(at.service()?.metadata.annotations).toEqual({ other: "stays" });
};

describe("restoreService", () => {
  test("gives the Service its selector back, and takes the annotation off and nothing else", async () => {
    const at = await intercepted();
    expect(await restoreService(at.api, at.config, silentLogger, signal)).toBe("restored");
    back(at);
    expect(await restoreService(at.api, at.config, silentLogger, signal)).toBe("left");
  });

  test("the selector's field managers get it back: who applies another one later, server-side, has no conflict with us", async () => {
    const at = await intercepted();
    const owners = [{ manager: "ci", operation: "Apply" }];
    const fields = (owned: object): object => ({
      apiVersion: "v1",
      fieldsType: "FieldsV1",
      time: "2026-01-01T00:00:00Z",
      fieldsV1: owned,
    });
    const selector = { "f:selector": {} };
    at.change((service) => {
      service.metadata.annotations![INTERCEPT_ANNOTATION] = JSON.stringify({ owners });
      Object.assign(service.metadata, {
        managedFields: [
          { ...owners[0], ...fields({ "f:spec": { "f:ports": {} } }) },
          { manager: "shipside", operation: "Update", ...fields({ "f:spec": selector }) },
        ],
      });
    });
    expect(await restoreService(at.api, at.config, silentLogger, signal)).toBe("restored");
    back(at);
    const managed = (at.service()!.metadata as { managedFields?: Array<{ manager: string; fieldsV1: object }> }).managedFields;
    expect(managed?.map(({ manager }) => manager)).toEqual(["ci"]);
    expect(managed?.[0]?.fieldsV1).toMatchObject({ "f:spec": { "f:ports": {}, ...selector } });
  });

  test("leaves a Service whose selector isn't ours any more, that is another one, or that is gone", async () => {
    const at = await intercepted();
    at.change((service) => {
      service.spec.selector = { app: "web", tier: "relay-x" };
    });
    expect(await restoreService(at.api, at.config, silentLogger, signal)).toBe("left");
    expect(at.service()?.spec.selector).toEqual({ app: "web", tier: "relay-x" });

    const other = await intercepted();
    const config = { ...other.config, switch: { ...other.config.switch!, uid: "another" } };
    expect(await restoreService(other.api, config, silentLogger, signal)).toBe("left");
    cluster.store.remove("services", other.config.namespace, "web");
    expect(await restoreService(other.api, other.config, silentLogger, signal)).toBe("left");
  });

  test("two replicas at once, and somebody who changes the Service meanwhile", async () => {
    const at = await intercepted();
    let touched = 0;
    const racing: KubeApi = {
      request: async (method, path, options) => {
        if (method === "PATCH" && touched++ === 0) {
          at.change((service) => {
            service.metadata.annotations = { ...service.metadata.annotations, other: "changed" };
          });
        }
        return at.api.request(method, path, options);
      },
    };
    const results = await Promise.all([racing, at.api].map((api) => restoreService(api, at.config, silentLogger, signal)));
    expect(results).toContain("restored");
    expect(results).not.toContain("given-up");
    expect(at.service()?.spec.selector).toEqual(original);
    expect(at.service()?.metadata.annotations?.[INTERCEPT_ANNOTATION]).toBeUndefined();
  });

  test("is tried until the API server is back", async () => {
    const at = await intercepted();
    await cluster.stop();
    let done = false;
    const restoring = restoreService(at.api, at.config, silentLogger, signal).finally(() => {
      done = true;
    });
    await sleep(600);
    expect(done).toBe(false);
    await cluster.start();
    expect(await restoring).toBe("restored");
    back(at);
  });

  test("gives up when it is told to", async () => {
    const at = await intercepted();
    const undo = cluster.faults.fail({ resource: "services", status: 500 });
    expect(await restoreService(at.api, at.config, silentLogger, AbortSignal.timeout(300))).toBe("given-up");
    undo();
  });

  test("the relay's rights reach no further", async () => {
    const { api, config } = await intercepted();
    const base = `/api/v1/namespaces/${config.namespace}`;
    for (const [method, path] of [
      ["GET", `${base}/services`],
      ["GET", `${base}/services/other`],
      ["DELETE", `${base}/services/web`],
      ["GET", `${base}/secrets/x`],
      ["PATCH", `/apis/apps/v1/namespaces/${config.namespace}/deployments/${config.name}`],
    ] as const) {
      await expect(api.request(method, path), path).rejects.toMatchObject({ details: { status: 403 } });
    }
  });
});

describe("a relay's end", () => {
  const timing = { settleMs: 10, boundMs: 1_000, terminateBoundMs: 1_000, lastReadyMs: 1_500, terminateRestoreMs: 2_000 };
  interface Replica {
    leases: ReturnType<typeof createLeases>;
    ending: ReturnType<typeof watchEnding>;
    order: string[];
  }
  const replica = (at: Intercepted, pod: string, logger: Logger = silentLogger): Replica => {
    const leases = createLeases({ accept: at.config.accept, logger });
    const order: string[] = [];
    const accept = {
      drain: async () => void order.push(`drained with the selector ${JSON.stringify(at.service()?.spec.selector)}`),
      leave: async () => void order.push("left"),
    };
    const ending = watchEnding({ config: at.config, api: at.api, leases, accept, pod, logger, timing });
    closer.use(leases);
    closer.use(ending);
    return { leases, ending, order };
  };
  const lease = { id: "a", holder: "ann@desk", ports: [80], match: { all: true }, holdMs: 0 };
  const drainedAfter = [`drained with the selector ${JSON.stringify(original)}`];

  test("asked to: restores, then drains, then removes itself; once", async () => {
    const at = await intercepted();
    const { ending, order } = replica(at, "p1");
    await Promise.all([ending.end("asked"), ending.end("asked")]);
    back(at);
    expect(order).toEqual(drainedAfter);
    expect(at.deployment()).toBeUndefined();
  });

  test("its rights went with its Deployment: SIGTERM has it leave at once, whether it was the one that ended or not", async () => {
    const at = await intercepted();
    const asked: string[] = [];
    const api: KubeApi = {
      request(method, path, options) {
        asked.push(`${method} ${path.split("/").at(-2)}`);
        return at.api.request(method, path, options);
      },
    };
    const [one, other] = [replica({ ...at, api }, "p1"), replica({ ...at, api }, "p2")];
    await one.ending.end("asked");
    cluster.store.remove("rolebindings.rbac.authorization.k8s.io", at.config.namespace, at.config.name);
    // Heartbeats go on.
    const since = (): string[] => asked.splice(0).filter((each) => !each.endsWith("leases"));
    since();
    await one.ending.terminate();
    expect(since()).toEqual([]);
    await other.ending.terminate();
    expect(since()).toEqual(["GET deployments"]);
    expect([one.order.at(-1), other.order.at(-1)]).toEqual(["left", "left"]);
  });

  test("comes by itself when nobody has had a lease for the grace period", async () => {
    const at = await intercepted({ graceSeconds: 1.5 });
    const { leases, order } = replica(at, "p1");
    leases.linked("link");
    leases.put("link", "a", lease);
    await sleep(2_000);
    expect(at.service()?.spec.selector).toEqual(switched);
    leases.delete("a");
    await sleep(200);
    expect(at.service()?.spec.selector).toEqual(switched);
    await vi.waitFor(() => expect(at.deployment()).toBeUndefined(), { timeout: 10_000 });
    back(at);
    expect(order).toEqual(drainedAfter);
  });

  test("a replica without leases doesn't end what another one still serves", async () => {
    const at = await intercepted({ graceSeconds: 1.2 });
    const [one, other] = [replica(at, "p1"), replica(at, "p2")];
    one.leases.linked("link");
    one.leases.put("link", "a", lease);
    await sleep(4_000);
    expect(at.service()?.spec.selector).toEqual(switched);
    expect(other.order).toEqual([]);
    one.leases.delete("a");
    await vi.waitFor(() => back(at), { timeout: 5_000 });
    await vi.waitFor(() => expect([...one.order, ...other.order].length).toBeGreaterThan(0), 10_000);
  });

  test("nor after the API server was away for longer than the grace period", async () => {
    const at = await intercepted({ graceSeconds: 1.2 });
    const [one, other] = [replica(at, "p1"), replica(at, "p2")];
    one.leases.linked("link");
    one.leases.put("link", "a", lease);
    await sleep(400);
    await cluster.stop();
    await sleep(2_000);
    await cluster.start();
    await sleep(2_000);
    expect(at.service()?.spec.selector).toEqual(switched);
    expect(other.order).toEqual([]);
  });

  test("the grace period ends while the API server is away: restored when it is back", async () => {
    const at = await intercepted({ graceSeconds: 0.4 });
    replica(at, "p1");
    await cluster.stop();
    await sleep(900);
    await cluster.start();
    await vi.waitFor(() => back(at), { timeout: 5_000 });
  });

  test("SIGTERM: the last ready replica restores, another one leaves it", async () => {
    const at = await intercepted();
    const ready = (readyReplicas: number): void =>
      void cluster.store.mutate("deployments.apps", at.config.namespace, at.config.name, (deployment) => {
        deployment["status"] = { readyReplicas };
      });
    ready(1);
    const one = replica(at, "p1");
    // One question that isn't answered says nothing.
    cluster.faults.fail({ resource: "deployments.apps", verbs: ["get"], status: 500, times: 1 });
    await one.ending.terminate();
    expect(at.service()?.spec.selector).toEqual(switched);
    expect(one.order).toHaveLength(2);

    // Still counted when it is told to go, and no longer a moment later.
    const other = replica(at, "p2");
    setTimeout(() => ready(0), 150);
    await other.ending.terminate();
    back(at);
    expect(other.order).toEqual([...drainedAfter, "left"]);
    expect(at.deployment()).toBeDefined();
  });
});
