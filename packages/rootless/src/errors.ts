import { codedErrors } from "@shipside/core";

export const ROOTLESS_ERRORS = {
  ROOTLESS_INVALID_OPTION:
    "an option of openNamespace, openResolver or openOutsideWorld, or a host name, is not of the form it takes",
  ROOTLESS_UNSUPPORTED: "this system has no namespaces of this kind, or lacks a program that is needed to make them",
  ROOTLESS_FORBIDDEN: "this machine lets ordinary users make no user namespaces; the message says by which rule",
  ROOTLESS_FAILED: "the namespace or something in it could not be made",
  ROOTLESS_MOUNT: "a folder or a file could not be shown at its path in the namespaces",
  ROOTLESS_DNS_UNANSWERED: "none of the machine's own DNS servers answered; what asked inside was told that the server failed",
  ROOTLESS_OUTSIDE_MISSING: "the program that would carry a namespace's traffic to the rest of the world is not installed",
  ROOTLESS_OUTSIDE_FORBIDDEN: "this user may not open /dev/net/tun, which such a program needs",
  ROOTLESS_OUTSIDE_FAILED: "the program that carries a namespace's traffic did not start, or ended before its time",
  ROOTLESS_CLOSED: "the namespace is gone, or was used after close()",
  LISTEN_IN_USE: "another socket listens on that address and port",
  LISTEN_FORBIDDEN: "that port or address needs a privilege that this process hasn't",
  LISTEN_FAILED: "a listening socket could not be made",
} as const;

export const rootlessError = codedErrors(ROOTLESS_ERRORS);
