import { createCloser, silentLogger } from "@shipside/core";
import { SERVICES } from "@shipside/kube";
import {
  DEFAULT_RESOURCES,
  type DeployedRelay,
  deployRelay,
  findRelay,
  RELAY_LABEL,
  selectorOwners,
  switchedSelector,
} from "@shipside/relay";
import { engage, type Intercept } from "./engage.ts";
import { proxyError } from "./errors.ts";
import type { InterceptOptions } from "./intercept-options.ts";
import { backendName, interceptRelayName } from "./names.ts";
import { findObstacles } from "./obstacles.ts";
import { leaseOf } from "./own-lease.ts";
import { findOwners } from "./owners.ts";
import { planIntercept } from "./ports.ts";
import type { InterceptTrace } from "./relay-end.ts";
import { type InterceptRecord, switchPatch } from "./service-patch.ts";
import { checkModes, currentService, original, relayStrange } from "./standing.ts";
import { mayGrantRights, readSurroundings } from "./surroundings.ts";
import type { ServiceRef } from "./switch.ts";

/**
 * Puts a relay in front of a Service, or joins the one that is there, and has it bring what matches to this machine. On any failure, and
 * when `signal` fires, everything that was made is undone before it rejects.
 *
 * Codes: `PROXY_OBSTACLE`, `PROXY_LEASE_TAKEN`, `PROXY_PORT_UNKNOWN`, `PROXY_OPTION_INVALID`, `PROXY_SERVICE_CHANGED`,
 * `PROXY_RELAY_STRANGE`; the relay's and kube's.
 */
export async function openIntercept(options: InterceptOptions): Promise<Intercept> {
  const { cluster, match, holder, logger = silentLogger, onEvent = () => {}, takeOver = false } = options;
  const signal = options.signal ?? new AbortController().signal;
  const namespace = options.namespace ?? cluster.info.namespace;
  const notice = (message: string): void => onEvent({ kind: "notice", message });
  const closer = createCloser();
  try {
    const { service, record: standing } = await currentService(cluster, namespace, options.service, signal);
    const ref: ServiceRef = { namespace, name: options.service, uid: service.metadata.uid! };
    const { pods, ...around } = await readSurroundings(cluster, standing ? original(service, standing) : service, signal);
    const name = standing?.relay ?? interceptRelayName(ref);
    const backend = backendName(name);
    const labels = {
      "app.kubernetes.io/managed-by": "shipside",
      ...switchedSelector(service.spec.selector ?? {}, name),
      [RELAY_LABEL]: name,
    };
    const { requests, limits } = DEFAULT_RESOURCES;
    const obstacles = standing ? [] : findObstacles({ service, pods, ...around, relay: { labels, replicas: 2, requests, limits } });
    const refused = obstacles.filter((obstacle) => obstacle.refused);
    if (refused[0])
      throw proxyError(
        "PROXY_OBSTACLE",
        `service ${ref.name} can't be intercepted: ${refused.map(({ sentence }) => sentence).join("; and ")}`,
        {
          ...(refused[0].hint !== undefined && { hint: refused[0].hint }),
          details: { obstacles: refused.map(({ what }) => what) },
        },
      );
    const plan = planIntercept(service, options.ports ?? [], {
      pods,
      backendHost: `${backend}.${namespace}.svc`,
      tcp: options.tcp ?? false,
      tls: options.tlsSecret !== undefined,
    });
    const { tlsSecret } = options;
    if (options.tcp && !match.all)
      throw proxyError("PROXY_OPTION_INVALID", "connections that aren't HTTP can't be told apart by what they say", {
        hint: "--tcp goes with --all",
      });
    if (options.tcp && tlsSecret !== undefined)
      throw proxyError("PROXY_OPTION_INVALID", "to end TLS is to look inside, and --tcp is not to", {
        hint: "leave --tcp or --tls-secret out",
      });
    if (tlsSecret !== undefined && !/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(tlsSecret))
      throw proxyError("PROXY_OPTION_INVALID", `${JSON.stringify(tlsSecret)} can't be the name of a Secret`, {
        hint: "lower case letters, digits, `-` and `.`; `kubectl get secrets` lists them",
      });
    const lease = leaseOf(options, plan);
    const trace: InterceptTrace = { namespace, service: ref.name, uid: ref.uid, relay: name, lease: lease.id };
    let relay: DeployedRelay;
    let record: InterceptRecord;
    const struck = async (): Promise<() => Promise<void>> => (await options.record?.(trace)) ?? (async () => {});
    if (standing) {
      const found = await findRelay(cluster, { namespace, name }, { signal });
      if (!found) throw relayStrange(ref, standing);
      const ended = await checkModes(cluster, found, lease, { tlsSecret, signal });
      notice(`joins the relay that ${standing.by} began at ${standing.since}`);
      if (ended !== undefined && tlsSecret === undefined)
        notice(`it ends TLS by the Secret ${ended}: requests come here as plain HTTP`);
      closer.defer(await struck());
      [relay, record] = [found, standing];
    } else {
      record = {
        relay: name,
        original: { ...service.spec.selector },
        switched: switchedSelector(service.spec.selector ?? {}, name),
        owners: selectorOwners(service),
        by: holder,
        since: new Date().toISOString(),
      };
      // Rights, webhooks and policies have their say before anything is made.
      await cluster.patch(SERVICES, ref, switchPatch(service, record), { kind: "json", dryRun: true, signal });
      for (const { sentence } of obstacles) notice(sentence);
      for (const { sentence } of findOwners(service.metadata)) notice(sentence);
      notice("applications see the relay's address as their caller; who really calls stands in x-forwarded-for");
      const selfRemoving = await mayGrantRights(cluster, namespace, signal);
      if (!selfRemoving)
        notice(
          "you may not create Roles here: if this machine disappears, the relay passes everything to the real pods, but only `shipside clean` puts the Service back",
        );
      closer.defer(await struck());
      relay = await deployRelay(
        cluster,
        {
          ...{ namespace, name, owner: holder, accept: plan.accept, replicas: 2, selfRemoving },
          switch: { service: ref.name, uid: ref.uid, original: record.original, switched: record.switched },
          podLabels: record.switched,
          graceSeconds: options.graceSeconds ?? 60,
          ...(options.settleSeconds !== undefined && { settleSeconds: options.settleSeconds }),
          ...(options.image !== undefined && { image: options.image }),
          ...(tlsSecret !== undefined && { tlsSecret }),
        },
        { signal },
      );
    }
    return await engage(options, {
      closer,
      ref,
      relay,
      record,
      lease,
      plan,
      backend,
      service,
      joined: standing?.by,
      notice,
      logger,
      takeOver,
      signal,
    });
  } catch (error) {
    await closer.close().catch((failed: unknown) => onEvent({ kind: "warning", error: failed as Error }));
    throw error;
  }
}
