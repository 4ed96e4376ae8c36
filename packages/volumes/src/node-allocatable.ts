import { hasCode } from "@shipside/core";
import type { Cluster, KubeObject, ResourceType } from "@shipside/kube";
import type { PodFacts } from "./downward.ts";

interface Node extends KubeObject {
  status?: { allocatable?: Record<string, string> };
}

const NODES: ResourceType<Node> = {
  ...{ group: "", version: "v1", plural: "nodes", kind: "Node" },
  ...{ namespaced: false, shortNames: ["no"] },
};

/** What nodes have to give, each asked once; undefined where this user may not look, as few may, or it has gone. */
export function nodeAllocatable(
  cluster: Pick<Cluster, "get">,
  { signal }: { signal: AbortSignal },
): (name: string) => Promise<PodFacts["allocatable"]> {
  const held = new Map<string, PodFacts["allocatable"]>();
  return async (name) => {
    if (held.has(name)) return held.get(name);
    try {
      const { status } = await cluster.get(NODES, { name }, { signal });
      held.set(name, status?.allocatable ?? {});
    } catch (error) {
      if (!hasCode(error, "KUBE_FORBIDDEN", "KUBE_NOT_FOUND")) throw error;
      held.set(name, undefined);
    }
    return held.get(name);
  };
}
