import type { ErrorJson } from "@shipside/core";

const POINTER = "the same command with --print-rbac prints every rule it needs, and does nothing else";

/** An error that a missing right is behind, with the way to all rights that are needed. */
export function pointAtRbac(error: ErrorJson): ErrorJson {
  if (!isOfRights(error) || error.hint?.includes(POINTER)) return error;
  return { ...error, hint: error.hint === undefined ? POINTER : `${error.hint}\n${POINTER}` };
}

/** RBAC's refusals name the verb; a policy's or a quota's don't, and no Role helps against those. */
const isOfRights = ({ code, details, causes = [] }: ErrorJson): boolean =>
  (code === "KUBE_FORBIDDEN" && details?.["verb"] !== undefined) || causes.some(isOfRights);
