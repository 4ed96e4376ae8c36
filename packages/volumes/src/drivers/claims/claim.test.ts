import { expect, test } from "vitest";
import { claimedPath, getClaim, type PersistentVolumeClaim, placeFor } from "./claim.ts";
import { pod } from "./fixtures/pod.ts";

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

test("every refusal says what to do", async () => {
  const hinted = (hint: RegExp) => expect.objectContaining({ hint: expect.stringMatching(hint) });
  expect(() => claimedPath(pod(), { volume: "data", remotePath: "/database" })).toThrow(
    hinted(/mounts it at \/data, \/data\/logs$/),
  );
  expect(() => claimedPath(pod(), { volume: "data", remotePath: "/data", container: "none" })).toThrow(hinted(/container/));
  const block = claim(["ReadWriteOnce"], "Bound", { volumeMode: "Block" });
  expect(() => placeFor(block, pod(), false)).toThrow(hinted(/--only/));
  const get = () => Promise.reject(Object.assign(new Error("not found"), { code: "KUBE_NOT_FOUND" }));
  const asked = getClaim({ get }, { namespace: "shop", name: "pgdata" }, new AbortController().signal);
  await expect(asked).rejects.toEqual(hinted(/kubectl get pvc -n shop/));
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
