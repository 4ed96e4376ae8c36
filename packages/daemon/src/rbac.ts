/** The rights that commands take in a cluster, as data, as Roles, and as YAML. Asks no cluster. */
import { listContexts } from "@shipside/kube";

export { sessionRules, USUAL } from "./rbac/commands.ts";
export { doctorRules } from "./rbac/doctor.ts";
export { type RoleObject, renderRoles, rolesFor } from "./rbac/manifest.ts";
export { envRules, execRules, namespacesRules, portForwardRules, tunnelRules, workloadRules } from "./rbac/parts.ts";
export { exposeRules, interceptRules, relayRules } from "./rbac/relay.ts";
export { describeRight, mergeRules, type Right, type Rule, rightsOf } from "./rbac/rule.ts";
export { strayRelayRules } from "./rbac/undo.ts";

/** The namespace that a command line means where it names none. Reads the kubeconfig only; "default" where there is none. */
export async function homeNamespace(where: { kubeconfig?: string; context?: string }): Promise<string> {
  const contexts = await listContexts(where.kubeconfig === undefined ? {} : { kubeconfig: where.kubeconfig }).catch(() => []);
  const named = contexts.find(({ name, current }) => (where.context === undefined ? current : name === where.context));
  return named?.namespace ?? "default";
}
