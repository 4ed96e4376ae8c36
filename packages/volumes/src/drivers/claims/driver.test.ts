import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VolumeDriver } from "@shipside/core";
import { type Cluster, connectCluster, DEPLOYMENTS, NAMESPACES, PODS } from "@shipside/kube";
import { RELAY_LABEL } from "@shipside/relay";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it, test, vi } from "vitest";
import { openVolumes } from "../../volumes.ts";
import type { DriveOptions } from "../drive.ts";
import { type ClaimDriverOptions, claimDriver } from "./driver.ts";

const namespace = "claims";
const pod = { namespace, name: "holder" };
let embedded: EmbeddedCluster;
let cluster: Cluster;

const claim = (name: string, mode: string, more: object = {}) => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { namespace, name },
  spec: { accessModes: [mode], resources: { requests: { storage: "1Gi" } }, ...more },
});

/** What was asked to be mounted, in a test. */
let mounted: DriveOptions[] = [];
beforeEach(() => {
  mounted = [];
});

/** Mounts nothing. */
const toldOnly = (options: ClaimDriverOptions): VolumeDriver =>
  claimDriver(options, {
    name: "told",
    unavailable: async () => undefined,
    async mount(wanted) {
      mounted.push(wanted);
      return { localPath: wanted.localPath, close: async () => {}, [Symbol.asyncDispose]: async () => {} };
    },
  });

test("a silence that is too short to be told from a busy machine, or endless, is refused", () => {
  const driver = (silenceMs: number) => toldOnly({ cluster: {} as Cluster, owner: "ann@desk", silenceMs });
  for (const silenceMs of [0, 2_999, 60_001, Number.NaN])
    expect(() => driver(silenceMs)).toThrow(expect.objectContaining({ code: "VOLUMES_OPTION_INVALID" }));
  expect(driver(3_000).name).toBe("told");
});

describe("with a cluster", () => {
  beforeAll(async () => {
    embedded = await startCluster();
    await embedded.apply([
      { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
      claim("data", "ReadWriteOnce"),
      claim("shared", "ReadWriteMany"),
      claim("library", "ReadOnlyMany"),
      claim("nowhere", "ReadWriteOnce", { storageClassName: "none" }),
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { namespace, name: "particular" },
        spec: {
          terminationGracePeriodSeconds: 0,
          tolerations: [{ key: "db", operator: "Exists", effect: "NoSchedule" }],
          securityContext: {
            ...{ runAsUser: 70, runAsGroup: 71, fsGroup: 72, fsGroupChangePolicy: "OnRootMismatch", supplementalGroups: [73] },
            seLinuxOptions: { level: "s0:c1,c2" },
          },
          volumes: ["data", "shared", "library"].map((name) => ({ name, persistentVolumeClaim: { claimName: name } })),
          containers: [
            { name: "first", image: "busybox", command: ["sleep", "98764"] },
            {
              name: "main",
              image: "busybox",
              command: ["sleep", "98765"],
              securityContext: { runAsUser: 74 },
              volumeMounts: [
                { name: "data", mountPath: "/data", mountPropagation: "HostToContainer" },
                { name: "shared", mountPath: "/shared" },
                { name: "library", mountPath: "/library" },
              ],
            },
          ],
        },
      },
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { namespace, name: "waiting" },
        spec: {
          volumes: [{ name: "data", persistentVolumeClaim: { claimName: "nowhere" } }],
          containers: [{ name: "main", image: "busybox", volumeMounts: [{ name: "data", mountPath: "/data" }] }],
        },
      },
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: pod,
        spec: {
          terminationGracePeriodSeconds: 0,
          volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }],
          containers: [
            { name: "main", image: "busybox", command: ["sleep", "98763"], volumeMounts: [{ name: "data", mountPath: "/data" }] },
          ],
        },
      },
    ]);
    cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
    for (const { name } of [pod, { name: "particular" }])
      await vi.waitFor(async () => expect((await cluster.get(PODS, { namespace, name })).status?.phase).toBe("Running"), {
        timeout: 15_000,
      });
  });
  afterAll(async () => {
    await cluster?.close();
    await embedded?.close();
  });

  const driver = (by: Cluster = cluster): VolumeDriver => toldOnly({ cluster: by, owner: "ann@desk" });
  const relays = async (): Promise<number> => (await cluster.list(DEPLOYMENTS, { namespace, labelSelector: RELAY_LABEL })).length;

  /** In a folder that goes afterwards. */
  const within = async (use: (dir: string) => Promise<void>): Promise<void> => {
    const dir = await mkdtemp(join(tmpdir(), "claims-"));
    await use(dir).finally(() => rm(dir, { recursive: true, force: true }));
    expect(await relays()).toBe(0);
  };

  it(
    "the relay is as the container is: its user, groups, label, tolerations; on its node where the access mode asks for that",
    () =>
      within(async (dir) => {
        // The embedded cluster runs all as one user, and says so in the pod's status.
        const asSpecified = async (type: typeof PODS, ref: never) => {
          const found = await cluster.get(type, ref);
          return type === PODS ? { ...found, status: {} } : found;
        };
        await using volumes = await openVolumes(cluster, {
          ...{ workload: "pod/particular", namespace, dir, container: "main" },
          driver: driver({ ...cluster, get: asSpecified } as Cluster),
          only: ["data", "shared", "library"],
        });
        expect(volumes.obstacles).toEqual([]);
        const made = await cluster.list(DEPLOYMENTS, { namespace, labelSelector: RELAY_LABEL });
        // biome-ignore lint/suspicious/noExplicitAny: pods' specs, as the API has them
        const pods: any[] = made.map(({ spec }) => (spec as any).template.spec);
        const of = (claimed: string) => pods.find(({ volumes: [, own] }) => own.persistentVolumeClaim.claimName === claimed);
        const { nodeName } = (await cluster.get(PODS, { namespace, name: "particular" })).spec;
        expect(["data", "library", "shared"].map((claimed) => of(claimed).nodeName)).toEqual([nodeName, undefined, undefined]);
        for (const { tolerations, securityContext } of pods) {
          expect(tolerations).toContainEqual({ key: "db", operator: "Exists", effect: "NoSchedule" });
          // No fsGroup, and so no policy for it: nobody's files are given to a group.
          expect(securityContext).toEqual({
            ...{ runAsNonRoot: true, runAsUser: 74, runAsGroup: 71, supplementalGroups: expect.arrayContaining([72, 73]) },
            ...{ seLinuxOptions: { level: "s0:c1,c2" }, seccompProfile: { type: "RuntimeDefault" } },
          });
        }
        expect(of("data").containers[0].volumeMounts[1]).toMatchObject({ mountPropagation: "HostToContainer" });
        expect(of("library").volumes[1].persistentVolumeClaim.readOnly).toBe(true);
        expect(Object.fromEntries(mounted.map(({ name, readOnly }) => [name, readOnly]))).toEqual({
          ...{ "claims/data": false, "claims/shared": false, "claims/library": true },
        });
      }),
    60_000,
  );

  it("a claim without a volume is the reason, not the pod that waits for it", () =>
    within(async (dir) => {
      await using volumes = await openVolumes(cluster, {
        workload: "pod/waiting",
        namespace,
        dir,
        only: ["data"],
        driver: driver(),
      });
      expect(volumes.obstacles).toEqual([
        expect.objectContaining({
          code: "VOLUMES_CLAIM_UNBOUND",
          message: "PersistentVolumeClaim claims/nowhere is Pending: it has no volume yet",
          hint: expect.stringContaining("kubectl describe pvc nowhere"),
        }),
      ]);
    }));

  it("as root, where the namespace forbids root, nothing is started, and why is said", () =>
    within(async (dir) => {
      const enforce = (level: string | null) => {
        const labels = { "pod-security.kubernetes.io/enforce": level };
        return cluster.patch(NAMESPACES, { name: namespace }, { metadata: { labels } }, { kind: "merge" });
      };
      const asRoot = await cluster.get(PODS, pod);
      (asRoot.spec as { securityContext?: object }).securityContext = { runAsUser: 0, runAsGroup: 0 };
      const create = vi.fn();
      const get = (type: never, ref: never) => ((ref as { name: string }).name === pod.name ? asRoot : cluster.get(type, ref));
      await enforce("restricted");
      try {
        const refusing = driver({ ...cluster, get, create } as unknown as Cluster);
        const wanted = { workload: "pod/holder", namespace, dir, only: ["data"] };
        await using volumes = await openVolumes(cluster, { ...wanted, driver: refusing });
        expect(volumes.obstacles).toEqual([
          expect.objectContaining({ code: "VOLUMES_ROOT_FORBIDDEN", message: expect.stringContaining("forbids new pods") }),
        ]);
        expect(create).not.toHaveBeenCalled();
      } finally {
        await enforce(null);
      }
    }));
});
