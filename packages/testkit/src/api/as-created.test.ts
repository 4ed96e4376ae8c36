import { expect, test } from "vitest";
import { APPS, NS, world } from "./fixtures/world.ts";

// What kube-apiserver 1.36 answers beyond what was sent.

const MERGE = { "content-type": "application/merge-patch+json" };
const template = { metadata: { labels: { app: "a" } }, spec: { containers: [{ name: "main", image: "node:24" }] } };
const deployment = { metadata: { name: "a" }, spec: { selector: { matchLabels: { app: "a" } }, template } };

test("empty labels, annotations, owners and finalizers aren't there", async () => {
  await using w = await world();
  const metadata = { name: "bare", labels: {}, annotations: {}, ownerReferences: [], finalizers: [] };
  const { body } = await w.api.call("POST", `${NS}/configmaps`, { metadata });
  expect(Object.keys(body.metadata).sort()).toEqual(["creationTimestamp", "name", "namespace", "resourceVersion", "uid"]);
});

test("a Job that has no labels has its template's", async () => {
  await using w = await world();
  const jobs = "/apis/batch/v1/namespaces/default/jobs";
  const spec = { template: { spec: { restartPolicy: "Never", containers: template.spec.containers } } };
  const { body } = await w.api.call("POST", jobs, { metadata: { name: "once" }, spec });
  expect(body.metadata.labels).toEqual(body.spec.template.metadata.labels);
  expect(body.metadata.labels).toMatchObject({ "job-name": "once" });
  const labelled = await w.api.call("POST", jobs, { metadata: { name: "own", labels: { a: "b" } }, spec });
  expect(labelled.body.metadata.labels).toEqual({ a: "b" });
});

test("annotations of a Deployment are a new generation, a pod's node is none", async () => {
  await using w = await world();
  await w.api.call("POST", `${APPS}/deployments`, deployment);
  const annotated = await w.api.call("PATCH", `${APPS}/deployments/a`, { metadata: { annotations: { why: "so" } } }, MERGE);
  expect(annotated.body.metadata.generation).toBe(2);
  const labelled = await w.api.call("PATCH", `${APPS}/deployments/a`, { metadata: { labels: { why: "so" } } }, MERGE);
  expect(labelled.body.metadata.generation).toBe(2);
  await w.api.call("POST", `${NS}/pods`, { metadata: { name: "p" }, spec: template.spec });
  w.cluster.store.mutate("pods", "default", "p", (pod) => void (pod["spec"].nodeName = "n"));
  expect((await w.api.get(`${NS}/pods/p`)).body).toMatchObject({ metadata: { generation: 1 }, spec: { nodeName: "n" } });
});

test("a PriorityClass preempts unless it says otherwise", async () => {
  await using w = await world();
  const classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
  const { body } = await w.api.call("POST", classes, { metadata: { name: "high" }, value: 5 });
  expect(body.preemptionPolicy).toBe("PreemptLowerPriority");
  const never = await w.api.call("POST", classes, { metadata: { name: "low" }, value: 1, preemptionPolicy: "Never" });
  expect(never.body.preemptionPolicy).toBe("Never");
});

test("who may do all is told of it and of what everybody may", async () => {
  await using w = await world();
  const { body } = await w.api.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {
    spec: { namespace: "default" },
  });
  const { resourceRules, nonResourceRules } = body.status;
  expect(resourceRules).toContainEqual({ verbs: ["*"], apiGroups: ["*"], resources: ["*"] });
  expect(resourceRules).toContainEqual({
    verbs: ["create"],
    apiGroups: ["authentication.k8s.io"],
    resources: ["selfsubjectreviews"],
  });
  expect(nonResourceRules).toContainEqual({ verbs: ["*"], nonResourceURLs: ["*"] });
  expect(nonResourceRules).toContainEqual({ verbs: ["get"], nonResourceURLs: expect.arrayContaining(["/healthz", "/version"]) });
});
