import { describe, expect, it } from "vitest";
import type { KubeJson } from "../../store.ts";
import { claimLoopbackBlock, createAddressPool } from "./addresses.ts";
import { serviceRoutes } from "./endpoints.ts";
import { renderPodHosts } from "./pod-hosts.ts";
import { type HostTree, planRoot } from "./root-plan.ts";

const object = (kind: string, name: string, rest: object, namespace = "shop"): KubeJson => ({
  apiVersion: "v1",
  kind,
  metadata: { name, namespace, uid: name, resourceVersion: "1", creationTimestamp: "" },
  ...rest,
});

describe("a container's root", () => {
  const directories: Record<string, Array<[string, "directory" | "file" | { link: string }]>> = {
    "/": [
      ["bin", { link: "usr/bin" }],
      ["dev", "directory"],
      ["etc", "directory"],
      ["opt", "directory"],
      ["proc", "directory"],
      ["run", "directory"],
      ["usr", "directory"],
      ["swapfile", "file"],
    ],
    "/opt": [
      ["apps", "directory"],
      ["readme", "file"],
      ["now", { link: "apps" }],
      ["disk", "directory"],
    ],
  };
  const tree: HostTree = {
    entries: (directory) => directories[directory]?.map(([name, kind]) => ({ name, kind })),
    real: (path) => path.replace(/^\/bin/, "/usr/bin"),
    mountPoints: ["/dev", "/dev/pts", "/proc", "/opt/disk/one"],
    overlayable: () => true,
  };
  const plan = (mounts: string[], workingDir = "/") =>
    planRoot(tree, {
      base: "/base",
      links: [{ at: "/etc/hosts", target: "/.pod/hosts" }],
      workingDir,
      mounts: mounts.map((at) => ({ at, source: `/volumes${at}`, file: false, readOnly: false })),
    });

  it("shares what is the system's, keeps writes private elsewhere, hides the machine's state", () => {
    const view = plan([]);
    expect(view.overlays).toEqual(["/etc", "/usr"]);
    expect(view.binds.map((bind) => bind.at)).toEqual(["/dev", "/opt", "/proc"]);
    expect(view.directories).toEqual(["/run"]);
    expect(view.links).toEqual([
      { at: "/etc/hosts", target: "/.pod/hosts" },
      { at: "/bin", target: "usr/bin" },
    ]);
  });
  it("makes a directory anew, entry by entry, that has mounts and needs a mount point", () => {
    const view = plan(["/opt/data"]);
    expect(view.directories).toEqual(["/opt", "/run"]);
    expect(view.overlays).toContain("/opt/apps");
    expect(view.links).toContainEqual({ at: "/opt/now", target: "apps" });
    expect(view.binds.map((bind) => bind.at)).toEqual(["/dev", "/opt/readme", "/opt/disk", "/proc", "/opt/data"]);
  });
  it("puts a mount where the machine's links lead", () => {
    expect(plan(["/bin/tool"]).binds.at(-1)).toMatchObject({ at: "/usr/bin/tool", source: "/volumes/bin/tool" });
  });
  it("leaves out what a volume replaces, and mounts parents before children", () => {
    const view = plan(["/etc/a/b", "/etc"], "/srv/app");
    expect(view.overlays).toEqual(["/usr"]);
    expect(view.directories).toEqual(["/run", "/srv/app"]);
    expect(view.binds.map((bind) => bind.at).slice(-2)).toEqual(["/etc", "/etc/a/b"]);
  });
});

const slice = (endpoints: object[], ports = [{ name: "http", port: 8080 }]): KubeJson =>
  object("EndpointSlice", "s", { addressType: "IPv4", ports, endpoints });

describe("a service's routes", () => {
  const service = object("Service", "web", {
    spec: {
      ports: [
        { name: "http", port: 80 },
        { name: "admin", port: 81 },
      ],
    },
  });
  it("lead to ready endpoints on the port of the same name", () => {
    const routes = serviceRoutes(service, [
      slice([
        { addresses: ["10.0.0.1"], conditions: { ready: true } },
        { addresses: ["10.0.0.2"], conditions: { ready: false } },
        { addresses: ["10.0.0.3"] },
      ]),
      slice([{ addresses: ["10.0.0.4"] }], [{ name: "admin", port: 9090 }]),
    ]);
    expect(routes.map((route) => route.backends)).toEqual([
      [
        { ip: "10.0.0.1", port: 8080 },
        { ip: "10.0.0.3", port: 8080 },
      ],
      [{ ip: "10.0.0.4", port: 9090 }],
    ]);
  });
  it("lead to ending endpoints that still serve where there is no other", () => {
    const ending = { addresses: ["10.0.0.1"], conditions: { ready: false, serving: true, terminating: true } };
    expect(serviceRoutes(service, [slice([ending])])[0]!.backends).toHaveLength(1);
    expect(serviceRoutes(service, [slice([ending, { addresses: ["10.0.0.2"] }])])[0]!.backends).toEqual([
      { ip: "10.0.0.2", port: 8080 },
    ]);
  });
  it("remember clients where the service says so", () => {
    const sticky = object("Service", "web", { spec: { ports: [{ port: 80 }], sessionAffinity: "ClientIP" } });
    expect(serviceRoutes(sticky, [])[0]).toMatchObject({ affinityMs: 10_800_000, backends: [] });
  });
});

describe("a pod's hosts file", () => {
  it("has the pod, its aliases, and the names of services as seen from its namespace", () => {
    const pod = object("Pod", "web-0", {
      spec: { hostname: "web-0", subdomain: "pods", hostAliases: [{ ip: "192.0.2.1", hostnames: ["a", "b"] }] },
    });
    const services = [
      object("Service", "near", { spec: { clusterIP: "10.96.0.5" } }),
      object("Service", "far", { spec: { clusterIP: "10.96.0.6" } }, "other"),
      object("Service", "pods", { spec: { clusterIP: "None" } }),
      object("Service", "outside", { spec: { type: "ExternalName", externalName: "example.com" } }),
    ];
    const slices = [
      slice([
        { addresses: ["10.244.0.7"], hostname: "web-0" },
        { addresses: ["10.244.0.8"], conditions: { ready: false } },
      ]),
    ];
    const text = renderPodHosts({ pod, podIP: "10.244.0.7", services, slices: () => slices });
    const lines = text.split("\n");
    expect(lines).toContain("127.0.0.1\tlocalhost");
    expect(lines).toContain("10.244.0.7\tweb-0.pods.shop.svc.cluster.local\tweb-0");
    expect(lines).toContain("192.0.2.1\ta\tb");
    expect(lines).toContain("10.96.0.5\tnear.shop.svc.cluster.local near.shop.svc near.shop near");
    expect(lines).toContain("10.96.0.6\tfar.other.svc.cluster.local far.other.svc far.other");
    expect(text).toContain(
      "10.244.0.7\tpods.shop.svc.cluster.local pods.shop.svc pods.shop pods web-0.pods.shop.svc.cluster.local",
    );
    expect(text).not.toContain("10.244.0.8");
    expect(text).not.toContain("outside");
  });
});

describe("the address pool", () => {
  it("gives each address once, a freed one as late as it can, and says when there is none", () => {
    const pool = createAddressPool("10.244.0.2", 3);
    const first = [pool.take(), pool.take()];
    expect(first).toEqual(["10.244.0.2", "10.244.0.3"]);
    pool.give("10.244.0.2");
    expect([pool.take(), pool.take()]).toEqual(["10.244.0.4", "10.244.0.2"]);
    expect(() => pool.take()).toThrow(expect.objectContaining({ code: "NODE_ADDRESSES_EXHAUSTED" }));
  });
  it("passes over the end of an octet", () => {
    const pool = createAddressPool("10.244.0.2");
    const all = Array.from({ length: 300 }, () => pool.take());
    expect(all[253]).toBe("10.244.0.255");
    expect(all[254]).toBe("10.244.1.0");
    expect(new Set(all).size).toBe(300);
  });
  it("has loopback blocks that no two nodes share", async () => {
    const blocks = await Promise.all(Array.from({ length: 5 }, claimLoopbackBlock));
    const addresses = blocks.flatMap((block) => (block ? [block.pods.take(), block.services.take()] : []));
    expect(new Set(addresses).size).toBe(addresses.length);
    expect(addresses.every((address) => /^127\.6[4-7]\./.test(address))).toBe(true);
    await Promise.all(blocks.map((block) => block?.close()));
  });
});
