import { readAbandoned, type SessionOptions, stateDir } from "@shipside/daemon/client";
import type { Rule } from "@shipside/daemon/rbac";

/** What a command line needs of one cluster. */
export interface ClusterRights {
  /** The kubeconfig's context; undefined: the current one. */
  context?: string;
  rules: readonly Rule[];
}

/** Of the sessions that a command line opens: their rules, by context. Reads the kubeconfig at most, for the namespace. */
export async function rightsOfSessions(sessions: readonly SessionOptions[]): Promise<ClusterRights[]> {
  const { homeNamespace, mergeRules, sessionRules } = await import("@shipside/daemon/rbac");
  const found = new Map<string | undefined, Rule[]>();
  for (const options of sessions) {
    const home = options.namespace ?? (await homeNamespace(options));
    found.set(options.context, [...(found.get(options.context) ?? []), ...sessionRules(options, home)]);
  }
  return [...found].map(([context, rules]) => ({ ...(context !== undefined && { context }), rules: mergeRules(rules) }));
}

/** Of what dead sessions left in clusters, as their journals say. Reads those only. */
export async function rightsToUndo(): Promise<ClusterRights[]> {
  if ((await readAbandoned(stateDir())).length === 0) return [];
  return (await import("@shipside/daemon")).rightsToUndo(stateDir());
}
