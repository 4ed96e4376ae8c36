import { describe, expect, test } from "vitest";
import { encodeProtobuf } from "./fixtures/protobuf.ts";
import { APPS, configMap, deployment, NS, world } from "./fixtures/world.ts";

const post = { "content-type": "application/json" };

describe("create", () => {
  test("fills in what the reference says is the default", async () => {
    await using w = await world();
    const { status, body } = await w.api.call("POST", `${APPS}/deployments`, deployment("web"));
    expect(status).toBe(201);
    expect(body).toMatchObject({
      metadata: { namespace: "default", generation: 1 },
      spec: {
        replicas: 1,
        revisionHistoryLimit: 10,
        progressDeadlineSeconds: 600,
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
        template: {
          spec: {
            restartPolicy: "Always",
            terminationGracePeriodSeconds: 30,
            dnsPolicy: "ClusterFirst",
            schedulerName: "default-scheduler",
            containers: [{ imagePullPolicy: "IfNotPresent", terminationMessagePath: "/dev/termination-log", resources: {} }],
          },
        },
      },
      status: {},
    });
  });

  test("a pod gets its service account's token as a volume, and tolerations", async () => {
    await using w = await world();
    const pod = { metadata: { generateName: "p-" }, spec: { containers: [{ name: "a", image: "node" }] } };
    const { body } = await w.api.call("POST", `${NS}/pods`, pod);
    expect(body.metadata.name).toMatch(/^p-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    expect(body.spec).toMatchObject({
      serviceAccountName: "default",
      enableServiceLinks: true,
      containers: [{ imagePullPolicy: "Always" }],
    });
    expect(body.spec.containers[0].volumeMounts[0].mountPath).toBe("/var/run/secrets/kubernetes.io/serviceaccount");
    expect(body.spec.tolerations).toHaveLength(2);
    expect(body.status).toEqual({ phase: "Pending", qosClass: "BestEffort" });
    const other = await w.api.call("POST", `${NS}/pods`, {
      metadata: { name: "q" },
      spec: { ...pod.spec, serviceAccountName: "gone" },
    });
    expect(other.body.message).toBe(
      'pods "q" is forbidden: error looking up service account default/gone: serviceaccount "gone" not found',
    );
  });

  test("services get an address and node ports of their own", async () => {
    await using w = await world();
    const create = (name: string, spec: object) =>
      w.api.call("POST", `${NS}/services`, { metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } });
    const [a, b] = [await create("a", {}), await create("b", { type: "NodePort" })];
    expect(a.body.spec).toMatchObject({
      type: "ClusterIP",
      ports: [{ port: 80, targetPort: 80, protocol: "TCP" }],
      ipFamilies: ["IPv4"],
    });
    expect(a.body.spec.clusterIP).toMatch(/^10\.(9[6-9]|10\d|11[01])\./);
    expect(b.body.spec.clusterIP).not.toBe(a.body.spec.clusterIP);
    expect(b.body.spec.ports[0].nodePort).toBeGreaterThanOrEqual(30_000);
    expect((await create("headless", { clusterIP: "None" })).body.spec.clusterIPs).toEqual(["None"]);
    expect((await create("taken", { clusterIP: a.body.spec.clusterIP })).body.message).toContain(
      "provided IP is already allocated",
    );
    expect((await create("outside", { clusterIP: "192.168.0.1" })).body.message).toContain("is not in the valid range");
    await w.api.call("DELETE", `${NS}/services/a`);
    expect((await create("again", { clusterIP: a.body.spec.clusterIP })).status).toBe(201);
    const elsewhere = await create("elsewhere", { type: "ExternalName", externalName: "example.com", ports: undefined });
    expect(elsewhere.body.spec.clusterIP).toBeUndefined();
  });

  test("a StatefulSet's pods may mount its claim templates, and nothing that there isn't", async () => {
    await using w = await world();
    const create = (name: string, volume: string) =>
      w.api.call("POST", `${APPS}/statefulsets`, {
        metadata: { name },
        spec: {
          serviceName: name,
          selector: { matchLabels: { app: name } },
          template: {
            metadata: { labels: { app: name } },
            spec: { containers: [{ name: "main", image: "x", volumeMounts: [{ name: volume, mountPath: "/data" }] }] },
          },
          volumeClaimTemplates: [
            { metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } },
          ],
        },
      });
    expect((await create("fine", "data")).status).toBe(201);
    expect((await create("wrong", "other")).body.message).toBe(
      'StatefulSet.apps "wrong" is invalid: spec.template.spec.containers[0].volumeMounts[0].name: Not found: "other"',
    );
  });

  test("a Deployment without selector and template is told what they lack", async () => {
    await using w = await world();
    const { body } = await w.api.call("POST", `${APPS}/deployments`, { metadata: { name: "bare" }, spec: {} });
    expect(body.message).toBe(
      'Deployment.apps "bare" is invalid: [spec.selector: Required value, spec.template.metadata.labels: Invalid value: null: ' +
        "`selector` does not match template `labels`, spec.template.spec.containers: Required value]",
    );
  });

  test("a dry run stores nothing; a protobuf body is as good as JSON", async () => {
    await using w = await world();
    expect((await w.api.call("POST", `${NS}/configmaps?dryRun=All`, configMap("dry"))).status).toBe(201);
    expect((await w.api.get(`${NS}/configmaps/dry`)).status).toBe(404);
    const wire = encodeProtobuf(configMap("wire", { a: "1" }));
    const { request } = await import("node:https");
    const status = await new Promise<number>((resolve, reject) => {
      const call = request(
        `${w.cluster.server}${NS}/configmaps`,
        {
          method: "POST",
          ca: w.cluster.ca,
          headers: { authorization: "Bearer token-of-admin", "content-type": "application/vnd.kubernetes.protobuf" },
        },
        (response) => resolve(response.resume().statusCode!),
      );
      call.on("error", reject).end(wire);
    });
    expect(status).toBe(201);
    expect((await w.api.get(`${NS}/configmaps/wire`)).body.data).toEqual({ a: "1" });
  });

  test.each([
    [
      "configmaps",
      { metadata: { name: "Bad_Name" } },
      422,
      /^ConfigMap "Bad_Name" is invalid: metadata\.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain/,
    ],
    ["configmaps", {}, 422, /metadata\.name: Required value: name or generateName is required$/],
    ["configmaps", { kind: "Secret", metadata: { name: "a" } }, 400, /cannot be handled as a ConfigMap/],
    ["configmaps", { apiVersion: "v2", metadata: { name: "a" } }, 400, /does not match the expected API version \(v1\)$/],
    [
      "configmaps",
      { metadata: { name: "a", namespace: "other" } },
      400,
      /^the namespace of the provided object does not match the namespace sent on the request$/,
    ],
    [
      "configmaps",
      { metadata: { name: "a" }, data: { "a/b": "" } },
      422,
      /data\[a\/b\]: Invalid value: "a\/b": a valid config key/,
    ],
    [
      "configmaps",
      { metadata: { name: "a", labels: { a: "-" } } },
      422,
      /metadata\.labels: Invalid value: "-": a valid label must be/,
    ],
    [
      "services",
      { metadata: { name: "1a" }, spec: { ports: [{ port: 80 }] } },
      422,
      /metadata\.name: Invalid value: "1a": a DNS-1035 label must consist/,
    ],
    [
      "services",
      { metadata: { name: "a" }, spec: { ports: [{ port: 0 }] } },
      422,
      /spec\.ports\[0\]\.port: Invalid value: 0: must be between 1 and 65535, inclusive/,
    ],
    [
      "services",
      { metadata: { name: "a" }, spec: { ports: [{ port: 1 }, { port: 2 }] } },
      422,
      /spec\.ports\[0\]\.name: Required value/,
    ],
    [
      "services",
      { metadata: { name: "a" }, spec: { type: "Magic", ports: [{ port: 1 }] } },
      422,
      /spec\.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName"/,
    ],
    ["secrets", { metadata: { name: "a" }, type: "kubernetes.io/tls" }, 422, /data\[tls\.crt\]: Required value/],
    [
      "pods",
      {
        metadata: { name: "a" },
        spec: {
          containers: [
            {
              name: "c",
              image: "node",
              env: [{ name: "A", valueFrom: { resourceFieldRef: { resource: "limits.cpu", divisor: "10m" } } }],
            },
          ],
        },
      },
      422,
      /env\[0\]\.valueFrom\.resourceFieldRef\.divisor: Invalid value: "limits\.cpu": only divisor's values 1m and 1 are supported with the cpu resource$/,
    ],
    ["pods", { metadata: { name: "a" }, spec: { containers: [] } }, 422, /^Pod "a" is invalid: spec\.containers: Required value$/],
    [
      "pods",
      {
        metadata: { name: "a" },
        spec: { containers: [{ name: "c", image: "i", volumeMounts: [{ name: "v", mountPath: "/x" }] }] },
      },
      422,
      /spec\.containers\[0\]\.volumeMounts\[0\]\.name: Not found: "v"$/,
    ],
    [
      "pods",
      { metadata: { name: "a" }, spec: { restartPolicy: "Often", containers: [{ name: "c", image: "i" }] } },
      422,
      /spec\.restartPolicy: Unsupported value: "Often"/,
    ],
    [
      "persistentvolumeclaims",
      { metadata: { name: "a" }, spec: {} },
      422,
      /spec\.accessModes: Required value: at least 1 access mode is required/,
    ],
  ] as Array<[string, object, number, RegExp]>)("%s: %j is refused", async (plural, object, status, message) => {
    await using w = await world();
    const answer = await w.api.call("POST", `${NS}/${plural}`, object);
    expect(answer.body.message).toMatch(message);
    expect(answer.body).toMatchObject({ kind: "Status", status: "Failure", code: status });
    expect(answer.status).toBe(status);
  });

  test("nonsense, too much, or another encoding, is refused and the connection goes on", async () => {
    await using w = await world();
    expect((await w.api.call("POST", `${NS}/configmaps`, "{", post)).status).toBe(400);
    expect((await w.api.call("POST", `${NS}/configmaps`, "", post)).status).toBe(400);
    expect((await w.api.call("POST", `${NS}/configmaps`, "[]", post)).status).toBe(400);
    expect((await w.api.call("POST", `${NS}/configmaps`, "x".repeat(4 * 2 ** 20), post)).status).toBe(413);
    expect((await w.api.call("POST", `${NS}/configmaps`, "x", { "content-type": "application/cbor" })).status).toBe(415);
    expect((await w.api.call("PATCH", `${NS}/configmaps/x`, "{}", { "content-type": "text/plain" })).status).toBe(404);
    expect((await w.api.get(`${NS}/configmaps`, { accept: "text/html" })).status).toBe(406);
    expect((await w.api.get("/readyz")).body).toBe("ok");
  });

  test("unknown fields: refused, warned of, or ignored, as asked", async () => {
    await using w = await world();
    const create = (name: string, how: string) =>
      w.api.call("POST", `${NS}/configmaps?fieldValidation=${how}`, { ...configMap(name), colour: 1 });
    expect((await create("a", "Strict")).body.message).toBe(
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "colour"',
    );
    const warned = await create("b", "Warn");
    expect(warned.headers["warning"]).toBe('299 - "unknown field \\"colour\\""');
    expect(warned.body.colour).toBeUndefined();
    expect((await create("c", "Ignore")).headers["warning"]).toBeUndefined();
  });
});
