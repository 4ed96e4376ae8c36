import type { MountInfo } from "@shipside/daemon/client";
import { expect, test } from "vitest";
import { mountFacts } from "./mount-facts.ts";

const volume = { localPath: "/x", readOnly: false, since: "2026-01-31T12:00:00.123Z" };
const info: MountInfo = {
  dir: "/home/ann/core",
  container: "core",
  drivers: [{ name: "snapshot", why: "it was asked for" }],
  volumes: [
    { ...volume, volume: "conf", kind: "configMap", mountPath: "/etc/core", by: "api", updates: "followed" },
    { ...volume, volume: "conf", kind: "configMap", mountPath: "/app.json", by: "api", updates: "never" },
    { ...volume, volume: "work", kind: "emptyDir", mountPath: "/work", by: "snapshot", updates: "never", readOnly: true },
    { ...volume, volume: "tmp", kind: "emptyDir", mountPath: "/tmp", by: "here", updates: "own" },
    { ...volume, volume: "data", kind: "persistentVolumeClaim", claim: "data", mountPath: "/data", by: "drive", updates: "live" },
    { ...volume, volume: "log", kind: "persistentVolumeClaim", claim: "log-db-0", mountPath: "/log", by: "drive", updates: "live" },
  ],
  obstacles: [
    { code: "KUBE_FORBIDDEN", message: "may not get secrets", volume: "keys", mountPath: "/keys" },
    { code: "VOLUMES_KIND_UNSUPPORTED", message: "a hostPath is the node's", volume: "host", mountPath: "/host" },
  ],
};

test("each volume has its line: where, what, and how current", () => {
  expect(mountFacts(info, (_style, text) => text)).toEqual([
    "6 volumes in /home/ann/core",
    "  /etc/core  configMap conf, kept current",
    "  /app.json  configMap conf, as in a pod not updated, of 2026-01-31 12:00:00 UTC",
    "  /work  emptyDir work, a copy by snapshot, of 2026-01-31 12:00:00 UTC",
    "  /tmp  emptyDir tmp, your own, empty at first and gone at the end",
    "  /data  persistentVolumeClaim data, by drive",
    "  /log  persistentVolumeClaim log (claim log-db-0), by drive",
    "  driver snapshot: it was asked for",
    "  /keys (keys): may not get secrets",
    "  /host (host): a hostPath is the node's",
  ]);
});
