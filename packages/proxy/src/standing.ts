import { type Cluster, CONFIG_MAPS, SERVICES, type Service } from "@shipside/kube";
import { type DeployedRelay, findRelay, type Lease, type RelayConfig, relayFilesName } from "@shipside/relay";
import { proxyError } from "./errors.ts";
import { describeMatch } from "./match.ts";
import { type InterceptRecord, readRecord, switchState } from "./service-patch.ts";
import { restoreService, type ServiceRef } from "./switch.ts";

/** The Service, and who intercepts it already. What an intercept left whose relay is gone is put back first. */
export async function currentService(
  cluster: Cluster,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<{ service: Service; record?: InterceptRecord }> {
  const service = await cluster.get(SERVICES, { namespace, name }, { signal });
  const record = readRecord(service.metadata);
  if (!record) return { service };
  const gone = (await findRelay(cluster, { namespace, name: record.relay }, { signal })) === undefined;
  if (!gone && switchState(service, record) !== "changed") return { service, record };
  await restoreService(cluster, { namespace, name, uid: service.metadata.uid! }, record, signal);
  return { service: await cluster.get(SERVICES, { namespace, name }, { signal }) };
}

/** As it was before anybody intercepted it. */
export const original = (service: Service, { original: selector }: InterceptRecord): Service => ({
  ...service,
  spec: { ...service.spec, selector: { ...selector } },
});

/**
 * A relay that is there carries some ports as a whole: only everything can be asked of those. And it ends TLS by the Secret that it was
 * begun with, or by none. Resolves with that Secret's name.
 */
export async function checkModes(
  cluster: Cluster,
  relay: DeployedRelay,
  lease: Lease,
  { tlsSecret, signal }: { tlsSecret: string | undefined; signal: AbortSignal },
): Promise<string | undefined> {
  const { data } = await cluster.get(CONFIG_MAPS, { namespace: relay.namespace, name: relayFilesName(relay) }, { signal });
  const { accept, tls } = JSON.parse(data?.["config.json"] ?? '{"accept":[]}') as Pick<RelayConfig, "accept" | "tls">;
  const ended = tls && accept.some(({ port, tls: ends }) => ends && lease.ports.includes(port)) ? tls.secret : undefined;
  const hint = "leave --tls-secret out, or intercept it when the intercept that is there has ended";
  if (tlsSecret !== undefined && tlsSecret !== ended)
    throw proxyError(
      "PROXY_OPTION_INVALID",
      `the relay that is there ends TLS ${ended === undefined ? "of none of these ports" : `by the Secret ${ended}`}, not by ${tlsSecret}`,
      { hint },
    );
  const whole = accept.find(({ port, mode }) => mode === "tcp" && lease.ports.includes(port));
  if (!whole || lease.match.all) return ended;
  throw proxyError(
    "PROXY_OPTION_INVALID",
    `the relay that is there carries port ${whole.port} as whole connections, not ${describeMatch(lease.match)}`,
    {
      hint: "--all takes them, or intercept it when the intercept that is there has ended",
    },
  );
}

export const relayStrange = ({ name }: ServiceRef, { relay, by, since }: InterceptRecord): Error =>
  proxyError(
    "PROXY_RELAY_STRANGE",
    `service ${name} has been intercepted by ${by} since ${since}, through a relay (${relay}) that is going`,
    {
      hint: "try again in a moment",
    },
  );
