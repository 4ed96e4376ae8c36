import { arch, cpus, platform, release, totalmem } from "node:os";
import type { Store } from "../store.ts";
import { time } from "./events.ts";

/** What a node says it has. */
export function nodeCapacity(): Record<string, string> {
  return { cpu: String(cpus().length), memory: `${Math.floor(totalmem() / 1024)}Ki`, "ephemeral-storage": "100Gi", pods: "65000" };
}

/** Writes the Node object (again), ready. */
export function registerNode(store: Store, name: string, hostIP: string): void {
  const os = platform();
  const architecture = arch() === "x64" ? "amd64" : arch();
  const labels = {
    "beta.kubernetes.io/arch": architecture,
    "beta.kubernetes.io/os": os,
    "kubernetes.io/arch": architecture,
    "kubernetes.io/hostname": name,
    "kubernetes.io/os": os,
  };
  const now = time();
  const condition = (type: string, status: string, reason: string, message: string): Record<string, string> => ({
    type,
    status,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
    reason,
    message,
  });
  const capacity = nodeCapacity();
  const status = {
    capacity,
    allocatable: capacity,
    conditions: [
      condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
      condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
      condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
      condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ],
    addresses: [
      { type: "InternalIP", address: hostIP },
      { type: "Hostname", address: name },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
    nodeInfo: {
      machineID: "",
      systemUUID: "",
      bootID: "",
      kernelVersion: release(),
      osImage: "Shipside embedded node",
      containerRuntimeVersion: `node://${process.versions.node}`,
      kubeletVersion: "v1.36.0",
      kubeProxyVersion: "",
      operatingSystem: os,
      architecture,
    },
    images: [],
  };
  const existing = store.mutate("nodes", undefined, name, (node) => {
    node.metadata.labels = { ...node.metadata.labels, ...labels };
    node["status"] = status;
  });
  if (existing) return;
  store.create("nodes", {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels },
    spec: { podCIDR: "10.244.0.0/24", podCIDRs: ["10.244.0.0/24"] },
    status,
  });
}
