import { codedErrors } from "@shipside/core";

export const NODE_ERRORS = {
  NODE_OPTIONS_INVALID: "an option of the node has a value that it can't take",
  NODE_NETWORK_UNAVAILABLE: "this machine doesn't let the process make the namespaces that were asked for",
  NODE_AGENT_GONE: "the process that holds a pod's containers ended",
  NODE_ADDRESSES_EXHAUSTED: "every address that pods may have is in use",
} as const;

export const nodeError = codedErrors(NODE_ERRORS);
