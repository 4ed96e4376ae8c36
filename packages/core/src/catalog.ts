import { codedErrors } from "./errors.ts";

export const CORE_ERRORS = {
  ABORTED: "the operation was cancelled before it was done",
  LOCK_HELD: "another process holds the lock of a file that several share",
  PLUGIN_INVALID: "a plugin object is not of the form that definePlugin takes",
  UNEXPECTED: "an error without a code of its own: please report it",
} as const;

export const coreError = codedErrors(CORE_ERRORS);
