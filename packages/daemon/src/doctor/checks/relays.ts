import { hasCode } from "@shipside/core";
import { type Cluster, DEPLOYMENTS, type KubeObject, type ResourceType, SERVICES, type Service } from "@shipside/kube";
import { readRecord } from "@shipside/proxy";
import { OWNER_ANNOTATION, RELAY_LABEL } from "@shipside/relay";
import { developer } from "../../developer.ts";
import { isAbandoned, readJournals } from "../../journal-files.ts";
import { type Check, count, type Finding, ok, problem, some, warning } from "../check.ts";
import { reachedCluster } from "../context.ts";

/** Relays in the namespace that nobody uses, and Services that lead to one that isn't there. */
export const relays: Check = {
  id: "relays",
  title: "relays",
  async run(context, signal) {
    const cluster = await reachedCluster(context);
    if (!cluster) return [];
    const [deployments, services] = await Promise.all([
      mayList(cluster, DEPLOYMENTS, signal, RELAY_LABEL),
      mayList(cluster, SERVICES, signal),
    ]);
    const { namespace } = cluster.info;
    if (!deployments) return [ok(`not looked for: deployments of namespace ${namespace} may not be listed`)];
    const unseen = services ? [] : [ok(`intercepts not looked for: services of namespace ${namespace} may not be listed`)];
    const found = deployments.map(({ metadata }) => ({
      name: metadata.name,
      owner: metadata.annotations?.[OWNER_ANNOTATION] ?? "somebody",
    }));
    const names = found.map(({ name }) => name);
    const astray = (services ?? []).flatMap((service) => leadsNowhere(service, names) ?? []);

    const { holder } = developer();
    const held = await heldHere(context.stateDir);
    const left = found.filter(({ name, owner }) => owner === holder && !held.has(name)).map(({ name }) => name);
    const used = found.filter(({ name }) => !left.includes(name)).map(({ name, owner }) => `${name} of ${owner}`);
    return [
      ...astray,
      ...unseen,
      ...left.map((name) =>
        warning(
          `relay ${name} in namespace ${namespace} is yours, and no open session of this machine has it`,
          `\`shipside clean -n ${namespace}\`, or: kubectl delete deployment ${name} -n ${namespace}`,
          { namespace, relay: name },
        ),
      ),
      ...(used.length > 0 ? [ok(`${count(used.length, "relay")} in namespace ${namespace}: ${some(used)}`, { relays: used })] : []),
      ...(found.length + astray.length === 0 ? [ok(`none in namespace ${namespace}`)] : []),
    ];
  },
};

/** Undefined where they may not be listed. */
async function mayList<T extends KubeObject>(
  cluster: Cluster,
  type: ResourceType<T>,
  signal: AbortSignal,
  labelSelector?: string,
): Promise<T[] | undefined> {
  const { namespace } = cluster.info;
  try {
    return await cluster.list(type, { namespace, signal, ...(labelSelector !== undefined && { labelSelector }) });
  } catch (error) {
    if (hasCode(error, "KUBE_FORBIDDEN")) return undefined;
    throw error;
  }
}

function leadsNowhere(service: Service, relaysThere: readonly string[]): Finding | undefined {
  const record = readRecord(service.metadata);
  if (!record || relaysThere.includes(record.relay)) return undefined;
  const { name, namespace } = service.metadata;
  const { relay, by, since, original } = record;
  const patch = { metadata: { annotations: { "shipside.dev/intercept": null } }, spec: { selector: original } };
  return problem(
    `service ${name} in namespace ${namespace} leads to a relay that is gone (${relay}, by ${by} since ${since}): nobody answers its callers`,
    `\`shipside clean -n ${namespace}\` on ${by}'s machine, or: kubectl patch service ${name} -n ${namespace} --type=merge -p '${JSON.stringify(patch)}'`,
    { namespace, service: name, relay, by, since },
  );
}

/** Names that stand in journals of processes that run. */
async function heldHere(stateDir: string): Promise<Set<unknown>> {
  const held = new Set<unknown>();
  for (const journal of await readJournals(stateDir)) {
    if (await isAbandoned(journal)) continue;
    for (const { data } of journal.outstanding) for (const value of Object.values(data)) held.add(value);
  }
  return held;
}
