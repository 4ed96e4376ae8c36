import { randomBytes } from "node:crypto";
import { type Closable, createCloser, hasCode, silentLogger } from "@shipside/core";
import { type Cluster, resolveWorkload, SERVICES, type Service, type ServicePort } from "@shipside/kube";
import { createReplacements, deployRelay, findRelay, type MakeObject, RELAY_LABEL } from "@shipside/relay";
import { proxyError } from "./errors.ts";
import type { IncomingOptions } from "./incoming-options.ts";
import { createLocalEnd, type LocalPortStats } from "./local-end.ts";
import { localPortsOf, nothingListens, refusedPorts } from "./local-port.ts";
import { exposeRelayName } from "./names.ts";
import { type PortWish, planExpose } from "./ports.ts";
import { type LinksState, openRelayLinks } from "./relay-links.ts";
import { mayGrantRights } from "./surroundings.ts";

export interface ExposeOptions extends IncomingOptions {
  /** Of the Service: an RFC 1035 label. */
  name: string;
  /** Default: the workload's, each to the same number of 127.0.0.1. */
  ports?: readonly PortWish[];
  /** As kubectl takes it: its container's ports are reused. Its labels never are: such pods would join other Services. */
  workload?: string;
  /** Makes the one object that all others belong to, for who keeps a record of it. Default: just creates it. */
  make?: MakeObject;
}

export interface ExposeStatus {
  namespace: string;
  service: string;
  relay: string;
  relays: LinksState;
  ports: LocalPortStats[];
}

/** A Service of the cluster whose traffic arrives on this machine, for as long as it is open. */
export interface Exposed extends Closable {
  /** As the cluster's programs call it: `name.namespace.svc`. */
  readonly host: string;
  status(): ExposeStatus;
  /** Resolves when it can't go on, with why; undefined when it was closed. Either way it is to be closed. */
  readonly ended: Promise<Error | undefined>;
}

/**
 * Makes a Service and a relay behind it that brings its traffic to this machine, as it is. On any failure, and when `signal` fires,
 * everything that was made is undone before it rejects.
 *
 * Codes: `PROXY_SERVICE_TAKEN`, `PROXY_PORT_UNKNOWN`, `PROXY_OPTION_INVALID`; the relay's and kube's.
 */
export async function openExpose(options: ExposeOptions): Promise<Exposed> {
  const { cluster, name: service, holder, logger = silentLogger, onEvent = () => {} } = options;
  const signal = options.signal ?? new AbortController().signal;
  const namespace = options.namespace ?? cluster.info.namespace;
  if (!/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(service))
    throw proxyError("PROXY_OPTION_INVALID", `${JSON.stringify(service)} can't be the name of a Service`, {
      hint: "lower case letters, digits and `-`, at most 63, beginning with a letter (RFC 1035)",
    });
  const plan = planExpose(
    options.ports ?? [],
    options.workload === undefined ? [] : await portsOf(options.workload, options, namespace, signal),
  );
  const closer = createCloser();
  try {
    const name = exposeRelayName(namespace, service);
    await refuseTaken(cluster, namespace, service, name, signal);
    const selfRemoving = await mayGrantRights(cluster, namespace, signal);
    if (!selfRemoving)
      onEvent({
        kind: "notice",
        message: "you may not create Roles here: if this machine disappears, only `shipside clean` removes the Service",
      });
    const relay = await deployRelay(
      cluster,
      {
        ...{ namespace, name, owner: holder, accept: plan.accept, selfRemoving },
        graceSeconds: options.graceSeconds ?? 60,
        ...(options.image !== undefined && { image: options.image }),
      },
      { signal, ...(options.make && { make: options.make }) },
    );
    closer.defer(() => relay.remove());
    const local = closer.use(
      createLocalEnd({
        ...{ namespace, service, ports: plan.claimed, logger },
        ...(options.interceptors && { interceptors: options.interceptors }),
        ...(options.tap && { tap: options.tap }),
        ...(options.datagramSocket && { datagramSocket: options.datagramSocket }),
        route: "everything, by expose",
        onRefused: (_port, cause) =>
          onEvent({
            kind: "warning",
            error: proxyError("PROXY_LOCAL_REFUSED", `${cause.message}: callers of ${service} are refused`, {
              hint: "start your process; it is found by itself",
              cause,
            }),
          }),
      }),
    );
    const links = closer.use(
      await openRelayLinks({
        cluster,
        relay,
        lease: {
          id: randomBytes(9).toString("hex"),
          holder,
          ports: plan.claimed.map(({ port }) => port),
          match: { all: true },
          holdMs: 0,
        },
        takeOver: false,
        onConnection: (connection) => local.take(connection),
        onChange: () => {},
        replacements: createReplacements(cluster, relay, logger),
        logger,
        signal,
      }),
    );
    await cluster.create(SERVICES, exposedService(namespace, service, relay, plan.ports), { signal });
    const refused = options.interceptors?.length ? [] : await refusedPorts(localPortsOf(plan.claimed), { signal });
    if (refused.length > 0) onEvent({ kind: "notice", message: nothingListens(refused, "callers are refused") });
    const ended = Promise.withResolvers<Error | undefined>();
    void links.ended.then((error) => ended.resolve(error));
    return {
      host: `${service}.${namespace}.svc`,
      status: () => ({ namespace, service, relay: relay.name, relays: links.state, ports: local.stats() }),
      ended: ended.promise,
      close: () => closer.close(),
      [Symbol.asyncDispose]: () => closer.close(),
    };
  } catch (error) {
    await closer.close().catch((failed: unknown) => onEvent({ kind: "warning", error: failed as Error }));
    throw error;
  }
}

/** Goes with its relay. */
function exposedService(namespace: string, name: string, relay: { name: string; uid: string }, ports: ServicePort[]): Service {
  return {
    metadata: {
      name,
      namespace,
      labels: { "app.kubernetes.io/managed-by": "shipside", [RELAY_LABEL]: relay.name },
      ownerReferences: [{ apiVersion: "apps/v1", kind: "Deployment", name: relay.name, uid: relay.uid }],
    },
    spec: { type: "ClusterIP", selector: { [RELAY_LABEL]: relay.name }, ports },
  };
}

/** A Service of that name that is somebody else's is never touched; one of ours whose process is gone makes room. */
async function refuseTaken(
  cluster: Cluster,
  namespace: string,
  service: string,
  relay: string,
  signal: AbortSignal,
): Promise<void> {
  const found = await cluster.get(SERVICES, { namespace, name: service }, { signal }).catch((error: unknown) => {
    if (hasCode(error, "KUBE_NOT_FOUND")) return undefined;
    throw error;
  });
  if (found && found.metadata.labels?.[RELAY_LABEL] !== relay)
    throw proxyError("PROXY_SERVICE_TAKEN", `there is a Service ${service} in ${namespace} that shipside didn't make`, {
      hint: `choose another name, or send its traffic here with \`shipside intercept service/${service}\``,
    });
  const standing = await findRelay(cluster, { namespace, name: relay }, { signal });
  if (!standing && !found) return;
  throw proxyError("PROXY_SERVICE_TAKEN", `${service} in ${namespace} is exposed already`, {
    hint: "`shipside session list` shows by which session; what a crash left goes within its grace period, or by `shipside clean`",
  });
}

async function portsOf(
  reference: string,
  { cluster }: ExposeOptions,
  namespace: string,
  signal: AbortSignal,
): Promise<ServicePort[]> {
  const workload = await resolveWorkload(cluster, reference, { namespace, signal });
  return workload.podSpec.containers.flatMap(({ ports = [] }) =>
    ports.map(
      ({ containerPort, name, protocol = "TCP" }): ServicePort => ({
        port: containerPort,
        protocol: protocol === "UDP" ? "UDP" : "TCP",
        ...(name !== undefined && { name }),
      }),
    ),
  );
}
