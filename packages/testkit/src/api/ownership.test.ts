import { expect, test } from "vitest";
import type { Json } from "../json.ts";
import { APPS, NS, world } from "./fixtures/world.ts";
import { fieldSetOf, toFieldsV1 } from "./patch/field-sets.ts";
import { messageType } from "./schema/types.ts";

const MERGE = { "content-type": "application/merge-patch+json" };
const web = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", labels: { app: "web" } },
  spec: {
    replicas: 0,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: {
        containers: [
          {
            name: "main",
            image: "node:24",
            env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "settings", key: "a" } } }],
            volumeMounts: [{ name: "scratch", mountPath: "/scratch" }],
          },
        ],
        volumes: [{ name: "scratch", emptyDir: {} }],
      },
    },
  },
};
const managers = (object: Json): Json[] =>
  object.metadata.managedFields.map(({ manager, operation, subresource, fieldsV1 }: Json) => ({
    manager,
    operation,
    subresource,
    fieldsV1,
  }));

/** As kube-apiserver 1.36 answered to the same request. */
const CREATED = {
  "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
  "f:spec": {
    "f:progressDeadlineSeconds": {},
    "f:replicas": {},
    "f:revisionHistoryLimit": {},
    "f:selector": {},
    "f:strategy": { "f:rollingUpdate": { ".": {}, "f:maxSurge": {}, "f:maxUnavailable": {} }, "f:type": {} },
    "f:template": {
      "f:metadata": { "f:labels": { ".": {}, "f:app": {} } },
      "f:spec": {
        "f:containers": {
          'k:{"name":"main"}': {
            ".": {},
            "f:env": {
              ".": {},
              'k:{"name":"A"}': { ".": {}, "f:name": {}, "f:valueFrom": { ".": {}, "f:configMapKeyRef": {} } },
            },
            "f:image": {},
            "f:imagePullPolicy": {},
            "f:name": {},
            "f:resources": {},
            "f:terminationMessagePath": {},
            "f:terminationMessagePolicy": {},
            "f:volumeMounts": { ".": {}, 'k:{"mountPath":"/scratch"}': { ".": {}, "f:mountPath": {}, "f:name": {} } },
          },
        },
        "f:dnsPolicy": {},
        "f:restartPolicy": {},
        "f:schedulerName": {},
        "f:securityContext": {},
        "f:terminationGracePeriodSeconds": {},
        "f:volumes": { ".": {}, 'k:{"name":"scratch"}': { ".": {}, "f:emptyDir": {}, "f:name": {} } },
      },
    },
  },
};

test("who creates an object owns its fields, and the maps and lists they stand in", async () => {
  await using w = await world();
  const { body } = await w.api.call("POST", `${APPS}/deployments?fieldManager=me`, web);
  expect(managers(body)).toEqual([{ manager: "me", operation: "Update", fieldsV1: CREATED }]);
});

test("replicas changed through `scale` belong to who scaled, and are a conflict to others", async () => {
  await using w = await world();
  await w.api.call("POST", `${APPS}/deployments?fieldManager=me`, web);
  await w.api.call("PATCH", `${APPS}/deployments/web/scale?fieldManager=kubectl`, { spec: { replicas: 2 } }, MERGE);
  const { body } = await w.api.get(`${APPS}/deployments/web`);
  expect(managers(body)).toContainEqual({
    manager: "kubectl",
    operation: "Update",
    subresource: "scale",
    fieldsV1: { "f:spec": { "f:replicas": {} } },
  });
  const applied = await w.api.call(
    "PATCH",
    `${APPS}/deployments/web?fieldManager=mine`,
    { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web" }, spec: { replicas: 1 } },
    { "content-type": "application/apply-patch+yaml" },
  );
  expect(applied.body.message).toBe(
    'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas',
  );
});

test("a write may say who owns what: kubectl hands fields over when it begins to apply on the server", async () => {
  await using w = await world();
  const { body } = await w.api.call("POST", `${NS}/configmaps?fieldManager=before`, { metadata: { name: "a" }, data: { x: "1" } });
  const [entry] = body.metadata.managedFields;
  const moved = [{ ...entry, manager: "after", operation: "Apply" }];
  const patch = [{ op: "replace", path: "/metadata/managedFields", value: moved }];
  const patched = await w.api.call("PATCH", `${NS}/configmaps/a`, patch, { "content-type": "application/json-patch+json" });
  expect(patched.body.metadata.managedFields).toEqual(moved);
  const cleared = await w.api.call("PATCH", `${NS}/configmaps/a`, { metadata: { managedFields: [{}] } }, MERGE);
  expect(cleared.body.metadata.managedFields).toBeUndefined();
});

test("v1 Endpoints come with a warning", async () => {
  await using w = await world();
  const { headers } = await w.api.get(`${NS}/endpoints`);
  expect(headers["warning"]).toBe('299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"');
  expect((await w.api.get(`${NS}/configmaps`)).headers["warning"]).toBeUndefined();
});

test("what the server itself fills in on creation is nobody's: addresses, the account and its token, a Job's selector", async () => {
  await using w = await world();
  const service = await w.api.call("POST", `${NS}/services?fieldManager=me`, {
    metadata: { name: "s" },
    spec: { type: "NodePort", ports: [{ port: 80 }] },
  });
  expect(managers(service.body)[0].fieldsV1["f:spec"]).toEqual({
    "f:externalTrafficPolicy": {},
    "f:internalTrafficPolicy": {},
    "f:ports": {
      ".": {},
      'k:{"port":80,"protocol":"TCP"}': { ".": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {} },
    },
    "f:sessionAffinity": {},
    "f:type": {},
  });
  const containers = [{ name: "main", image: "node:24" }];
  const pod = await w.api.call("POST", `${NS}/pods?fieldManager=me`, { metadata: { name: "p" }, spec: { containers } });
  const owned = managers(pod.body)[0].fieldsV1["f:spec"];
  expect(Object.keys(owned)).not.toEqual(expect.arrayContaining(["f:tolerations"]));
  expect(Object.keys(owned).sort()).toEqual([
    "f:containers",
    "f:dnsPolicy",
    "f:enableServiceLinks",
    "f:restartPolicy",
    "f:schedulerName",
    "f:securityContext",
    "f:terminationGracePeriodSeconds",
  ]);
  expect(Object.keys(owned["f:containers"]['k:{"name":"main"}'])).not.toContain("f:volumeMounts");
  const job = await w.api.call("POST", "/apis/batch/v1/namespaces/default/jobs?fieldManager=me", {
    metadata: { name: "j" },
    spec: { template: { spec: { restartPolicy: "Never", containers } } },
  });
  const ofJob = managers(job.body)[0].fieldsV1["f:spec"];
  expect(ofJob).not.toHaveProperty("f:selector");
  expect(Object.keys(ofJob["f:template"])).toEqual(["f:spec"]);
  const namespace = await w.api.call("POST", "/api/v1/namespaces?fieldManager=me", { metadata: { name: "n" } });
  expect(managers(namespace.body)[0].fieldsV1).not.toHaveProperty("f:spec");
});

test("owners are owned whole, by their uid; a status' lists as the real ones are kept", () => {
  const fields = (object: Json, type: string, part: "main" | "status"): Json =>
    toFieldsV1(fieldSetOf(object, messageType(type), part, { containers: true }));
  const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "r", uid: "u", controller: true };
  expect(fields({ metadata: { ownerReferences: [owner] } }, "Pod", "main")).toEqual({
    "f:metadata": { "f:ownerReferences": { ".": {}, 'k:{"uid":"u"}': {} } },
  });
  const condition = { type: "Ready", status: "True", lastProbeTime: null };
  const status = { conditions: [condition], hostIPs: [{ ip: "10.0.0.1" }], resources: {} };
  expect(fields({ status }, "Pod", "status")).toEqual({
    "f:status": {
      "f:conditions": {
        ".": {},
        'k:{"type":"Ready"}': { ".": {}, "f:lastProbeTime": {}, "f:status": {}, "f:type": {} },
      },
      "f:hostIPs": {},
      "f:resources": {},
    },
  });
  expect(fields({ status: { conditions: [{ type: "Complete", status: "True" }] } }, "Job", "status")).toEqual({
    "f:status": { "f:conditions": {} },
  });
});
