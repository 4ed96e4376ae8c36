import { codedErrors } from "@shipside/core";

export const PROXY_ERRORS = {
  PROXY_OPTION_INVALID: "an option is not of the form it takes",
} as const;

export type ProxyErrorCode = keyof typeof PROXY_ERRORS;

export const proxyError = codedErrors(PROXY_ERRORS);
