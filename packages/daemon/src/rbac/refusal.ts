import { codeOf } from "@shipside/core";
import { type Cluster, kubeError, mayI } from "@shipside/kube";
import { portForwardRules } from "./parts.ts";
import { describeRight, type Right, rightsOf } from "./rule.ts";

/** RBAC's refusal behind an error, however deep: the one that names a rule. */
export function refusalIn(error: unknown): Error | undefined {
  if (error instanceof AggregateError) return firstOf(error.errors);
  if (!(error instanceof Error)) return undefined;
  if (codeOf(error) === "KUBE_FORBIDDEN" && detailsOf(error)["verb"] !== undefined) return error;
  return refusalIn(error.cause);
}

const firstOf = (errors: readonly unknown[]): Error | undefined => errors.map(refusalIn).find((found) => found !== undefined);

/** The same right of the same place is one refusal, whichever object it was about. */
export function refusedRight(refusal: Error): string {
  const { verb, group, resource, namespace } = detailsOf(refusal);
  return JSON.stringify([verb, group, resource, namespace]);
}

const detailsOf = (error: Error): Readonly<Record<string, unknown>> =>
  (error as { details?: Readonly<Record<string, unknown>> }).details ?? {};

/**
 * A user without the right to forward ports would find everything open and nobody at home: asked before. What can't be asked is no
 * refusal. Resolves to a `KUBE_FORBIDDEN` for each namespace and right.
 */
export async function refusedForwards(cluster: Cluster, namespaces: readonly string[], signal: AbortSignal): Promise<Error[]> {
  const wanted = rightsOf(namespaces.flatMap(portForwardRules).filter(({ optional }) => optional === undefined));
  const answers = await Promise.all(
    wanted.map(({ verb, group, resource, namespace }) =>
      mayI(cluster, { verb, group, resource, ...(namespace !== undefined && { namespace }) }, { signal }).catch(() => undefined),
    ),
  );
  return wanted.filter((_, i) => answers[i]?.allowed === false).map(refusalOf);
}

function refusalOf(right: Right): Error {
  const { verb, group, resource, namespace } = right;
  const rule = `- apiGroups: [${JSON.stringify(group)}]\n  resources: [${JSON.stringify(resource)}]\n  verbs: [${JSON.stringify(verb)}]`;
  return kubeError("KUBE_FORBIDDEN", `this user may not ${describeRight(right)}: services can't be reached (${right.why})`, {
    hint: `ask for this rule in a Role in namespace ${namespace}:\n${rule}`,
    details: { verb, group, resource, namespace, rule },
  });
}
