import { readAbandoned, type SessionOptions, stateDir } from "@shipside/daemon/client";
import type { Rule } from "@shipside/daemon/rbac";

/** What a command line needs of one cluster. */
export interface ClusterRights {
  /** The kubeconfig's context; undefined: the current one. */
  context?: string;
  rules: readonly Rule[];
}

/**
 * Of the sessions that a command line opens: their rules, by context. Reads the kubeconfig at most, for the namespace. `inside`: of a command in
 * namespaces of its own.
 */
export async function rightsOfSessions(sessions: readonly SessionOptions[], { inside = false } = {}): Promise<ClusterRights[]> {
  const { homeNamespace, mergeRules, namespacesRules, sessionRules } = await import("@shipside/daemon/rbac");
  const found = new Map<string | undefined, Rule[]>();
  for (const options of sessions) {
    const home = options.namespace ?? (await homeNamespace(options));
    const rules = [...sessionRules(options, home), ...(inside ? namespacesRules() : [])];
    found.set(options.context, [...(found.get(options.context) ?? []), ...rules]);
  }
  return [...found].map(([context, rules]) => ({ ...(context !== undefined && { context }), rules: mergeRules(rules) }));
}

/** Of what dead sessions left in clusters, as their journals say. Reads those only. */
export async function rightsToUndo(): Promise<ClusterRights[]> {
  if ((await readAbandoned(stateDir())).length === 0) return [];
  return (await import("@shipside/daemon")).rightsToUndo(stateDir());
}
