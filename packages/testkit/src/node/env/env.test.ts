import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { KubeJson } from "../../store.ts";
import { containerEnv, type EnvInputs } from "./container-env.ts";
import { fieldValue, type PodFacts, resourceValue } from "./downward.ts";
import { expand } from "./expand.ts";
import { serviceEnv } from "./service-links.ts";

const object = (kind: string, name: string, rest: object, namespace = "shop"): KubeJson => ({
  apiVersion: "v1",
  kind,
  metadata: { name, namespace, uid: `uid-${name}`, resourceVersion: "1", creationTimestamp: "" },
  ...rest,
});
const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("expand", () => {
  const values: Record<string, string> = { A: "a", EMPTY: "", NESTED: "$(A)" };
  const run = (text: string): string => expand(text, (name) => values[name]);

  it.each([
    ["$(A)", "a"],
    ["x$(A)y$(A)", "xaya"],
    ["$(EMPTY)|", "|"],
    ["$(NONE)", "$(NONE)"],
    ["$$(A)", "$(A)"],
    ["$$$(A)", "$a"],
    ["$$", "$"],
    ["$", "$"],
    ["$A", "$A"],
    ["$(A", "$(A"],
    ["$(NESTED)", "$(A)"],
    ["a$", "a$"],
  ])("%s becomes %s", (text, result) => expect(run(text)).toBe(result));

  it("gives any text back whose dollars are doubled", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("$", "(", ")", "A", "x") }),
        (text) => run(text.replaceAll("$", "$$$$")) === text,
      ),
    );
  });
});

const pod = object("Pod", "p", {
  spec: {
    nodeName: "n",
    containers: [{ name: "c", resources: { limits: { memory: "64Mi" }, requests: { cpu: "250m" } } }, { name: "d" }],
  },
});
pod.metadata.labels = { b: "2", a: 'x"y' };
pod.metadata.annotations = { "example.com/k": "v" };
const facts: PodFacts = { pod, podIP: "10.244.0.9", hostIP: "10.244.0.1", allocatable: { cpu: "2", memory: "8Gi" } };

describe("downward values", () => {
  it.each([
    ["metadata.name", "p"],
    ["metadata.namespace", "shop"],
    ["metadata.uid", "uid-p"],
    ["metadata.labels", 'a="x\\"y"\nb="2"'],
    ["metadata.labels['b']", "2"],
    ["metadata.labels['none']", ""],
    ["metadata.annotations['example.com/k']", "v"],
    ["spec.nodeName", "n"],
    ["spec.serviceAccountName", "default"],
    ["status.podIP", "10.244.0.9"],
    ["status.hostIP", "10.244.0.1"],
  ])("%s is %j", (path, value) => expect(fieldValue(facts, path)).toBe(value));
  it("refuses a path that it doesn't know", () =>
    expect(() => fieldValue(facts, "spec.x")).toThrow("unsupported fieldPath: spec.x"));

  it.each([
    ["c", { resource: "limits.memory", divisor: "1Mi" }, "64"],
    ["c", { resource: "requests.memory" }, String(64 * 2 ** 20)],
    ["c", { resource: "requests.cpu", divisor: "1m" }, "250"],
    ["d", { resource: "limits.cpu" }, "2"],
    ["d", { resource: "requests.cpu" }, "0"],
    ["d", { resource: "limits.memory", containerName: "c", divisor: "1Gi" }, "1"],
  ])("in %s, %j is %s", (container, ref, value) => expect(resourceValue(facts, container, ref)).toBe(value));
});

describe("service links", () => {
  const service = (name: string, spec: object, namespace?: string): KubeJson => object("Service", name, { spec }, namespace);
  const services = [
    service("kubernetes", { clusterIP: "10.96.0.1", ports: [{ name: "https", port: 443 }] }, "default"),
    service("my-db", {
      clusterIP: "10.96.0.7",
      ports: [
        { name: "resp", port: 6379 },
        { name: "admin-ui", port: 80, protocol: "UDP" },
      ],
    }),
    service("headless", { clusterIP: "None", ports: [{ port: 1 }] }),
    service("elsewhere", { clusterIP: "10.96.0.8", ports: [{ port: 1 }] }, "other"),
  ];

  it("name the services of the namespace and the API server", () => {
    const env = serviceEnv(services, "shop", true);
    expect(env).toEqual({
      KUBERNETES_SERVICE_HOST: "10.96.0.1",
      KUBERNETES_SERVICE_PORT: "443",
      KUBERNETES_SERVICE_PORT_HTTPS: "443",
      KUBERNETES_PORT: "tcp://10.96.0.1:443",
      KUBERNETES_PORT_443_TCP: "tcp://10.96.0.1:443",
      KUBERNETES_PORT_443_TCP_PROTO: "tcp",
      KUBERNETES_PORT_443_TCP_PORT: "443",
      KUBERNETES_PORT_443_TCP_ADDR: "10.96.0.1",
      MY_DB_SERVICE_HOST: "10.96.0.7",
      MY_DB_SERVICE_PORT: "6379",
      MY_DB_SERVICE_PORT_RESP: "6379",
      MY_DB_SERVICE_PORT_ADMIN_UI: "80",
      MY_DB_PORT: "tcp://10.96.0.7:6379",
      MY_DB_PORT_6379_TCP: "tcp://10.96.0.7:6379",
      MY_DB_PORT_6379_TCP_PROTO: "tcp",
      MY_DB_PORT_6379_TCP_PORT: "6379",
      MY_DB_PORT_6379_TCP_ADDR: "10.96.0.7",
      MY_DB_PORT_80_UDP: "udp://10.96.0.7:80",
      MY_DB_PORT_80_UDP_PROTO: "udp",
      MY_DB_PORT_80_UDP_PORT: "80",
      MY_DB_PORT_80_UDP_ADDR: "10.96.0.7",
    });
  });
  it("are the API server's alone where the pod wants none", () => {
    expect(Object.keys(serviceEnv(services, "shop", false)).every((key) => key.startsWith("KUBERNETES_"))).toBe(true);
  });
});

describe("a container's env", () => {
  const inputs: EnvInputs = {
    facts,
    base: { PATH: "/bin", HOSTNAME: "p" },
    services: { WEB_SERVICE_HOST: "10.96.0.2", SHADOWED: "service" },
    configMap: (name) =>
      name === "cm"
        ? object("ConfigMap", "cm", { data: { K: "k", "bad=key": "x", "dotted.key": "d", SHADOWED: "config" } })
        : undefined,
    secret: (name) => (name === "s" ? object("Secret", "s", { data: { T: base64("tøp\n") } }) : undefined),
    volumeFile: (volume, path) => (volume === "v" && path === "app.env" ? "# note\nONE='1'\nTWO='two words'\n" : undefined),
  };
  const env = (container: object) => containerEnv({ name: "c", ...container }, inputs);

  it("takes later sources over earlier ones, the pod's over the services' and the image's", () => {
    const result = env({
      envFrom: [{ configMapRef: { name: "cm" } }, { prefix: "S_", secretRef: { name: "s" } }],
      env: [
        { name: "K", value: "own" },
        { name: "HOSTNAME", value: "mine" },
        { name: "URL", value: "http://$(WEB_SERVICE_HOST)/$(K)/$(LATER)" },
        { name: "LATER", value: "too late" },
      ],
    });
    expect(result.env).toEqual({
      PATH: "/bin",
      HOSTNAME: "mine",
      WEB_SERVICE_HOST: "10.96.0.2",
      SHADOWED: "config",
      K: "own",
      "dotted.key": "d",
      S_T: "tøp\n",
      URL: "http://10.96.0.2/own/$(LATER)",
      LATER: "too late",
    });
    expect(result.skipped).toEqual(["bad=key"]);
  });

  it("leaves out what is optional and missing", () => {
    const ref = (kind: string, name: string, key = "none"): object => ({ [kind]: { name, key, optional: true } });
    const result = env({
      envFrom: [{ configMapRef: { name: "none", optional: true } }],
      env: [
        { name: "A", valueFrom: ref("configMapKeyRef", "none") },
        { name: "B", valueFrom: ref("secretKeyRef", "s") },
      ],
    });
    expect(result.env).not.toHaveProperty("A");
    expect(result.env).not.toHaveProperty("B");
  });

  it("reads a key of a file in a volume", () => {
    const two = { name: "TWO", valueFrom: { fileKeyRef: { volumeName: "v", path: "app.env", key: "TWO" } } };
    expect(env({ env: [two] }).env["TWO"]).toBe("two words");
  });

  it.each([
    [{ envFrom: [{ configMapRef: { name: "none" } }] }, 'configmap "none" not found'],
    [{ envFrom: [{ secretRef: { name: "none" } }] }, 'secret "none" not found'],
    [
      { env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "cm", key: "none" } } }] },
      "couldn't find key none in ConfigMap shop/cm",
    ],
    [{ env: [{ name: "A", valueFrom: { secretKeyRef: { name: "s", key: "none" } } }] }, "couldn't find key none in Secret shop/s"],
    [{ env: [{ name: "A", valueFrom: { secretKeyRef: { name: "none", key: "none" } } }] }, 'secret "none" not found'],
  ])("refuses %j", (container, message) => expect(() => env(container)).toThrow(message));
});
