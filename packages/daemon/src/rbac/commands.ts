import { serviceRules } from "@shipside/tunnel";
import type { SessionKind, SessionOptions } from "../session-info.ts";
import { envRules, tunnelRules, workloadRules } from "./parts.ts";
import { exposeRules, interceptRules, relayRules } from "./relay.ts";
import { mergeRules, type Rule } from "./rule.ts";
import { volumesRules } from "./volumes.ts";

/** By kind of session. A new one adds a function, made of the parts in `parts.ts` and `relay.ts`. */
const RULES: Readonly<Record<SessionKind, (options: SessionOptions, namespace: string) => Rule[]>> = {
  teleport: ofTeleport,
  env: ofEnv,
  expose: ({ expose }, namespace) => exposeRules({ namespace, service: expose!.service, workload: expose!.workload }),
  intercept: ({ intercept }, namespace) => interceptRules({ namespace, service: intercept!.service }),
  mount: ofMount,
};

/**
 * The rules that a session takes. `home` is its namespace where the options name none. Pure. Throws `KUBE_KIND_UNKNOWN`, `KUBE_OPTION_INVALID` for a workload that can't be one.
 */
export function sessionRules(options: SessionOptions, home: string): Rule[] {
  return mergeRules(RULES[options.kind ?? "teleport"](options, options.namespace ?? home));
}

function ofTeleport(options: SessionOptions, namespace: string): Rule[] {
  const named = serviceRules(options.services ?? [], namespace).namespaces;
  const namespaces = [...new Set([namespace, ...(options.also ?? []), ...named])];
  // Without either, a relay is made only where a service can't be reached by port-forward alone, and its rights are told when it is.
  const relay = options.via === "relay" || (options.remoteHosts ?? []).length > 0;
  const relays = relay ? relayRules({ namespace, replicas: 1 }) : [];
  return [
    ...namespaces.flatMap(tunnelRules),
    ...relays,
    ...(options.workload === undefined ? [] : ofEnv(options, namespace)),
    ...ofMount(options, namespace),
  ];
}

function ofMount({ workload, mount }: SessionOptions, namespace: string): Rule[] {
  return mount ? volumesRules({ namespace, workload: workload!, driver: mount.driver }) : [];
}

function ofEnv({ kind, workload, envFile, env = {} }: SessionOptions, namespace: string): Rule[] {
  const { from = "spec", secrets = true, skipForbidden = kind !== "env", follow = false } = env;
  const use = { namespace, workload: workload!, follow: follow || envFile !== undefined, from, secrets, skipForbidden };
  return [...workloadRules(use), ...envRules(use)];
}

/** Each command in its usual form, for `doctor`: may this user run it in this namespace? */
export const USUAL: ReadonlyArray<{ command: string; rules(namespace: string): Rule[] }> = [
  { command: "teleport namespace", rules: (namespace) => sessionRules({ kind: "teleport", namespace }, namespace) },
  { command: "teleport", rules: anyWorkload({ kind: "teleport" }) },
  { command: "env", rules: anyWorkload({ kind: "env" }) },
  { command: "env --watch", rules: anyWorkload({ kind: "env", env: { follow: true } }) },
  { command: "env --from running", rules: anyWorkload({ kind: "env", env: { from: "running" } }) },
  { command: "mount", rules: anyWorkload({ kind: "mount", mount: { dir: "/x" } }) },
  { command: "expose", rules: anyWorkload({ kind: "expose", expose: { service: "x" } }) },
  { command: "intercept", rules: anyWorkload({ kind: "intercept", intercept: { service: "x" } }) },
];

/** Of a deployment or Service whose name nobody knows yet. */
function anyWorkload(options: SessionOptions): (namespace: string) => Rule[] {
  return (namespace) =>
    sessionRules({ ...options, namespace, workload: "deployment/x" }, namespace).map(({ names, ...rule }) =>
      names?.includes("x") ? rule : { ...rule, ...(names && { names }) },
    );
}
