import { describe, expect, test } from "vitest";
import { restrictedViolations } from "./fixtures/pod-security.ts";
import { deploymentOf, roleOf, startPatch } from "./manifest.ts";
import type { RelaySpec } from "./relay-spec.ts";

const spec: RelaySpec = { namespace: "shop", name: "shipside-dial-1", owner: "ann@desk" };
// biome-ignore lint/suspicious/noExplicitAny: a patch is plain JSON
const podOf = (more: Partial<RelaySpec> = {}, rights = true): any =>
  // biome-ignore lint/suspicious/noExplicitAny: the same
  (startPatch({ ...spec, ...more }, rights, "uid") as any).spec.template.spec;

const accept = [{ port: 80, listen: 80, protocol: "TCP", mode: "http" }] as const;

describe("the restricted Pod Security level", () => {
  test.each<[string, object]>([
    ["that only dials", podOf()],
    ["without rights", podOf({}, false)],
    ["that listens on low ports", podOf({ accept })],
    ["that ends TLS", podOf({ accept, tlsSecret: "web-tls" })],
    ["of two", podOf({ accept, replicas: 2, podLabels: { app: "web" }, imagePullSecrets: ["mine"] })],
    ["that isn't started yet", (deploymentOf(spec).spec["template"] as { spec: object }).spec],
  ])("passes for a relay %s", (_which, pod) => {
    expect(restrictedViolations(pod)).toEqual([]);
  });

  /** Each of these alone is found. */
  test.each<[string, (pod: ReturnType<typeof podOf>, container: ReturnType<typeof podOf>) => void]>([
    ["hostNetwork", (pod) => (pod.hostNetwork = true)],
    ["hostPID", (pod) => (pod.hostPID = true)],
    ["hostIPC", (pod) => (pod.hostIPC = true)],
    ["volumes.hostPath", (pod) => pod.volumes.push({ name: "x", hostPath: { path: "/" } })],
    ["pod.seccompProfile", (pod) => (pod.securityContext.seccompProfile.type = "Unconfined")],
    ["relay.seccompProfile", (pod) => delete pod.securityContext.seccompProfile],
    ["relay.runAsNonRoot", (pod) => delete pod.securityContext.runAsNonRoot],
    ["pod.runAsUser", (pod) => (pod.securityContext.runAsUser = 0)],
    ["pod.sysctls kernel.msgmax", (pod) => (pod.securityContext.sysctls = [{ name: "kernel.msgmax", value: "1" }])],
    ["pod.appArmorProfile", (pod) => (pod.securityContext.appArmorProfile = { type: "Unconfined" })],
    ["pod.windowsOptions.hostProcess", (pod) => (pod.securityContext.windowsOptions = { hostProcess: true })],
    ["relay.privileged", (_pod, relay) => (relay.securityContext.privileged = true)],
    ["relay.allowPrivilegeEscalation", (_pod, relay) => delete relay.securityContext.allowPrivilegeEscalation],
    ["relay.capabilities.drop", (_pod, relay) => (relay.securityContext.capabilities.drop = [])],
    ["relay.capabilities.add", (_pod, relay) => (relay.securityContext.capabilities.add = ["SYS_PTRACE"])],
    ["relay.procMount", (_pod, relay) => (relay.securityContext.procMount = "Unmasked")],
    ["relay.seLinuxOptions", (_pod, relay) => (relay.securityContext.seLinuxOptions = { type: "spc_t" })],
    ["relay.hostPort", (_pod, relay) => (relay.ports[0].hostPort = 80)],
    ["relay.probes.host", (_pod, relay) => (relay.readinessProbe.httpGet.host = "other")],
  ])("would tell of %s", (field, spoil) => {
    const pod = structuredClone(podOf());
    spoil(pod, pod.containers[0]);
    expect(restrictedViolations(pod)).toEqual([field]);
  });
});

test("beyond the standard: nothing is written to, no token that isn't asked for, and bounds on what it uses", () => {
  const pod = podOf({ accept, replicas: 2 });
  expect(pod).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
  for (const container of pod.containers) {
    expect(container.securityContext.readOnlyRootFilesystem).toBe(true);
    expect(container.volumeMounts.every((mount: { readOnly?: boolean }) => mount.readOnly)).toBe(true);
    for (const bound of ["requests", "limits"]) expect(Object.keys(container.resources[bound]).sort()).toEqual(["cpu", "memory"]);
  }
});

test("every rule of its Role names its objects, and none is for more than it does", () => {
  const record = { service: "web", uid: "1", original: { app: "web" }, switched: { app: "relay" } };
  for (const more of [{}, { replicas: 2 }, { switch: record }, { replicas: 2, switch: record }] as Array<Partial<RelaySpec>>) {
    for (const { resourceNames = [], verbs, resources } of roleOf({ ...spec, ...more }, "uid").rules) {
      expect(resourceNames).toEqual([resources[0] === "services" ? "web" : spec.name]);
      expect(["get", "delete", "patch"]).toEqual(expect.arrayContaining([...verbs]));
      expect(verbs.includes("delete")).toBe(resources[0] === "deployments");
    }
  }
});
