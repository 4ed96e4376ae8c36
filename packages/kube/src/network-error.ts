import { codeOf, ShipsideError } from "@shipside/core";
import { kubeError } from "./errors.ts";

const REASONS: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection closed by the other side",
  ENOTFOUND: "the name does not resolve",
  EAI_AGAIN: "name resolution failed for now",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "network unreachable",
  ETIMEDOUT: "no answer to the connection attempt",
};

const CERTIFICATE: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed and not the one in the kubeconfig",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate comes from an authority that is not in the kubeconfig",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate comes from an authority that is not in the kubeconfig",
  UNABLE_TO_GET_ISSUER_CERT: "its certificate comes from an authority that is not in the kubeconfig",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate comes from an authority that is not in the kubeconfig",
  CERT_SIGNATURE_FAILURE: "its certificate is not signed by the authority in the kubeconfig",
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet: is this machine's clock right?",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
};

/** A failure below HTTP as an error with one of our codes; what has one already stays as it is. */
export function networkError(cause: unknown, server: string, what: string): Error {
  if (cause instanceof ShipsideError) return cause;
  const code = codeOf(cause) ?? "";
  const message = cause instanceof Error ? cause.message : String(cause);
  const details = { server, reason: code };
  const certificate = CERTIFICATE[code];
  if (certificate || /^(CERT_|UNABLE_TO_|ERR_TLS_|ERR_SSL_|ERR_OSSL_|EPROTO|HOSTNAME_MISMATCH)/.test(code)) {
    return kubeError("KUBE_TLS", `${what}: TLS with ${server} failed: ${certificate ?? message}`, {
      cause,
      hint: /ALERT_(CERTIFICATE|BAD_CERTIFICATE|UNKNOWN_CA)/.test(code)
        ? "the server wants another client certificate: log in again"
        : "check certificate-authority and server in the kubeconfig, and whether a proxy on the way opens TLS",
      details,
    });
  }
  // Happy eyeballs reports one error an address: each is kept as the cause, the first is told.
  const several = cause instanceof AggregateError && cause.errors.length > 0 ? codeOf(cause.errors[0]) : undefined;
  const reason = REASONS[several ?? code] ?? (message || code || "unknown reason");
  return kubeError("KUBE_UNREACHABLE", `${what}: ${server} can't be reached: ${reason}`, {
    cause,
    hint: "is the cluster running, and the VPN or proxy that leads to it?",
    details: { server, reason: several ?? code },
  });
}
