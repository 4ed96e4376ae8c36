import { type Closable, createCloser, hasCode, isPidTaken } from "@shipside/core";
import { type Cluster, connectCluster, DEPLOYMENTS, type KubeObject, SERVICES } from "@shipside/kube";
import { endIntercept, readRecord } from "@shipside/proxy";
import { OWNER_ANNOTATION, RELAY_LABEL } from "@shipside/relay";
import { developer } from "./developer.ts";
import { readJournals } from "./journal-files.ts";
import { RECORD_ANNOTATION } from "./residue/cluster-object.ts";

/** What is left in a cluster of a session whose journal is lost. */
export interface StrayRelay {
  /** In words: a relay, or an intercept. */
  readonly what: string;
  /** Puts back and deletes. Resolves to what is to be said of it, where that isn't all. */
  undo(signal: AbortSignal): Promise<string | undefined>;
}

export interface StrayRelays extends Closable {
  readonly namespace: string;
  readonly relays: readonly StrayRelay[];
}

export interface StrayRelaysOptions {
  /** Default: as for a session. */
  kubeconfig?: string;
  context?: string;
  namespace?: string;
  stateDir: string;
  signal: AbortSignal;
}

/** Connects, and looks. Rejects where the cluster can't be reached, or Deployments may not be listed. */
export async function openStrayRelays({ stateDir, ...where }: StrayRelaysOptions): Promise<StrayRelays> {
  const closer = createCloser();
  try {
    const cluster = closer.use(await connectCluster({ ...where, requestTimeoutMs: REQUEST_MS }));
    const { namespace } = cluster.info;
    const relays = await strayRelays(cluster, namespace, stateDir, where.signal);
    return { namespace, relays, close: () => closer.close(), [Symbol.asyncDispose]: () => closer.close() };
  } catch (error) {
    await closer.close();
    throw error;
  }
}

const REQUEST_MS = 5_000;
/** Of an intercept, with what its relay does to end itself. */
const UNDO_MS = 30_000;

/**
 * This user's relays and intercepts in one namespace which no journal of this machine knows, found by label and annotation. What a process
 * that runs has made isn't among them, and an intercept that others go on with stays. Rejects where Deployments may not be listed.
 */
export async function strayRelays(
  cluster: Cluster,
  namespace: string,
  stateDir: string,
  signal: AbortSignal,
): Promise<StrayRelay[]> {
  const { holder } = developer();
  const known = new Set(
    (await readJournals(stateDir)).flatMap(({ outstanding }) => outstanding.flatMap(({ data }) => Object.values(data))),
  );
  const [deployments, services] = await Promise.all([
    cluster.list(DEPLOYMENTS, { namespace, labelSelector: RELAY_LABEL, signal }),
    cluster.list(SERVICES, { namespace, signal }).catch((error: unknown) => {
      if (hasCode(error, "KUBE_FORBIDDEN")) return [];
      throw error;
    }),
  ]);
  const intercepts = services.flatMap((service) => {
    const record = readRecord(service.metadata);
    if (!record || known.has(record.relay)) return [];
    const relay = deployments.find(({ metadata }) => metadata.name === record.relay);
    return (relay ? ownerOf(relay) : record.by) === holder ? [{ service, record }] : [];
  });
  const alone = deployments.filter(
    (relay) =>
      ownerOf(relay) === holder &&
      !known.has(relay.metadata.name) &&
      !madeByLiving(relay) &&
      !intercepts.some(({ record }) => record.relay === relay.metadata.name),
  );
  return [
    ...intercepts.map(({ service: { metadata }, record }) => ({
      what: `intercept of service ${namespace}/${metadata.name}, since ${record.since}`,
      async undo(until: AbortSignal) {
        // Whose lease it was is lost; the relay forgets it by itself. A lease that is there is somebody's.
        const trace = { namespace, service: metadata.name, uid: metadata.uid ?? "", relay: record.relay, lease: "lost" };
        const last = await endIntercept(cluster, trace, AbortSignal.any([until, AbortSignal.timeout(UNDO_MS)]));
        return last ? undefined : "somebody is connected to it and goes on with it: only your connection's record was lost";
      },
    })),
    ...alone.map(({ metadata: { name, uid } }) => ({
      what: `relay ${namespace}/${name}`,
      async undo(until: AbortSignal) {
        const which = { propagation: "Background" as const, signal: until, ...(uid !== undefined && { uid }) };
        await cluster.delete(DEPLOYMENTS, { namespace, name }, which).catch((error: unknown) => {
          // Another one has its name by now, or it has gone by itself.
          if (!hasCode(error, "KUBE_CONFLICT", "KUBE_NOT_FOUND")) throw error;
        });
        return undefined;
      },
    })),
  ];
}

const ownerOf = ({ metadata }: KubeObject): string | undefined => metadata.annotations?.[OWNER_ANNOTATION];

/** A record's name begins with the process id of who made it. One that another process has by now is taken for the same. */
function madeByLiving({ metadata }: KubeObject): boolean {
  const pid = Number(metadata.annotations?.[RECORD_ANNOTATION]?.split("-", 1)[0]);
  return Number.isSafeInteger(pid) && pid > 0 && isPidTaken(pid);
}
