import { hasCode, type Logger, type ServiceSelector } from "@shipside/core";
import { type Cluster, NAMESPACES } from "@shipside/kube";
import { tunnelError } from "./errors.ts";
import type { CheckedOptions } from "./options.ts";
import { serviceRules } from "./selection.ts";
import { factsOf, type ServiceSource, type ServiceView } from "./services.ts";

/** Which namespaces are watched: those that are named, by themselves or with a service, and the home where rules reach further. */
export function namespacesOf({ namespaces, services, hosts }: CheckedOptions, home: string): string[] {
  if (hosts && !namespaces && !services) return [];
  if (namespaces?.includes("*")) return ["*"];
  const rules = serviceRules(services ?? [], home);
  return [...new Set([...(namespaces ?? (rules.open ? [home] : [])), ...rules.namespaces])];
}

/** The services that the rules admit, and all selectors' yes. */
export function admission({ services, plugins }: CheckedOptions, home: string, logger: Logger): (view: ServiceView) => boolean {
  const rules = serviceRules(services ?? [], home);
  const selectors = plugins.flatMap(({ name, serviceSelectors = [] }) =>
    serviceSelectors.map((select) => guarded(name, select, logger)),
  );
  return ({ service }) => {
    const facts = factsOf(service);
    return rules.admits(facts) && selectors.every((select) => select(facts));
  };
}

function guarded(plugin: string, select: ServiceSelector, logger: Logger): ServiceSelector {
  return (facts) => {
    try {
      return select(facts) === true;
    } catch (error) {
      logger.error(`a service selector of plugin ${plugin} threw: ${facts.namespace}/${facts.name} is left out`, {
        error: String(error),
      });
      return false;
    }
  };
}

/** What was named must be there. Asked only about namespaces that look empty: not everybody may read namespaces. */
export async function assertKnown(
  cluster: Cluster,
  { namespaces, services, hosts }: CheckedOptions,
  home: string,
  source: ServiceSource,
): Promise<void> {
  const keys = source.keys();
  for (const namespace of namespacesOf({ namespaces, services, hosts } as CheckedOptions, home)) {
    if (namespace === "*" || keys.some((key) => key.startsWith(`${namespace}/`))) continue;
    await cluster.get(NAMESPACES, { name: namespace }).catch((cause: { code?: string }) => {
      if (cause.code !== "KUBE_NOT_FOUND") return;
      throw tunnelError(
        "TUNNEL_NAMESPACE_UNKNOWN",
        `there is no namespace ${namespace} in ${cluster.info.context} (${cluster.info.server})`,
        {
          hint: "kubectl get namespaces lists those there are",
          cause,
        },
      );
    });
  }
  for (const { namespace, name } of serviceRules(services ?? [], home).named) {
    if (source.view(`${namespace}/${name}`)) continue;
    const there = keys.flatMap((other) => (other.startsWith(`${namespace}/`) ? other.slice(namespace.length + 1) : [])).sort();
    throw tunnelError("TUNNEL_SERVICE_UNKNOWN", `there is no service ${name} in namespace ${namespace}`, {
      hint: there.length > 0 ? `it has ${there.slice(0, 20).join(", ")}` : "the namespace has no services",
      details: { namespace, service: name, services: there },
    });
  }
}

/** A watch goes on trying where nobody answers; whoever opens a tunnel wants to be told. */
export async function assertReachable(cluster: Cluster, signal: AbortSignal | undefined): Promise<void> {
  await cluster.version(signal && { signal }).catch((error: unknown) => {
    if (!hasCode(error, "KUBE_FORBIDDEN")) throw error;
  });
}
