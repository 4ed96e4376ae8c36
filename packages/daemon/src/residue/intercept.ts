import type { Cluster } from "@shipside/kube";
import { endIntercept, type InterceptTrace } from "@shipside/proxy";
import type { Journal } from "../journal.ts";
import { endInterceptRules } from "../rbac/undo.ts";
import { type ClusterAddress, clusterAddress } from "./cluster-address.ts";
import type { ResidueKind } from "./kind.ts";

interface InterceptData extends Record<string, unknown>, ClusterAddress, InterceptTrace {}

/** For one intercept, with what its relay does to end itself. */
const UNDO_MS = 30_000;

/**
 * Records an intercept before it is made. Its relay may be other developers' too, so it is undone as a whole: see `endIntercept`. Returns
 * what strikes it out.
 */
export function recordIntercept(
  journal: Journal,
  { cluster, kubeconfig }: { cluster: Cluster; kubeconfig?: string },
  trace: InterceptTrace,
  session: string,
): Promise<() => Promise<void>> {
  const data: InterceptData = { ...clusterAddress(cluster, kubeconfig), ...trace };
  return journal.record({ kind: interceptResidue.kind, data }, session);
}

const describe = ({ service, namespace, context }: InterceptData): string =>
  `intercept of service ${namespace}/${service} in context ${context}`;

export const interceptResidue: ResidueKind<InterceptData> = {
  kind: "intercept",
  place: "cluster",
  describe,
  async undo(data, { cluster }) {
    const last = await endIntercept(await cluster(data), data, AbortSignal.timeout(UNDO_MS));
    return last ? {} : { said: "other developers go on with it" };
  },
  left: async (data) => describe(data),
  rules: endInterceptRules,
};
