import { codedErrors } from "@shipside/core";

export const PORTFORWARD_ERRORS = {
  DIAL_REFUSED: "nothing listens on that port of the pod; no byte was delivered",
  DIAL_GONE: "the pod no longer exists or no longer runs; no byte was delivered",
  DIAL_FAILED: "the pod's port could not be reached for another reason; no byte was delivered",
  PORTFORWARD_CLOSED: "the port-forward pool has been closed",
  PORTFORWARD_LOST: "the connection that carried port-forward streams was lost",
  PORTFORWARD_PROTOCOL: "the far side of a port-forward connection broke its protocol",
  PORTFORWARD_OPTIONS: "an option of the port-forward pool is out of its range",
  ECONNRESET: "the pod reset the connection, or the path to it was lost after bytes may have been delivered",
  EPIPE: "written to a connection that the pod has closed",
} as const;

export const portForwardError = codedErrors(PORTFORWARD_ERRORS);
