import { posix } from "node:path";
import type { PodSpec, VolumeMount } from "@shipside/kube";
import fc from "fast-check";
import { expect, it } from "vitest";
import { isBelow } from "./local-path.ts";
import { plan } from "./plan.ts";

const volumes = [
  { name: "config", configMap: { name: "core-config" } },
  { name: "keys", secret: { secretName: "keys" } },
  { name: "cache", emptyDir: {} },
  { name: "data", persistentVolumeClaim: { claimName: "data" } },
  { name: "host", hostPath: { path: "/var/log" } },
];
const spec = (volumeMounts: VolumeMount[], rest: Partial<PodSpec> = {}): PodSpec => ({
  containers: [{ name: "main", volumeMounts, env: [{ name: "TIER", value: "gold" }] }],
  volumes,
  ...rest,
});

it("a block device has no files to bring; without its claim's name none would know which it is", () => {
  const devices = spec([], {
    containers: [{ name: "main", volumeDevices: [{ name: "data", devicePath: "/dev/xvda" }] } as PodSpec["containers"][number]],
  });
  const expected = {
    ...{ volume: "data", kind: "persistentVolumeClaim", source: { claimName: "data" }, mountPath: "/dev/xvda", readOnly: false },
    obstacle: {
      code: "VOLUMES_KIND_UNSUPPORTED",
      message: "the container has it as a block device, which has no files",
      hint: "what is on it can be had where the container itself is: kubectl exec",
    },
  };
  expect(plan(devices).mounts).toEqual([expected]);
  expect(plan(devices, { only: ["/dev/xvda"] }).mounts).toEqual([expected]);
});

it("tells of each mount where it goes, what it is, and by what means it comes", () => {
  const { container, mounts } = plan(
    spec([
      { name: "keys", mountPath: "/etc/core/keys/" },
      { name: "config", mountPath: "/etc/core" },
      { name: "data", mountPath: "/data", subPathExpr: "$(TIER)/$$x" },
      { name: "cache", mountPath: "/cache", readOnly: true },
      { name: "host", mountPath: "/logs" },
    ]),
  );
  expect(container).toBe("main");
  expect(mounts).toEqual([
    { volume: "cache", kind: "emptyDir", source: {}, mountPath: "/cache", localPath: "cache", readOnly: true, means: "here" },
    {
      volume: "data",
      kind: "persistentVolumeClaim",
      source: { claimName: "data" },
      mountPath: "/data",
      localPath: "data",
      subPath: "gold/$x",
      readOnly: false,
      means: "driver",
    },
    expect.objectContaining({ volume: "config", localPath: "etc/core", readOnly: true, means: "api" }),
    expect.objectContaining({ volume: "keys", localPath: "etc/core/keys", means: "api" }),
    {
      volume: "host",
      kind: "hostPath",
      source: { path: "/var/log" },
      mountPath: "/logs",
      localPath: "logs",
      readOnly: false,
      obstacle: expect.objectContaining({ code: "VOLUMES_KIND_UNSUPPORTED", message: expect.stringContaining("node") }),
    },
  ]);
});

it("an emptyDir is one's own, or the running pod's where that is asked for", () => {
  const mounts = [{ name: "cache", mountPath: "/cache" }];
  expect(plan(spec(mounts), { from: "spec" }).mounts[0]).toMatchObject({ means: "here" });
  expect(plan(spec(mounts), { from: "running" }).mounts[0]).toMatchObject({ means: "driver" });
});

it("takes what is asked for by name or path, of the container that is asked for", () => {
  const two = spec([{ name: "cache", mountPath: "/cache" }], {
    initContainers: [{ name: "init", volumeMounts: volumes.map(({ name }) => ({ name, mountPath: `/${name}` })) }],
  });
  expect(plan(two, { container: "init", only: ["keys", "/data/"] }).mounts.map(({ volume }) => volume)).toEqual(["data", "keys"]);
  expect(() => plan(two, { container: "other" })).toThrow(
    expect.objectContaining({ code: "VOLUMES_CONTAINER_UNKNOWN", hint: "it has main, init" }),
  );
  expect(() => plan(two, { only: ["keys"] })).toThrow(
    expect.objectContaining({ code: "VOLUMES_NOT_MOUNTED", hint: "it mounts cache at /cache" }),
  );
});

it("expands a subPathExpr with what is known, and says what isn't", () => {
  const of = (subPathExpr: string, env?: Record<string, string>) =>
    plan(spec([{ name: "data", mountPath: "/d", subPathExpr }]), env ? { env } : {}).mounts[0];
  expect(of("$(POD)/x")).toMatchObject({ obstacle: { code: "VOLUMES_SUBPATH_UNKNOWN" } });
  expect(of("$(POD)/$(TIER)", { POD: "core-0" })).toMatchObject({ subPath: "core-0/gold", means: "driver" });
  expect(of("$(POD)", { POD: "../../etc" })).toMatchObject({ obstacle: { code: "VOLUMES_PATH_UNSAFE" } });
});

const part = fc.oneof(fc.constantFrom("..", ".", "", "etc", "core", "a", "b"), fc.string({ maxLength: 5 }));
const anyPath = fc.array(part, { maxLength: 6 }).map((parts) => `/${parts.join("/")}`);

it("never leaves the local directory, and never brings what would", () => {
  fc.assert(
    fc.property(anyPath, (mountPath) => {
      const [mount] = plan(spec([{ name: "cache", mountPath }])).mounts;
      if (mount!.localPath === undefined) expect(mount).toMatchObject({ obstacle: { code: "VOLUMES_PATH_UNSAFE" } });
      else {
        const place = posix.resolve("/home/me/dir", mount!.localPath);
        expect(isBelow(place, "/home/me/dir")).toBe(true);
        expect(place).toBe(`/home/me/dir/${mount!.localPath}`);
      }
      expect(mount!.means === undefined).toBe(mount!.obstacle !== undefined);
    }),
  );
});

it("puts an outer mount before those inside it, whatever their order in the spec", () => {
  fc.assert(
    fc.property(fc.array(anyPath, { maxLength: 12 }), (paths) => {
      const { mounts } = plan(spec(paths.map((mountPath) => ({ name: "cache", mountPath }))));
      expect(mounts).toHaveLength(paths.length);
      const places = mounts.map(({ localPath }) => localPath ?? "");
      places.forEach((place, at) => {
        for (const later of places.slice(at + 1)) expect(isBelow(place, later)).toBe(false);
      });
    }),
  );
});
