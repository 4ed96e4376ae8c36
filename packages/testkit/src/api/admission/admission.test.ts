import { expect, test } from "vitest";
import type { Json } from "../../json.ts";
import { APPS, deployment, NS, world } from "../fixtures/world.ts";
import { violations } from "./pod-security.ts";

const safe = {
  allowPrivilegeEscalation: false,
  runAsNonRoot: true,
  capabilities: { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
};
const pod = (name: string, container: object = {}, spec: object = {}): object => ({
  metadata: { name },
  spec: { containers: [{ name: "main", image: "node:24", ...container }], ...spec },
});
const resources = (requests: object, limits?: object): object => ({ resources: { requests, ...(limits && { limits }) } });

const RESTRICTED =
  'allowPrivilegeEscalation != false (container "main" must set securityContext.allowPrivilegeEscalation=false), ' +
  'unrestricted capabilities (container "main" must set securityContext.capabilities.drop=["ALL"]), ' +
  'runAsNonRoot != true (pod or container "main" must set securityContext.runAsNonRoot=true), ' +
  'seccompProfile (pod or container "main" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")';

async function label(w: Awaited<ReturnType<typeof world>>, labels: object): Promise<Json> {
  return w.api.call(
    "PATCH",
    "/api/v1/namespaces/default",
    { metadata: { labels } },
    { "content-type": "application/merge-patch+json" },
  );
}
const enforce = (level: string): object => ({ "pod-security.kubernetes.io/enforce": level });

test("restricted: refuses a pod in the real words, takes one that says all, warns of a workload", async () => {
  await using w = await world();
  await label(w, enforce("restricted"));
  const refused = await w.api.call("POST", `${NS}/pods`, pod("plain"));
  expect([refused.status, refused.body.message]).toEqual([
    403,
    `pods "plain" is forbidden: violates PodSecurity "restricted:latest": ${RESTRICTED}`,
  ]);
  expect((await w.api.call("POST", `${NS}/pods`, pod("safe", { securityContext: safe }))).status).toBe(201);
  const made = await w.api.call("POST", `${APPS}/deployments`, deployment("web"));
  expect(made.status).toBe(201);
  expect(made.headers["warning"]).toBe(`299 - ${JSON.stringify(`would violate PodSecurity "restricted:latest": ${RESTRICTED}`)}`);
});

test("baseline: host namespaces, paths and ports, privileges, capabilities, sysctls; the safe sysctls are fine", async () => {
  await using w = await world();
  await label(w, enforce("baseline"));
  const bad = pod(
    "bad",
    { ports: [{ containerPort: 80, hostPort: 8080 }], securityContext: { privileged: true, capabilities: { add: ["NET_ADMIN"] } } },
    {
      hostNetwork: false,
      hostPID: true,
      volumes: [{ name: "host", hostPath: { path: "/" } }],
      securityContext: {
        sysctls: [
          { name: "kernel.msgmax", value: "1" },
          { name: "net.ipv4.ip_unprivileged_port_start", value: "0" },
        ],
      },
    },
  );
  expect((await w.api.call("POST", `${NS}/pods`, bad)).body.message).toBe(
    'pods "bad" is forbidden: violates PodSecurity "baseline:latest": ' +
      'non-default capabilities (container "main" must not include "NET_ADMIN" in securityContext.capabilities.add), ' +
      'host namespaces (hostPID=true), hostPath volumes (volume "host"), hostPort (container "main" uses hostPort 8080), ' +
      'privileged (container "main" must not set securityContext.privileged=true), forbidden sysctls (kernel.msgmax)',
  );
  expect((await w.api.call("POST", `${NS}/pods`, pod("plain"))).status).toBe(201);
});

test("a namespace's label: what is there already is told of, nonsense is refused", async () => {
  await using w = await world();
  for (const name of ["a", "b"]) await w.api.call("POST", `${NS}/pods`, pod(name));
  const { headers } = await label(w, enforce("restricted"));
  expect(headers["warning"]).toBe(
    `299 - ${JSON.stringify('existing pods in namespace "default" violate the new PodSecurity enforce level "restricted:latest"')}, ` +
      `299 - "a (and 1 other pod): allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile"`,
  );
  expect((await label(w, enforce("tight"))).body.message).toMatch(/must be one of privileged, baseline, restricted/);
});

test("restricted takes the place of the baseline's own rules for volumes, capabilities and seccomp", () => {
  const spec = { containers: [{ name: "c", securityContext: { ...safe, runAsUser: 0 } }], volumes: [{ name: "h", hostPath: {} }] };
  expect(violations(spec, "restricted").map(({ reason, detail }) => `${reason}: ${detail}`)).toEqual([
    'restricted volume types: volume "h" uses restricted volume type "hostPath"',
    'runAsUser=0: container "c" must not set runAsUser=0',
  ]);
  expect(violations(spec, "privileged")).toEqual([]);
});

test("quotas: objects are counted, requests added up, and what a quota needs to know must be said", async () => {
  await using w = await world();
  const quota = (name: string, hard: object, more: object = {}): Promise<Json> =>
    w.api.call("POST", `${NS}/resourcequotas`, { metadata: { name }, spec: { hard, ...more } });
  await quota("count", { pods: "3", "count/deployments.apps": "0", "services.nodeports": "1" });
  const message = async (path: string, body: object): Promise<string> =>
    (await w.api.call("POST", path, body)).body.message ?? "made";
  expect(await message(`${APPS}/deployments`, deployment("web"))).toBe(
    'deployments.apps "web" is forbidden: exceeded quota: count, requested: count/deployments.apps=1, used: count/deployments.apps=0, limited: count/deployments.apps=0',
  );
  const nodePort = (name: string): object => ({
    metadata: { name },
    spec: { type: "NodePort", selector: { a: "b" }, ports: [{ port: 80 }] },
  });
  expect(await message(`${NS}/services`, nodePort("one"))).toBe("made");
  expect(await message(`${NS}/services`, nodePort("two"))).toMatch(/requested: services\.nodeports=1, used: services\.nodeports=1/);

  expect(await message(`${NS}/pods`, pod("first", resources({ cpu: "500m", memory: "100Mi" })))).toBe("made");
  await quota("compute", { "requests.cpu": "1", "limits.memory": "1Gi" });
  expect(await message(`${NS}/pods`, pod("silent"))).toBe(
    'pods "silent" is forbidden: failed quota: compute: must specify limits.memory for: main; requests.cpu for: main',
  );
  expect(await message(`${NS}/pods`, pod("big", resources({ cpu: "600m" }, { memory: "1536Mi" })))).toBe(
    'pods "big" is forbidden: exceeded quota: compute, requested: limits.memory=1536Mi,requests.cpu=600m, ' +
      "used: limits.memory=0,requests.cpu=500m, limited: limits.memory=1Gi,requests.cpu=1",
  );
  expect(await message(`${NS}/pods`, pod("fits", resources({ cpu: "0.5" }, { memory: "1Gi" })))).toBe("made");
  await quota("best-effort", { pods: "0" }, { scopes: ["BestEffort"] });
  await w.api.call("DELETE", `${NS}/resourcequotas/compute`);
  expect(await message(`${NS}/pods`, pod("loose"))).toMatch(/exceeded quota: best-effort/);
  expect(await message(`${NS}/pods`, pod("third", resources({ cpu: "1m" })))).toBe("made");
  expect(await message(`${NS}/pods`, pod("fourth", resources({ cpu: "1m" })))).toMatch(
    /exceeded quota: count, requested: pods=1, used: pods=3/,
  );
});

test("a LimitRange gives containers what they don't say and refuses what is out of range", async () => {
  await using w = await world();
  await w.api.call("POST", `${NS}/limitranges`, {
    metadata: { name: "range" },
    spec: {
      limits: [
        { type: "Container", max: { cpu: "1" }, min: { memory: "10Mi" }, defaultRequest: { cpu: "100m" } },
        { type: "PersistentVolumeClaim", max: { storage: "1Gi" } },
      ],
    },
  });
  const { body } = await w.api.call("POST", `${NS}/pods`, pod("filled"));
  expect(body.spec.containers[0].resources).toEqual({ limits: { cpu: "1" }, requests: { cpu: "100m", memory: "10Mi" } });
  expect(body.metadata.annotations["kubernetes.io/limit-ranger"]).toBe(
    "LimitRanger plugin set: cpu, memory request for container main; cpu limit for container main",
  );
  const refused = await w.api.call("POST", `${NS}/pods`, pod("big", resources({ cpu: "1", memory: "1Mi" }, { cpu: "2" })));
  expect(refused.body.message).toBe(
    'pods "big" is forbidden: [minimum memory usage per Container is 10Mi, but request is 1Mi, maximum cpu usage per Container is 1, but limit is 2]',
  );
  const claim = { metadata: { name: "c" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "2Gi" } } } };
  expect((await w.api.call("POST", `${NS}/persistentvolumeclaims`, claim)).body.message).toBe(
    'persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi',
  );
});
