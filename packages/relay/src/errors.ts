import { codedErrors } from "@shipside/core";

export const RELAY_ERRORS = {
  RELAY_LINK_LOST: "the connection to the relay has ended",
} as const;

export type RelayErrorCode = keyof typeof RELAY_ERRORS;

export const relayError = codedErrors(RELAY_ERRORS);
