import type { Cluster, Pod } from "@shipside/kube";
import { describe, expect, test } from "vitest";
import { claimedPath, type PersistentVolumeClaim, placeFor } from "./claim.ts";
import { sshfsDriver } from "./driver.ts";
import { findUser, userOf } from "./user.ts";

const pod = (spec: object = {}, container: object = {}, status: object = {}): Pod =>
  ({
    metadata: { namespace: "shop", name: "db-0" },
    spec: {
      nodeName: "n1",
      volumes: [
        { name: "data", persistentVolumeClaim: { claimName: "pgdata" } },
        { name: "fixed", persistentVolumeClaim: { claimName: "fixed", readOnly: true } },
        { name: "temp", ephemeral: {} },
        { name: "scratch", emptyDir: {} },
      ],
      containers: [
        {
          name: "db",
          volumeMounts: [
            { name: "data", mountPath: "/data", subPath: "v1" },
            { name: "data", mountPath: "/data/logs", subPath: "logs" },
            { name: "fixed", mountPath: "/fixed" },
            { name: "temp", mountPath: "/temp" },
            { name: "scratch", mountPath: "/scratch" },
          ],
          ...container,
        },
      ],
      ...spec,
    },
    status,
  }) as unknown as Pod;

test.each([
  ["data", "/data", { claim: "pgdata", path: "v1", readOnly: false }],
  ["data", "/data/x/y", { claim: "pgdata", path: "v1/x/y", readOnly: false }],
  ["data", "/data/logs/today", { claim: "pgdata", path: "logs/today", readOnly: false }],
  ["fixed", "/fixed", { claim: "fixed", path: "", readOnly: true }],
  ["temp", "/temp", { claim: "db-0-temp", path: "", readOnly: false }],
])("%s at %s", (volume, remotePath, expected) => {
  expect(claimedPath(pod(), { volume, remotePath })).toEqual(expected);
});

test("a subPath that was worked out goes before the pod's", () => {
  expect(claimedPath(pod(), { volume: "data", remotePath: "/data", subPath: "of/db-0" }).path).toBe("of/db-0");
});

test("what the node mounts inside the volume is seen as the container sees it", () => {
  const mounts = (mountPropagation: string) => pod({}, { volumeMounts: [{ name: "data", mountPath: "/data", mountPropagation }] });
  const seen = (how: string) => claimedPath(mounts(how), { volume: "data", remotePath: "/data" }).mountPropagation;
  expect(["HostToContainer", "Bidirectional", "None"].map(seen)).toEqual(["HostToContainer", "HostToContainer", undefined]);
});

test("what no other pod can mount is said", () => {
  expect(() => claimedPath(pod(), { volume: "scratch", remotePath: "/scratch" })).toThrow(/no PersistentVolumeClaim/);
  expect(() => claimedPath(pod(), { volume: "data", remotePath: "/database" })).toThrow(/not mounted at/);
});

const claim = (accessModes: string[], phase = "Bound", spec: object = {}): PersistentVolumeClaim => ({
  metadata: { namespace: "shop", name: "pgdata" },
  spec,
  status: { phase, accessModes },
});

test("the access mode says where: on the workload's node, anywhere, or nowhere", () => {
  const where = (modes: string[], readOnly = false) => placeFor(claim(modes), pod(), readOnly);
  expect(where(["ReadWriteOnce"])).toEqual({ nodeName: "n1", readOnly: false });
  expect(where(["ReadWriteMany"])).toEqual({ readOnly: false });
  expect(where(["ReadOnlyMany"])).toEqual({ readOnly: true });
  // What is written is on one node; what is only read may be on others.
  expect(where(["ReadWriteOnce", "ReadOnlyMany"])).toEqual({ nodeName: "n1", readOnly: false });
  expect(where(["ReadWriteOnce", "ReadOnlyMany"], true)).toEqual({ readOnly: true });
  expect(where(["ReadWriteOnce"], true)).toEqual({ nodeName: "n1", readOnly: true });
  const refused = (code: string) => expect.objectContaining({ code });
  expect(() => where(["ReadWriteOncePod"])).toThrow(refused("VOLUMES_CLAIM_EXCLUSIVE"));
  expect(() => placeFor(claim([], "Pending"), pod(), false)).toThrow(refused("VOLUMES_CLAIM_UNBOUND"));
  expect(() => placeFor(claim(["ReadWriteOnce"], "Bound", { volumeMode: "Block" }), pod(), false)).toThrow(
    refused("VOLUMES_KIND_UNSUPPORTED"),
  );
});

test("the container's user goes before the pod's, and what the cluster saw before both", () => {
  const ofPod = { securityContext: { runAsUser: 1, runAsGroup: 2, fsGroup: 3, supplementalGroups: [4] } };
  expect(userOf(pod(ofPod), "db")).toMatchObject({ uid: 1, gid: 2, supplementalGroups: [4, 3] });
  expect(userOf(pod(ofPod, { securityContext: { runAsUser: 9 } }), undefined)).toMatchObject({ uid: 9, gid: 2 });
  const real = { containerStatuses: [{ name: "db", user: { linux: { uid: 70, gid: 71, supplementalGroups: [72, 3] } } }] };
  expect(userOf(pod(ofPod, {}, real), "db")).toMatchObject({ uid: 70, gid: 71, supplementalGroups: [72, 3, 4] });
  expect(userOf(pod(), "db")).not.toHaveProperty("uid");
  expect(userOf(pod(), "db", { uid: 5, gid: 6 })).toMatchObject({ uid: 5, gid: 6 });
});

test("capabilities are the container's, as far as they concern files", () => {
  const of = (capabilities: object) => userOf(pod({}, { securityContext: { capabilities } }), "db").capabilities;
  expect(of({})).toEqual(["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"]);
  expect(of({ drop: ["ALL"], add: ["CHOWN", "NET_ADMIN"] })).toEqual(["CHOWN"]);
  expect(of({ drop: ["FOWNER"] })).toEqual(["CHOWN", "DAC_OVERRIDE", "FSETID"]);
});

test("a silence that is too short to be told from a busy machine, or endless, is refused", () => {
  const driver = (silenceMs: number) => sshfsDriver({ cluster: {} as Cluster, owner: "ann@desk", silenceMs });
  for (const silenceMs of [0, 2_999, 60_001, Number.NaN])
    expect(() => driver(silenceMs)).toThrow(expect.objectContaining({ code: "VOLUMES_OPTION_INVALID" }));
  expect(driver(3_000).name).toBe("sshfs");
});

describe("what the spec doesn't say", () => {
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const cluster = (said: string, labels: Record<string, string> = {}) => ({
    exec: async () => ({ stdout: Buffer.from(said), stderr: Buffer.alloc(0), exitCode: 0 }),
    get: async () => ({ metadata: { name: "shop", labels } }) as never,
  });
  const find = (of: Pod, at: ReturnType<typeof cluster>) =>
    findUser(at, { pod: of, container: "db", signal: new AbortController().signal, logger: silent });

  test("the container is asked, also for its label: the runtime would give the volume another one", async () => {
    const selinux = "999\n998\nsystem_u:system_r:container_t:s0:c12,c345\0";
    expect(await find(pod(), cluster(selinux))).toMatchObject({ uid: 999, gid: 998, seLinuxOptions: { level: "s0:c12,c345" } });
    const given = pod({ securityContext: { seLinuxOptions: { level: "s0:c1,c2" }, runAsUser: 5, runAsGroup: 6 } });
    expect(await find(given, cluster(selinux))).toMatchObject({ uid: 5, gid: 6, seLinuxOptions: { level: "s0:c1,c2" } });
    const typed = pod({ securityContext: { seLinuxOptions: { type: "spc_t" }, runAsUser: 5, runAsGroup: 6 } });
    expect(await find(typed, cluster(selinux))).toMatchObject({ seLinuxOptions: { type: "spc_t", level: "s0:c12,c345" } });
    for (const other of ["cri-containerd.apparmor.d (enforce)", "unconfined", ""])
      expect(await find(pod(), cluster(`999\n998\n${other}`))).not.toHaveProperty("seLinuxOptions");
  });

  test("root is refused where the namespace forbids it, and root alone", async () => {
    const restricted = { "pod-security.kubernetes.io/enforce": "restricted" };
    await expect(find(pod(), cluster("0\n0\n", restricted))).rejects.toMatchObject({
      code: "VOLUMES_ROOT_FORBIDDEN",
      hint: expect.stringContaining("runAsUser"),
    });
    expect(await find(pod(), cluster("0\n0\n", { "pod-security.kubernetes.io/enforce": "baseline" }))).toMatchObject({ uid: 0 });
    expect(await find(pod(), cluster("7\n7\n", restricted))).toMatchObject({ uid: 7 });
  });
});
