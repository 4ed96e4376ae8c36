import { codedErrors } from "@shipside/core";

export const ROOTLESS_ERRORS = {
  ROOTLESS_INVALID_OPTION: "an option of openNamespace is not of the form it takes",
  ROOTLESS_UNSUPPORTED: "this system has no namespaces of this kind, or lacks a program that is needed to make them",
  ROOTLESS_FORBIDDEN: "this machine lets ordinary users make no user namespaces; the message says by which rule",
  ROOTLESS_FAILED: "the namespace or something in it could not be made",
  ROOTLESS_CLOSED: "the namespace is gone, or was used after close()",
} as const;

export const rootlessError = codedErrors(ROOTLESS_ERRORS);
