import { codedErrors } from "@shipside/core";

export const TESTKIT_ERRORS = {
  TESTKIT_OPTIONS_INVALID: "an option of the embedded cluster has a value that it can't take",
  TESTKIT_CLOSED: "the embedded cluster, or its API server, is no longer running",
  TESTKIT_PORT_IN_USE: "the API server's port is taken",
} as const;

/** For mistakes of whoever embeds the cluster. What the API server answers to its clients are `StatusError`s. */
export const testkitError = codedErrors(TESTKIT_ERRORS);
