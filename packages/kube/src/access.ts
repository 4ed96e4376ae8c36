import type { Cluster } from "./cluster.ts";
import type { KubeObject, ResourceType } from "./objects.ts";

/** What somebody wants to do, in RBAC's words. `resource` may be `pods/portforward`. */
export interface AccessWish {
  verb: string;
  group: string;
  resource: string;
  /** Absent: at the cluster scope, or in all namespaces. */
  namespace?: string;
  /** Absent: any object. */
  name?: string;
}

export interface AccessAnswer {
  allowed: boolean;
  /** The authorizer's own words, where it has some. */
  reason?: string;
}

interface AccessReview extends KubeObject {
  spec: { resourceAttributes: Record<string, string> };
  status?: { allowed?: boolean; reason?: string; evaluationError?: string };
}

const REVIEWS: ResourceType<AccessReview> = {
  group: "authorization.k8s.io",
  version: "v1",
  plural: "selfsubjectaccessreviews",
  kind: "SelfSubjectAccessReview",
  namespaced: false,
  shortNames: [],
};

/**
 * Asks whether the user may, without doing it (SelfSubjectAccessReview: every authenticated user may ask about themselves). Rejects with
 * the codes of a request.
 */
export async function mayI(cluster: Cluster, wish: AccessWish, options: { signal?: AbortSignal } = {}): Promise<AccessAnswer> {
  const { verb, group, namespace, name } = wish;
  const [resource = "", subresource] = wish.resource.split("/");
  const resourceAttributes = {
    ...{ verb, group, resource },
    ...(subresource !== undefined && { subresource }),
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
  };
  // A review has no name, and the API server refuses one that has.
  const review = { metadata: {} as AccessReview["metadata"], spec: { resourceAttributes } };
  const { status = {} } = await cluster.create(REVIEWS, review, options);
  const reason = status.reason || status.evaluationError;
  return { allowed: status.allowed === true, ...(reason && { reason }) };
}
