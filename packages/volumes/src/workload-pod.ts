import { hasCode } from "@shipside/core";
import { type Cluster, meantPod, type Pod, podsOf, resolveWorkload, type Workload } from "@shipside/kube";
import type { OpenVolumesOptions } from "./volumes-options.ts";

/** A workload, with the running pod whose volumes are meant, where there is one. */
export interface WorkloadPod {
  workload: Workload;
  pod: Pod | undefined;
  /** Why pods could not be looked for. */
  refusal?: Error;
}

export async function findPod(
  cluster: Cluster,
  { workload: wanted, namespace }: OpenVolumesOptions,
  signal: AbortSignal,
): Promise<WorkloadPod> {
  const workload = typeof wanted === "string" ? await resolveWorkload(cluster, wanted, { namespace, signal }) : wanted;
  try {
    const pods = await podsOf(cluster, workload, { signal });
    return { workload, pod: meantPod(pods) };
  } catch (error) {
    // Whoever may not see pods has what the template says.
    if (hasCode(error, "KUBE_FORBIDDEN")) return { workload, pod: undefined, refusal: error as Error };
    throw error;
  }
}

/** The one that its annotation names. */
export function defaultContainer({ workload, pod }: WorkloadPod): string | undefined {
  const { object } = workload as unknown as {
    object: { spec: { template?: { metadata?: { annotations?: Record<string, string> } } } };
  };
  const annotations = pod?.metadata.annotations ?? object.spec.template?.metadata?.annotations;
  return annotations?.["kubectl.kubernetes.io/default-container"];
}
