import { errorToJson, hasCode } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import { assertBound, getClaim } from "./drivers/claims/claim.ts";
import type { Obstacle, PlannedMount } from "./plan.ts";

/** Why a workload has no running pod, where that is its claim; else, and where that can't be seen, undefined. */
export async function unboundClaim(
  cluster: Pick<Cluster, "get">,
  { source, kind }: PlannedMount,
  { namespace, signal }: { namespace: string; signal: AbortSignal },
): Promise<Obstacle | undefined> {
  if (kind !== "persistentVolumeClaim") return undefined;
  const { claimName: name } = source as { claimName: string };
  try {
    assertBound(await getClaim(cluster, { namespace, name }, signal));
  } catch (error) {
    if (!hasCode(error, "VOLUMES_CLAIM_UNBOUND")) return undefined;
    const { code, message, hint } = errorToJson(error);
    return { code, message, ...(hint !== undefined && { hint }) };
  }
}
