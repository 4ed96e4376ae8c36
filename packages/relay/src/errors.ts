import { codedErrors } from "@shipside/core";

export const RELAY_ERRORS = {
  RELAY_LINK_LOST: "the connection to the relay has ended",
  RELAY_REFUSED: "the relay does not accept this link: another secret, another version, or it is ending",
  RELAY_PROTOCOL: "what answers on the relay's control port is not a relay",
  RELAY_REQUEST_FAILED: "the relay could not do what it was asked to",
  RELAY_OPTIONS: "an option of the relay is not of the form it takes",
  RELAY_IMAGE_UNAVAILABLE: "the cluster could not pull the image that the relay runs in",
  RELAY_QUOTA: "a quota or a limit of the namespace does not admit the relay's pod",
  RELAY_POD_REFUSED: "the cluster refuses the relay's pod: a policy, a webhook, or its pod security level",
  RELAY_TLS_SECRET: "the Secret by which the relay would end TLS isn't there, or isn't one for TLS",
  RELAY_TLS_PODS: "the pods don't speak TLS on that port, or their certificate can't be trusted",
  RELAY_NOT_READY: "the relay's pod did not become ready in time",
  DIAL_REFUSED: "nothing listens on that port of that host, as seen from inside the cluster",
  DIAL_GONE: "there is no such host, as seen from inside the cluster",
  DIAL_FAILED: "a host could not be connected to from inside the cluster, and it can't be said that it refused",
  RELAY_PATTERN: "a regular expression of a match is not of the form that the relay takes",
  LEASE_INVALID: "a lease that was sent to the relay lacks something, or names a port that the relay doesn't have",
  LEASE_TAKEN: "another developer's lease takes some of the same traffic",
} as const;

export type RelayErrorCode = keyof typeof RELAY_ERRORS;

export const relayError = codedErrors(RELAY_ERRORS);
