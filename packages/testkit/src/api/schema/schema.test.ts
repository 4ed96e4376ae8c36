import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeProtobuf } from "../fixtures/protobuf.ts";
import { BUILT_IN } from "../resources.ts";
import { conform } from "./decode.ts";
import { parseTypes } from "./notation.ts";
import { decodeProtobuf } from "./protobuf.ts";
import { kindType, messageType } from "./types.ts";

const DEPLOYMENT = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", labels: { app: "web", empty: "" }, creationTimestamp: "2026-01-02T03:04:05Z" },
  spec: {
    replicas: 0,
    selector: { matchLabels: { app: "web" }, matchExpressions: [{ key: "a", operator: "In", values: ["", "b"] }] },
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: 0 } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: {
        containers: [
          {
            name: "a",
            image: "node:24",
            command: ["sh", "-c", "été ☃"],
            env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "c", key: "k", optional: false } } }],
            ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
            resources: { limits: { cpu: "500m", memory: "1Gi" } },
            livenessProbe: { httpGet: { path: "/", port: "http" }, initialDelaySeconds: 3 },
          },
        ],
        volumes: [
          { name: "v", emptyDir: {} },
          { name: "c", configMap: { name: "c", items: [{ key: "k", path: "p" }] } },
        ],
        securityContext: {},
        terminationGracePeriodSeconds: 0,
        tolerations: [{ operator: "Exists", tolerationSeconds: -1 }],
      },
    },
  },
};

describe("protobuf", () => {
  test("a Deployment is read as it was written, zero values behind pointers and inlined fields included", () => {
    expect(decodeProtobuf(encodeProtobuf(DEPLOYMENT))).toEqual(DEPLOYMENT);
  });

  test("what Go writes of a field that isn't a pointer though it is zero is not there", () => {
    const wire = encodeProtobuf({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "" },
      spec: { clusterIP: "", ports: [{ port: 80, nodePort: 0 }] },
    });
    expect(decodeProtobuf(wire)).toEqual({ apiVersion: "v1", kind: "Service", spec: { ports: [{ port: 80 }] } });
  });

  test("ConfigMaps and Secrets of any content", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z.]{1,8}$/), fc.string()), (data) => {
        const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" }, data };
        expect(decodeProtobuf(encodeProtobuf(configMap)).data ?? {}).toEqual(data);
        const encoded = Object.fromEntries(
          Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
        );
        const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, data: encoded };
        expect(decodeProtobuf(encodeProtobuf(secret)).data ?? {}).toEqual(encoded);
      }),
    );
  });

  test("bytes that are none are refused, cut short anywhere", () => {
    expect(() => decodeProtobuf(Buffer.from("{}"))).toThrow(expect.objectContaining({ code: "BadRequest" }));
    const wire = encodeProtobuf(DEPLOYMENT);
    fc.assert(
      fc.property(fc.integer({ min: 4, max: wire.length - 1 }), (length) => {
        try {
          decodeProtobuf(wire.subarray(0, length));
        } catch (error) {
          expect(error).toMatchObject({ code: "BadRequest" });
        }
      }),
    );
  });
});

describe("conform", () => {
  const check = (object: object, kind = "Deployment") => conform(object, messageType(kind)!, kind, "v1");

  test("leaves a good object as it is", () => {
    const copy = structuredClone(DEPLOYMENT);
    expect(check(copy)).toEqual([]);
    expect(copy).toEqual(DEPLOYMENT);
  });

  test("takes out what the type doesn't have, and says where it was; nulls go silently", () => {
    const object = {
      kind: "Pod",
      metadata: { name: "a", labels: { x: null } },
      spec: { colour: 1, containers: [{ name: "a", imag: "b" }], nodeName: null },
    };
    expect(check(object, "Pod")).toEqual(["spec.colour", "spec.containers[0].imag"]);
    expect(object).toEqual({ kind: "Pod", metadata: { name: "a", labels: {} }, spec: { containers: [{ name: "a" }] } });
  });

  test.each([
    [{ spec: { replicas: "3" } }, "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"],
    [
      { spec: { replicas: 1.5 } },
      "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
    ],
    [{ spec: { paused: "yes" } }, "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool"],
    [
      { spec: { template: [] } },
      "json: cannot unmarshal array into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec",
    ],
    [
      { metadata: { labels: { a: 1 } } },
      "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
    ],
    [
      { metadata: { finalizers: "a" } },
      "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.finalizers of type []string",
    ],
  ])("%j is of the wrong type", (object, message) => {
    expect(() => check(structuredClone(object))).toThrow(message);
  });

  test("quantities may be numbers", () => {
    const object = { spec: { containers: [{ name: "a", resources: { limits: { cpu: 2 } } }] } };
    expect(check(object, "Pod")).toEqual([]);
    expect(object.spec.containers[0]!.resources.limits.cpu).toBe("2");
  });
});

test("every type that a field refers to is there, and every kind that is stored has one", () => {
  const seen = new Set<string>();
  const follow = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    const type = messageType(name);
    expect(type, name).toBeDefined();
    for (const { type: of } of type!.fields.values()) {
      const inner = of.is === "list" || of.is === "map" ? of.of : of;
      if (inner.is === "message") follow(inner.name);
    }
  };
  for (const resource of BUILT_IN) {
    const type = kindType(resource);
    if (resource.kind === "CustomResourceDefinition") expect(type).toBeUndefined();
    else follow(type?.name ?? resource.kind);
  }
  expect(seen.size).toBeGreaterThan(150);
});

test("a schema that can't be read says which field", () => {
  expect(() => parseTypes("Thing name:s")).toThrow("name:s");
});
