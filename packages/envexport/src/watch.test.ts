import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, CONFIG_MAPS, CRON_JOBS, connectCluster, PODS, STATEFUL_SETS } from "@shipside/kube";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type EnvChange, watchEnv } from "./watch.ts";

let embedded: EmbeddedCluster;
let cluster: Cluster;
let dir: string;

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const metadata = (name: string) => ({ name, namespace: "env" });
const config = (data: Record<string, string>, name = "conf") => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: metadata(name),
  data,
});
const cronJob = (env: object[], name = "nightly", configMap = "conf") => ({
  apiVersion: "batch/v1",
  kind: "CronJob",
  metadata: metadata(name),
  spec: {
    schedule: "0 3 * * *",
    suspend: true,
    jobTemplate: {
      spec: {
        template: {
          spec: {
            restartPolicy: "Never",
            enableServiceLinks: false,
            containers: [{ name: "c", image: "node", envFrom: [{ configMapRef: { name: configMap } }], env }],
          },
        },
      },
    },
  },
});
const fromSecret = [{ name: "KEY", valueFrom: { secretKeyRef: { name: "keys", key: "k", optional: true } } }];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-watch-"));
  embedded = await startCluster({ node: false, controllers: false });
  await embedded.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: "env" } }]);
  cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
});
afterEach(() => {
  for (const kind of ["cronjobs.batch", "statefulsets.apps", "pods", "configmaps", "secrets"])
    for (const { metadata: made } of embedded.store.list(kind, "env")) embedded.store.remove(kind, "env", made.name);
});
afterAll(async () => {
  await cluster?.close();
  await embedded?.close();
  await rm(dir, { recursive: true });
});

describe("watchEnv", () => {
  it("keeps the file current: a ConfigMap, a Secret that comes later, the template; and deletes it on close", async () => {
    await embedded.apply([config({ A: "1" }), cronJob([])]);
    const path = join(dir, "core.env");
    const changes: EnvChange[] = [];
    const errors: unknown[] = [];
    const read = () =>
      readFile(path, "utf8").then((text) => text.split("\n").filter((line) => line && !line.startsWith("KUBERNETES")));
    {
      await using watch = await watchEnv(cluster, {
        workload: "cronjob/nightly",
        namespace: "env",
        file: { path },
        onChange: (change) => changes.push(change),
        onError: (error) => errors.push(error),
      });
      expect(await read()).toEqual(["A=1"]);
      await embedded.apply([config({ A: "2", B: "1" })]);
      await expect.poll(read, { interval: 20 }).toEqual(["A=2", "B=1"]);
      await expect
        .poll(() => changes[0])
        .toMatchObject({
          names: ["A", "B"],
          added: [{ name: "B" }],
          removed: [],
          changed: [{ before: { value: "1" }, after: { value: "2" } }],
        });

      await embedded.apply([cronJob(fromSecret)]);
      await expect.poll(() => watch.current.references.secrets).toEqual(["keys"]);
      await embedded.apply([{ apiVersion: "v1", kind: "Secret", metadata: metadata("keys"), data: { k: base64("s3cret") } }]);
      await expect.poll(read).toEqual(["A=2", "B=1", "KEY=s3cret"]);
      await expect.poll(() => changes.at(-1)?.added).toMatchObject([{ name: "KEY", sensitive: true }]);

      const ref = { namespace: "env", name: "nightly" };
      const env = "/spec/jobTemplate/spec/template/spec/containers/0/env";
      await cluster.patch(CRON_JOBS, ref, [{ op: "add", path: env, value: [{ name: "A", value: "own" }] }], { kind: "json" });
      await expect.poll(read).toEqual(["A=own", "B=1"]);
      expect(errors).toEqual([]);
      await expect.poll(() => watch.current.entries.find(({ name }) => name === "A")?.origin.from).toBe("literal");
    }
    expect(await readdir(dir)).toEqual([]);
  });

  it("keeps what it has when something goes missing, says so, and goes on when it is back", async () => {
    await embedded.apply([config({ A: "1" }, "other"), cronJob([], "weekly", "other")]);
    const path = join(dir, "other.json");
    const errors: Array<{ code?: string }> = [];
    await using watch = await watchEnv(cluster, {
      workload: "cronjob/weekly",
      namespace: "env",
      file: { path },
      onError: (error) => errors.push(error as { code?: string }),
    });
    await cluster.delete(CONFIG_MAPS, { namespace: "env", name: "other" });
    await expect.poll(() => errors.at(-1)?.code).toBe("ENV_REFERENCE_MISSING");
    expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({ A: "1" });
    await embedded.apply([config({ A: "3" }, "other")]);
    await expect.poll(async () => JSON.parse(await readFile(path, "utf8"))).toMatchObject({ A: "3" });
    await expect.poll(() => watch.current.entries.find(({ name }) => name === "A")?.value).toBe("3");
  });

  it("goes on after the API server was away, with what was changed meanwhile", async () => {
    await embedded.apply([config({ A: "1" }, "lasting"), cronJob([], "yearly", "lasting")]);
    const path = join(dir, "lasting.json");
    await using watch = await watchEnv(cluster, { workload: "cronjob/yearly", namespace: "env", file: { path } });
    await embedded.stop();
    try {
      embedded.store.mutate("configmaps", "env", "lasting", (copy) => {
        copy["data"] = { A: "2" };
      });
    } finally {
      await embedded.start();
    }
    await expect.poll(async () => JSON.parse(await readFile(path, "utf8")), { timeout: 12_000 }).toMatchObject({ A: "2" });
    await embedded.apply([config({ A: "3" }, "lasting")]);
    await expect.poll(async () => JSON.parse(await readFile(path, "utf8"))).toMatchObject({ A: "3" });
    await expect.poll(() => watch.current.entries.find(({ name }) => name === "A")?.value).toBe("3");
  });

  it("follows the selection only: the file, and what is told as a change", async () => {
    await embedded.apply([config({ A: "1", B: "1" }, "chosen"), cronJob([], "daily", "chosen")]);
    const path = join(dir, "chosen.json");
    const names: string[][] = [];
    await using watch = await watchEnv(cluster, {
      workload: "cronjob/daily",
      namespace: "env",
      file: { path },
      select: { only: ["A"], set: { C: "3" } },
      onChange: (change) => names.push(change.names),
    });
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual({ A: "1", C: "3" });
    await embedded.apply([config({ A: "1", B: "2" }, "chosen")]);
    await embedded.apply([config({ A: "2", B: "2" }, "chosen")]);
    await expect.poll(() => names).toEqual([["A"]]);
    expect(watch.current.entries.map(({ value }) => value)).toEqual(["2", "3"]);
  });

  it("takes the new pod's values when a pod is replaced, and keeps the old one's until then", async () => {
    const name = { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } };
    const refers = { name: "REFERS", value: "at $(NAME)" };
    const spec = { enableServiceLinks: false, containers: [{ name: "c", image: "node", env: [name, refers] }] };
    const labels = { app: "replaced" };
    const set = {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: metadata("replaced"),
      spec: { serviceName: "x", replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    };
    await embedded.apply([set]);
    const { uid } = (await cluster.get(STATEFUL_SETS, { namespace: "env", name: "replaced" })).metadata;
    // Nobody runs pods here: their status is ours to write.
    const run = (pod: string) =>
      embedded.apply([
        {
          apiVersion: "v1",
          kind: "Pod",
          metadata: {
            ...metadata(pod),
            labels,
            ownerReferences: [{ apiVersion: "apps/v1", kind: "StatefulSet", name: "replaced", uid, controller: true }],
          },
          spec: { ...spec, nodeName: "elsewhere" },
          status: { phase: "Running" },
        },
      ]);
    await run("one");
    const path = join(dir, "replaced.json");
    const read = async () => JSON.parse(await readFile(path, "utf8")) as Record<string, string>;
    const changes: EnvChange[] = [];
    await using watch = await watchEnv(cluster, {
      workload: "statefulset/replaced",
      namespace: "env",
      file: { path },
      onChange: (change) => changes.push(change),
    });
    expect(await read()).toMatchObject({ NAME: "one", REFERS: "at one" });
    await cluster.delete(PODS, { namespace: "env", name: "one" }, { gracePeriodSeconds: 0 });
    const own = [name, refers, { name: "MORE", value: "1" }];
    await embedded.apply([
      {
        ...set,
        spec: {
          ...set.spec,
          template: { metadata: { labels }, spec: { ...spec, containers: [{ ...spec.containers[0], env: own }] } },
        },
      },
    ]);
    await expect.poll(read).toMatchObject({ NAME: "one", REFERS: "at one", MORE: "1" });
    await run("two");
    await expect.poll(read).toMatchObject({ NAME: "two", REFERS: "at two" });
    await expect.poll(() => watch.current.pod?.name).toBe("two");
    expect(changes.map(({ names }) => names)).toEqual([["MORE"], ["NAME", "REFERS"]]);
  });

  it("stays with a StatefulSet's replica while that restarts, and takes no other one's values meanwhile", async () => {
    const name = { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } };
    const address = { name: "ADDRESS", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } };
    const conf = { configMapRef: { name: "replicas" } };
    const spec = { enableServiceLinks: false, containers: [{ name: "c", image: "node", envFrom: [conf], env: [name, address] }] };
    const labels = { app: "db" };
    const set = {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: metadata("db"),
      spec: { serviceName: "x", replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    };
    await embedded.apply([config({ A: "1" }, "replicas"), set]);
    const { uid } = (await cluster.get(STATEFUL_SETS, { namespace: "env", name: "db" })).metadata;
    // Nobody runs pods here: their status is ours to write.
    const run = (pod: string, podIP: string) =>
      embedded.apply([
        {
          apiVersion: "v1",
          kind: "Pod",
          metadata: {
            ...metadata(pod),
            labels: { ...labels, "statefulset.kubernetes.io/pod-name": pod },
            ownerReferences: [{ apiVersion: "apps/v1", kind: "StatefulSet", name: "db", uid, controller: true }],
          },
          spec: { ...spec, nodeName: "elsewhere" },
          status: { phase: "Running", podIP },
        },
      ]);
    await run("db-0", "10.0.0.1");
    await run("db-1", "10.0.0.2");
    const path = join(dir, "replicas.json");
    const read = async () => JSON.parse(await readFile(path, "utf8")) as Record<string, string>;
    const changes: string[][] = [];
    const errors: unknown[] = [];
    await using watch = await watchEnv(cluster, {
      ...{ workload: "statefulset/db", namespace: "env", file: { path } },
      onChange: ({ names }) => changes.push(names),
      onError: (error) => errors.push(error),
    });
    expect(await read()).toMatchObject({ NAME: "db-0", ADDRESS: "10.0.0.1" });
    await cluster.delete(PODS, { namespace: "env", name: "db-0" }, { gracePeriodSeconds: 0 });
    // What else changes is followed: the env is collected again while there is only the other one.
    await embedded.apply([config({ A: "2" }, "replicas")]);
    await expect.poll(read).toMatchObject({ A: "2" });
    expect(await read()).toMatchObject({ NAME: "db-0", ADDRESS: "10.0.0.1" });
    await run("db-0", "10.0.0.3");
    await expect.poll(read).toMatchObject({ NAME: "db-0", ADDRESS: "10.0.0.3" });
    await expect.poll(() => changes).toEqual([["A"], ["ADDRESS"]]);
    expect(watch.current.pod?.name).toBe("db-0");
    expect(errors).toEqual([]);
  });

  it("rejects, and leaves no file, when there is nothing to follow", async () => {
    const path = join(dir, "none.env");
    await expect(watchEnv(cluster, { workload: "cronjob/none", namespace: "env", file: { path } })).rejects.toMatchObject({
      code: "KUBE_WORKLOAD_UNKNOWN",
    });
    expect(await readdir(dir)).toEqual([]);
  });
});
