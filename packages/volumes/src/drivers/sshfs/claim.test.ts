import type { Pod } from "@shipside/kube";
import { expect, test } from "vitest";
import { claimedPath, nodeFor, type PersistentVolumeClaim } from "./claim.ts";
import { userOf } from "./user.ts";

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
  expect(nodeFor(claim(["ReadWriteOnce"]), pod())).toBe("n1");
  expect(nodeFor(claim(["ReadWriteMany"]), pod())).toBeUndefined();
  expect(nodeFor(claim(["ReadWriteOnce", "ReadOnlyMany"]), pod())).toBeUndefined();
  const refused = (code: string) => expect.objectContaining({ code });
  expect(() => nodeFor(claim(["ReadWriteOncePod"]), pod())).toThrow(refused("VOLUMES_CLAIM_EXCLUSIVE"));
  expect(() => nodeFor(claim([], "Pending"), pod())).toThrow(refused("VOLUMES_CLAIM_UNBOUND"));
  expect(() => nodeFor(claim(["ReadWriteOnce"], "Bound", { volumeMode: "Block" }), pod())).toThrow(
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
