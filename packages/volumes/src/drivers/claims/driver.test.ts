import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VolumeDriver } from "@shipside/core";
import { type Cluster, NAMESPACES, PODS } from "@shipside/kube";
import { beforeAll, beforeEach, describe, expect, it, test, vi } from "vitest";
import { untilRunning } from "../../fixtures/world.ts";
import { openVolumes } from "../../volumes.ts";
import type { DriveOptions } from "../drive.ts";
import { claim, claimed, cluster, main, namespace, pod, podWith, relays, useHolder } from "../fixtures/holder.ts";
import { type ClaimDriverOptions, claimDriver } from "./driver.ts";

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
  useHolder(() => [
    claim("data"),
    claim("shared", "ReadWriteMany"),
    claim("library", "ReadOnlyMany"),
    claim("nowhere", "ReadWriteOnce", { storageClassName: "none" }),
    podWith(
      "particular",
      { data: claimed("data"), shared: claimed("shared"), library: claimed("library") },
      {
        tolerations: [{ key: "db", operator: "Exists", effect: "NoSchedule" }],
        securityContext: {
          ...{ runAsUser: 70, runAsGroup: 71, fsGroup: 72, fsGroupChangePolicy: "OnRootMismatch", supplementalGroups: [73] },
          seLinuxOptions: { level: "s0:c1,c2" },
        },
        containers: [
          main([], { name: "first" }),
          main([], {
            securityContext: { runAsUser: 74 },
            volumeMounts: [
              { name: "data", mountPath: "/data", mountPropagation: "HostToContainer" },
              { name: "shared", mountPath: "/shared" },
              { name: "library", mountPath: "/library" },
            ],
          }),
        ],
      },
    ),
    podWith("waiting", { data: claimed("nowhere") }),
    podWith(pod.name, { data: claimed("data") }),
  ]);
  beforeAll(() => untilRunning(cluster, namespace, "app=particular"));

  const driver = (by: Cluster = cluster): VolumeDriver => toldOnly({ cluster: by, owner: "ann@desk" });

  /** In a folder that goes afterwards. */
  const within = async (use: (dir: string) => Promise<void>): Promise<void> => {
    const dir = await mkdtemp(join(tmpdir(), "claims-"));
    await use(dir).finally(() => rm(dir, { recursive: true, force: true }));
    expect(await relays()).toEqual([]);
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
        const made = await relays();
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
          ...{ "drivers/data": false, "drivers/shared": false, "drivers/library": true },
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
          message: "PersistentVolumeClaim drivers/nowhere is Pending: it has no volume yet",
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
