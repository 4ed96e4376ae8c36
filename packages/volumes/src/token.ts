import { hasCode } from "@shipside/core";
import type { Cluster, KubeObject, ResourceType } from "@shipside/kube";
import { volumesError } from "./errors.ts";

export interface ServiceAccountToken {
  token: string;
  /** When a fresh one is due, in ms since 1970. */
  renewAt: number;
}

export interface TokenOptions {
  namespace: string;
  serviceAccount: string;
  /** Default the API server's own. */
  audience?: string;
  /** At least 600; the API server may give another. */
  expirationSeconds: number;
  signal: AbortSignal;
}

interface TokenRequest extends KubeObject {
  spec: { audiences?: string[]; expirationSeconds: number };
  status?: { token?: string; expirationTimestamp?: string };
}

const DAY = 24 * 3_600_000;
/** A server that gives very short-lived tokens isn't asked all the time. */
const LEAST_MS = 10_000;

/**
 * A token as the kubelet gets one, but not bound to a pod: it outlives a rollout, and ends at its time. A fresh one is due when 80% of
 * its time is over, or after a day. Rejects with `VOLUMES_TOKEN_REFUSED`.
 */
export async function requestToken(
  cluster: Pick<Cluster, "create">,
  options: TokenOptions,
  now = Date.now(),
): Promise<ServiceAccountToken> {
  const { namespace, serviceAccount, audience, expirationSeconds, signal } = options;
  const what = `a token of the service account ${serviceAccount} in namespace ${namespace}`;
  try {
    const { status } = await cluster.create(
      tokenType(serviceAccount),
      {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        metadata: { name: serviceAccount, namespace },
        spec: { expirationSeconds, ...(audience !== undefined && { audiences: [audience] }) },
      },
      { signal },
    );
    const ends = Date.parse(status?.expirationTimestamp ?? "");
    if (!status?.token || Number.isNaN(ends)) throw new Error("the answer has no token");
    return { token: status.token, renewAt: now + Math.max(LEAST_MS, Math.min(DAY, (ends - now) * 0.8)) };
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw volumesError("VOLUMES_TOKEN_REFUSED", `could not get ${what}: ${(cause as Error).message.split("\n")[0]}`, {
      cause,
      hint: hasCode(cause, "KUBE_FORBIDDEN")
        ? `a Role in ${namespace} must allow: apiGroups [""], resources ["serviceaccounts/token"], resourceNames ["${serviceAccount}"], verbs ["create"]`
        : "does the service account exist, and does this API server serve serviceaccounts/token?",
      details: { namespace, serviceAccount },
    });
  }
}

/** The subresource of one service account, to which a TokenRequest is posted as to a collection. A name is a DNS name: no `/` in it. */
const tokenType = (serviceAccount: string): ResourceType<TokenRequest> => ({
  group: "",
  version: "v1",
  plural: `serviceaccounts/${encodeURIComponent(serviceAccount)}/token`,
  kind: "TokenRequest",
  namespaced: true,
  shortNames: [],
});
