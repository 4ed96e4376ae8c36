import { existsSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Bed, isReady, makeBed, sh, status } from "../fixtures/bed.ts";
import { availableModes } from "../fixtures/modes.ts";

const modes = await availableModes();

describe.each(modes)("volumes of a pod, with %s", (network) => {
  let bed: Bed;
  beforeAll(async () => {
    bed = await makeBed({ network });
  });
  afterAll(() => bed.node.close());
  afterEach(() => bed.clear());

  it("mounts volumes inside volumes, a file of one among them, and keeps the outer one current", async () => {
    bed.create("configmaps", { metadata: { name: "nested" }, data: { "a.conf": "one" } });
    bed.pod("nested", {
      volumes: [
        { name: "files", configMap: { name: "nested" } },
        { name: "absent", configMap: { name: "none", optional: true } },
        { name: "data", emptyDir: {} },
      ],
      containers: [
        sh("sleep 1000", {
          volumeMounts: [
            { name: "files", mountPath: "/opt/app/a.conf", subPath: "a.conf" },
            { name: "absent", mountPath: "/opt/absent" },
            { name: "data", mountPath: "/data" },
            { name: "files", mountPath: "/data/files" },
            { name: "files", mountPath: "/data/one.conf", subPath: "a.conf" },
            { name: "data", mountPath: "/data/files/inner" },
          ],
        }),
      ],
    });
    await bed.until("nested", isReady);
    const run = async (script: string): Promise<string> =>
      (await bed.exec("nested", ["sh", "-c", `cd $SHIPSIDE_ROOT/; ${script}`])).stdout;
    expect(await run("cat opt/app/a.conf data/files/a.conf data/one.conf; ls opt/absent")).toBe("oneoneone");
    expect(await run("echo x > data/files/inner/y; cat data/y")).toBe("x\n");
    bed.store.mutate("configmaps", "default", "nested", (copy) => {
      copy["data"] = { "b.conf": "two" };
    });
    await expect.poll(() => run("ls data/files")).toBe("b.conf\ninner\n");
    await bed.remove("nested");
  });

  it("shows volumes from the API and keeps them current; a secret's modes; tokens", async () => {
    bed.create("configmaps", { metadata: { name: "files" }, data: { "a.txt": "one" } });
    bed.create("secrets", { metadata: { name: "keys" }, data: { key: Buffer.from("k").toString("base64") } });
    bed.pod(
      "volumes",
      {
        volumes: [
          { name: "files", configMap: { name: "files" } },
          { name: "keys", secret: { secretName: "keys", defaultMode: 0o400, items: [{ key: "key", path: "deep/key" }] } },
          { name: "info", downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
        ],
        containers: [
          sh("sleep 1000", {
            volumeMounts: [
              { name: "files", mountPath: "/etc/files" },
              { name: "keys", mountPath: "/keys" },
              { name: "info", mountPath: "/info" },
              { name: "files", mountPath: "/opt/one.txt", subPath: "a.txt" },
            ],
          }),
        ],
      },
      { app: "volumes" },
    );
    await bed.until("volumes", isReady);
    const read = async (path: string): Promise<string> =>
      (await bed.exec("volumes", ["sh", "-c", `cat $SHIPSIDE_ROOT${path}`])).stdout;
    expect(await read("/etc/files/a.txt")).toBe("one");
    expect(await read("/opt/one.txt")).toBe("one");
    expect(await read("/keys/deep/key")).toBe("k");
    expect(await read("/info/labels")).toBe('app="volumes"');
    expect((await bed.exec("volumes", ["sh", "-c", "stat -Lc %a $SHIPSIDE_ROOT/keys/deep/key"])).stdout).toBe("400\n");
    bed.store.mutate("configmaps", "default", "files", (copy) => {
      copy["data"] = { "b.txt": "two" };
    });
    await expect.poll(() => read("/etc/files/b.txt")).toBe("two");
    expect(await read("/etc/files/a.txt")).toBe("");
    bed.store.mutate("pods", "default", "volumes", (copy) => {
      copy.metadata.labels = { app: "other" };
    });
    await expect.poll(() => read("/info/labels")).toBe('app="other"');
    await bed.remove("volumes", 0);
  });

  it("shows trust bundles by name and by signer, each certificate once, and keeps them current", async () => {
    const pem = (text: string) => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;
    const bundle = (name: string, spec: object, labels: object) =>
      bed.create("clustertrustbundles.certificates.k8s.io", { metadata: { name, namespace: undefined, labels }, spec });
    bundle("corporate", { trustBundle: pem("A") }, {});
    bundle("x.io:y:1", { signerName: "x.io/y", trustBundle: pem("B") }, { stage: "live" });
    const sources = [
      { name: "corporate", path: "named" },
      { signerName: "x.io/y", labelSelector: { matchLabels: { stage: "live" } }, path: "signed" },
      { signerName: "x.io/y", optional: true, path: "none" },
    ];
    bed.pod("trusting", {
      volumes: [{ name: "trust", projected: { sources: sources.map((clusterTrustBundle) => ({ clusterTrustBundle })) } }],
      containers: [sh("sleep 1000", { volumeMounts: [{ name: "trust", mountPath: "/trust" }] })],
    });
    await bed.until("trusting", isReady);
    const read = async (name: string): Promise<string> =>
      (await bed.exec("trusting", ["sh", "-c", `cat $SHIPSIDE_ROOT/trust/${name}`])).stdout;
    expect([await read("named"), await read("signed"), await read("none")]).toEqual([pem("A"), pem("B"), ""]);
    bundle("x.io:y:2", { signerName: "x.io/y", trustBundle: `${pem("B")}# and\n${pem("C")}` }, { stage: "live" });
    await expect.poll(() => read("signed")).toBe(pem("B") + pem("C"));
    await bed.remove("trusting", 0);
  });

  it("keeps a claim's files from pod to pod, and drops them with the claim", async () => {
    bed.create("persistentvolumeclaims", {
      kind: "PersistentVolumeClaim",
      metadata: { name: "data" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
      status: { phase: "Pending" },
    });
    const volumes = [{ name: "data", persistentVolumeClaim: { claimName: "data" } }];
    const volumeMounts = [{ name: "data", mountPath: "/var/lib/data" }];
    bed.pod("writer", {
      restartPolicy: "Never",
      volumes,
      containers: [sh("echo kept > $SHIPSIDE_ROOT/var/lib/data/file", { volumeMounts })],
    });
    await bed.until("writer", (p) => p["status"]?.phase === "Succeeded");
    await bed.remove("writer");
    bed.pod("reader", {
      restartPolicy: "Never",
      volumes,
      containers: [sh("cat $SHIPSIDE_ROOT/var/lib/data/file", { volumeMounts })],
    });
    await bed.until("reader", (p) => p["status"]?.phase === "Succeeded");
    expect(await bed.logs("reader")).toBe("kept\n");
    const claim = bed.store.get("persistentvolumeclaims", "default", "data")!;
    expect(claim["status"]).toMatchObject({ phase: "Bound", capacity: { storage: "1Gi" } });
    const pv = bed.store.get("persistentvolumes", undefined, claim["spec"].volumeName)!;
    expect(pv["spec"]).toMatchObject({ storageClassName: "standard", claimRef: { name: "data" } });
    await bed.remove("reader");
    bed.store.remove("persistentvolumeclaims", "default", "data");
    await expect.poll(() => existsSync(pv["spec"].local.path)).toBe(false);
    expect(bed.store.get("persistentvolumes", undefined, pv.metadata.name)).toBeUndefined();
  });

  it("leaves a pod unscheduled whose claim doesn't exist", async () => {
    bed.pod("claimless", {
      volumes: [{ name: "v", persistentVolumeClaim: { claimName: "none" } }],
      containers: [sh("sleep 1000")],
    });
    const pod = await bed.until("claimless", (p) => p["status"]?.conditions);
    expect(pod["status"].conditions[0]).toMatchObject({
      type: "PodScheduled",
      status: "False",
      reason: "Unschedulable",
      message: '0/1 nodes are available: persistentvolumeclaim "none" not found.',
    });
    bed.store.remove("pods", "default", "claimless");
  });

  it("reports a volume that can't be mounted, and mounts it when it can", async () => {
    bed.pod("mounting", {
      volumes: [{ name: "v", configMap: { name: "tardy" } }],
      containers: [sh("sleep 1000", { volumeMounts: [{ name: "v", mountPath: "/v" }] })],
    });
    await expect
      .poll(() => bed.events("mounting"))
      .toContain('FailedMount: MountVolume.SetUp failed for volume "v" : configmap "tardy" not found');
    expect(status(bed.get("mounting")!).state.waiting.reason).toBe("ContainerCreating");
    bed.create("configmaps", { metadata: { name: "tardy" }, data: {} });
    await bed.until("mounting", isReady);
    await bed.remove("mounting", 0);
  });

  it("a subPath of what isn't there is an empty directory, also inside another volume", async () => {
    bed.pod("absent", {
      volumes: [
        { name: "absent", configMap: { name: "none", optional: true } },
        { name: "data", emptyDir: {} },
      ],
      containers: [
        sh("sleep 1000", {
          volumeMounts: [
            { name: "absent", mountPath: "/opt/absent.conf", subPath: "a.conf" },
            { name: "data", mountPath: "/data" },
            { name: "absent", mountPath: "/data/x.conf", subPath: "x.conf" },
          ],
        }),
      ],
    });
    await bed.until("absent", isReady);
    const { stdout } = await bed.exec("absent", [
      "sh",
      "-c",
      "cd $SHIPSIDE_ROOT/; for d in opt/absent.conf data/x.conf; do [ -d $d ] && ls -a $d; done",
    ]);
    expect(stdout).toBe(".\n..\n.\n..\n");
    await bed.remove("absent", 0);
  });

  it.each(["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"])("a claim for %s is bound, and pods share it", async (mode) => {
    const name = mode.toLowerCase();
    bed.create("persistentvolumeclaims", {
      kind: "PersistentVolumeClaim",
      metadata: { name },
      spec: { accessModes: [mode], resources: { requests: { storage: "1Gi" } } },
      status: { phase: "Pending" },
    });
    const volumes = [{ name: "data", persistentVolumeClaim: { claimName: name } }];
    const containers = [sh("sleep 1000", { volumeMounts: [{ name: "data", mountPath: "/shared" }] })];
    for (const pod of [`${name}-a`, `${name}-b`]) bed.pod(pod, { volumes, containers });
    for (const pod of [`${name}-a`, `${name}-b`]) await bed.until(pod, isReady);
    expect(bed.store.get("persistentvolumeclaims", "default", name)!["status"]).toMatchObject({
      phase: "Bound",
      accessModes: [mode],
    });
    await bed.exec(`${name}-a`, ["sh", "-c", "echo from a > $SHIPSIDE_ROOT/shared/file"]);
    expect((await bed.exec(`${name}-b`, ["sh", "-c", "cat $SHIPSIDE_ROOT/shared/file"])).stdout).toBe("from a\n");
    await Promise.all([bed.remove(`${name}-a`, 0), bed.remove(`${name}-b`, 0)]);
  });
});
