import { codedErrors } from "@shipside/core";

export const PROXY_ERRORS = {
  PROXY_OPTION_INVALID: "an option of expose or intercept is not of the form it takes",
  PROXY_PORT_UNKNOWN: "the Service or workload has no such port",
  PROXY_SERVICE_TAKEN: "a Service of this name is there and isn't an exposed one of ours",
  PROXY_OBSTACLE: "the Service can't be intercepted without harm to who uses it",
  PROXY_LEASE_TAKEN: "another developer intercepts what this would intercept",
  PROXY_RELAY_STRANGE: "the Service is intercepted through a relay that can't be joined",
  PROXY_RELAY_SILENT: "a relay doesn't say whether others use it, so it can't be removed",
  PROXY_SERVICE_CHANGED: "the Service was changed by somebody else meanwhile",
  PROXY_ENDED: "the intercept or exposed Service was ended from elsewhere",
  PROXY_LOCAL_REFUSED: "nothing listens on the local port",
} as const;

export type ProxyErrorCode = keyof typeof PROXY_ERRORS;

export const proxyError = codedErrors(PROXY_ERRORS);
