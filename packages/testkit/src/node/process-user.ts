import type { NetworkMode } from "./network/network.ts";
import type { PodState } from "./status.ts";

/** As whom a pod's processes run: in a namespace of its own as root, whoever that is outside, elsewhere as we do. */
export function processUser(mode: NetworkMode): Pick<PodState, "user"> {
  if (mode === "namespaces") return { user: { uid: 0, gid: 0, supplementalGroups: [0] } };
  if (!process.getuid || !process.getgid) return {};
  const gid = process.getgid();
  return { user: { uid: process.getuid(), gid, supplementalGroups: process.getgroups?.() ?? [gid] } };
}
