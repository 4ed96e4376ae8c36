import fc from "fast-check";
import { expect, test } from "vitest";
import { configMapOf, deploymentOf, roleOf, secretOf, startPatch } from "./manifest.ts";
import { relayName } from "./relay-names.ts";
import type { RelaySpec } from "./relay-spec.ts";

const spec: RelaySpec = { namespace: "shop", name: "shipside-dial-1", owner: "ann@desk" };
// biome-ignore lint/suspicious/noExplicitAny: a patch is plain JSON
const templateOf = (more: Partial<RelaySpec>): any => (startPatch({ ...spec, ...more }, true, "uid") as any).spec.template;

test("any purpose gives a name that leaves a pod's name room in 63 characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), fc.string(), (purpose, unique) => {
      const name = relayName(purpose, unique);
      expect(name).toMatch(/^[a-z]([-a-z0-9]*[a-z0-9])?$/);
      expect(name).not.toMatch(/--/);
      expect(name.length + "-".length + 10 + "-".length + 5).toBeLessThanOrEqual(63);
      expect(relayName(purpose, `${unique}x`)).not.toBe(name);
    }),
  );
});

test("low ports are allowed where they are listened on, and only there", () => {
  const accept = (listen: number) => [{ port: 80, listen, protocol: "TCP", mode: "tcp" }] as const;
  expect(templateOf({ accept: accept(80) }).spec.securityContext.sysctls).toEqual([
    { name: "net.ipv4.ip_unprivileged_port_start", value: "0" },
  ]);
  expect(templateOf({ accept: accept(8080) }).spec.securityContext).not.toHaveProperty("sysctls");
  expect(templateOf({}).spec.securityContext).not.toHaveProperty("sysctls");
});

test("a switched selector's labels never take the Deployment's own from its pods", () => {
  const { labels } = templateOf({
    podLabels: { app: "web", "shipside.dev/relay": "other", "app.kubernetes.io/component": "x" },
  }).metadata;
  expect(labels).toMatchObject({ app: "web", "shipside.dev/relay": spec.name, "app.kubernetes.io/component": "x" });
  expect(deploymentOf(spec).spec).toMatchObject({ replicas: 0, selector: { matchLabels: { "shipside.dev/relay": spec.name } } });
});

test("a token is there only for who may do something with it", () => {
  const sources = (rights: boolean) => JSON.stringify(startPatch(spec, rights, "uid"));
  expect(sources(true)).toContain("serviceAccountToken");
  expect(sources(false)).not.toContain("serviceAccountToken");
  expect(sources(false)).not.toContain("serviceAccountName");
});

test("its Role names every object, and covers a Service only where it switches one", () => {
  const record = { service: "web", uid: "u", original: { app: "web" }, switched: { app: "r" } };
  for (const role of [roleOf(spec, "uid"), roleOf({ ...spec, switch: record }, "uid")]) {
    expect(role.rules.every(({ resourceNames }) => resourceNames?.length === 1)).toBe(true);
  }
  expect(roleOf(spec, "uid").rules).toHaveLength(1);
  expect(roleOf({ ...spec, switch: record }, "uid").rules[1]).toMatchObject({ resourceNames: ["web"], verbs: ["get", "patch"] });
  expect(roleOf({ ...spec, replicas: 2 }, "uid").rules[1]).toMatchObject({ resources: ["leases"], resourceNames: [spec.name] });
});

test("two replicas are spread, and leave a lost node in seconds", () => {
  expect(startPatch({ ...spec, replicas: 2 }, true, "uid")).toMatchObject({ spec: { replicas: 2 } });
  const pod = templateOf({ replicas: 2 }).spec;
  expect(pod.affinity.podAntiAffinity).toBeDefined();
  expect(pod.tolerations.map(({ tolerationSeconds }: { tolerationSeconds: number }) => tolerationSeconds)).toEqual([5, 5]);
  expect(templateOf({}).spec).not.toHaveProperty("affinity");
});

test("volumes are mounted as their workload does: its node, users, groups and label, and no owner changed", () => {
  const user = { uid: 70, gid: 71, supplementalGroups: [72], seLinuxOptions: { level: "s0:c1,c2" }, capabilities: ["CHOWN"] };
  const claims = [{ name: "data", mountPropagation: "HostToContainer" } as const, { name: "logs", readOnly: true }];
  const { spec: pod } = templateOf({ files: { claims, nodeName: "n1", tolerations: [{ operator: "Exists" }], user } });
  expect(pod).toMatchObject({ nodeName: "n1", tolerations: [{ operator: "Exists" }] });
  expect(pod.securityContext).toEqual({
    runAsNonRoot: true,
    ...{ runAsUser: 70, runAsGroup: 71, supplementalGroups: [72], seLinuxOptions: { level: "s0:c1,c2" } },
    seccompProfile: { type: "RuntimeDefault" },
  });
  expect(pod.containers[0].securityContext.capabilities).toEqual({ drop: ["ALL"] });
  expect(pod.containers[0].volumeMounts.slice(1)).toEqual([
    { name: "claim-0", mountPath: "/volumes/data", mountPropagation: "HostToContainer" },
    { name: "claim-1", mountPath: "/volumes/logs", readOnly: true },
  ]);
  expect(pod.volumes.slice(1)).toEqual([
    { name: "claim-0", persistentVolumeClaim: { claimName: "data" } },
    { name: "claim-1", persistentVolumeClaim: { claimName: "logs", readOnly: true } },
  ]);
  const { spec: root } = templateOf({ files: { claims, user: { ...user, uid: 0 } } });
  expect(root.securityContext).not.toHaveProperty("runAsNonRoot");
  expect(root.containers[0].securityContext.capabilities).toEqual({ drop: ["ALL"], add: ["CHOWN"] });
  const config = configMapOf({ ...spec, files: { claims, user } }, "uid", "").data?.["config.json"];
  expect(JSON.parse(config ?? "")).toMatchObject({ files: ["/volumes/data", "/volumes/logs"] });
});

test("a Secret for TLS is mounted by the pods, read-only, also where it isn't there: the program says that", () => {
  const { spec: pod } = templateOf({ tlsSecret: "web-tls" });
  expect(pod.containers[0].volumeMounts).toContainEqual({ name: "tls", mountPath: "/tls", readOnly: true });
  expect(pod.volumes).toContainEqual({ name: "tls", secret: { secretName: "web-tls", optional: true } });
  const config = configMapOf({ ...spec, tlsSecret: "web-tls" }, "uid", "").data?.["config.json"];
  expect(JSON.parse(config ?? "")).toMatchObject({ tls: { secret: "web-tls", directory: "/tls" } });
  expect(JSON.stringify(templateOf({}))).not.toContain('"tls"');
});

test("a Deployment's pods mount what was made for it, and never what an earlier one of the same name had", () => {
  const mounted = (uid: string): string[] =>
    [...JSON.stringify(startPatch(spec, true, uid)).matchAll(/"(?:configMap|secret)":\{"name":"(shipside[^"]*)"/g)].map(
      ([, name]) => name!,
    );
  const [one, other] = ["11111111-aaaa", "22222222-aaaa"];
  expect(mounted(one)).toEqual([configMapOf(spec, one, "").metadata.name, secretOf(spec, one, "").metadata.name]);
  expect(mounted(other)).not.toContain(mounted(one)[0]);
});
