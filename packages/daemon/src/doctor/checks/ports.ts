import { readFile } from "node:fs/promises";
import { hasCode } from "@shipside/core";
import { SERVICES } from "@shipside/kube";
import { describeHolder, findHolder, listeningSockets } from "@shipside/tunnel";
import { connectSessionHosts } from "../../control/hosts.ts";
import type { SessionInfo } from "../../session-info.ts";
import { type Check, count, type Finding, ok, some, warning } from "../check.ts";
import { type DoctorContext, reachedCluster } from "../context.ts";

/** Ports of this namespace's services that somebody has taken on all addresses, and those that a session could not open. */
export const ports: Check = {
  id: "ports",
  title: "ports",
  async run(context, signal) {
    const findings = await failedPorts(context);
    const cluster = await reachedCluster(context);
    if (!cluster) return findings;
    const { namespace } = cluster.info;
    const services = await cluster.list(SERVICES, { namespace, signal }).catch((error: unknown) => {
      if (hasCode(error, "KUBE_FORBIDDEN")) return undefined;
      throw error;
    });
    if (!services) return [...findings, ok(`not looked at: services of namespace ${namespace} may not be listed`)];
    const wanted = new Map<number, string[]>();
    for (const { metadata, spec } of services)
      for (const { port, protocol = "TCP" } of spec.ports ?? [])
        if (protocol === "TCP") wanted.set(port, [...(wanted.get(port) ?? []), metadata.name]);
    const wildcards = await heldEverywhere(context);
    const taken = [...wanted].filter(([port]) => wildcards.has(port));
    for (const [port, names] of taken) {
      const holder = await findHolder("0.0.0.0", port);
      findings.push(
        warning(
          `port ${port} of ${some(names, 3)} is held on all addresses by ${describeHolder(holder)}`,
          "stop that process, or have it listen on 127.0.0.1 alone",
          { port, services: names, ...(holder && { holder }) },
        ),
      );
    }
    if (taken.length === 0 && wanted.size > 0)
      findings.push(ok(`${count(wanted.size, "port")} of the services in namespace ${namespace}: none is taken`));
    return findings;
  },
};

/** Linux tells who listens on 0.0.0.0 and ::; of other systems a session finds out when it opens. */
async function heldEverywhere(context: DoctorContext): Promise<Set<number>> {
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(context.file(`/proc/net/${name}`), "utf8").catch(() => "")),
  );
  const sockets = tables.flatMap(listeningSockets).filter(({ address }) => address === "0.0.0.0" || address === "::");
  return new Set(sockets.map(({ port }) => port));
}

async function failedPorts({ runtimeDir }: DoctorContext): Promise<Finding[]> {
  const { clients } = await connectSessionHosts(runtimeDir);
  const findings: Finding[] = [];
  for (const client of clients) {
    const sessions = (await client.call("session.list").catch(() => [])) as SessionInfo[];
    await client.close();
    for (const { id, services } of sessions)
      for (const { name, namespace, ports: each } of services)
        for (const { port, error } of each)
          if (error)
            findings.push(
              warning(
                `session ${id}, ${name}.${namespace}:${port}: ${error.message}`,
                error.hint ?? "it is tried again every 5 s",
                {
                  session: id,
                  port,
                  code: error.code,
                },
              ),
            );
  }
  return findings;
}
