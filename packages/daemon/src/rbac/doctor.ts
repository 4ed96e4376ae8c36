import { portForwardRules } from "./parts.ts";
import { mergeRules, type Rule } from "./rule.ts";

/**
 * What `doctor` looks at in a cluster; without a right, what it is for is not looked at, and a line says so. Whether the user may do this or
 * that, and which version it is, everybody who is logged in may ask (`system:basic-user`, `system:discovery`). Pure.
 */
export const doctorRules = (namespace: string): Rule[] =>
  mergeRules([
    {
      ...{ namespace, group: "", resource: "services", verbs: ["list"], why: "their ports, and intercepts whose relay is gone" },
      optional: "neither is looked for",
    },
    {
      ...{ namespace, group: "apps", resource: "deployments", verbs: ["list"], why: "relays that nobody uses" },
      optional: "they are not looked for",
    },
    {
      ...{ namespace, group: "", resource: "pods", verbs: ["list"], why: "one to try the way to the pods with" },
      optional: "the way to the pods is not tried",
    },
    ...portForwardRules(namespace),
  ]);
