import type { Pod } from "@shipside/kube";
import { describe, expect, test } from "vitest";
import { pod } from "./fixtures/pod.ts";
import { findUser, userOf } from "./user.ts";

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
