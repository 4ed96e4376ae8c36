import type { Logger } from "@shipside/core";
import { type ClusterRelay, type ClusterRelayEvent, clusterRelay } from "@shipside/relay";
import type { TunneledService } from "@shipside/tunnel";
import { developer } from "./developer.ts";
import type { Journal } from "./journal.ts";
import { type ClusterPlace, makeClusterObject } from "./residue/cluster-object.ts";
import type { SessionEvent } from "./session-info.ts";

export interface SessionRelayOptions {
  place: ClusterPlace;
  namespace: string;
  image?: string;
  journal: Journal;
  logger: Logger;
}

/** A relay that sessions share, and whoever wants to hear of it. */
export interface SessionRelay extends ClusterRelay {
  /** Returns its undo. */
  follow(listener: (event: ClusterRelayEvent) => void): () => void;
}

/** With its Deployment in the journal before it is made. */
export function sessionRelay({ place, namespace, image, journal, logger }: SessionRelayOptions): SessionRelay {
  const listeners = new Set<(event: ClusterRelayEvent) => void>();
  const relay = clusterRelay({
    ...{ cluster: place.cluster, namespace, owner: developer().holder, logger },
    ...(image !== undefined && { image }),
    make: (type, object) => makeClusterObject(journal, place, type, object),
    onEvent(event) {
      for (const listener of [...listeners]) listener(event);
    },
  });
  return Object.assign(relay, {
    follow(listener: (event: ClusterRelayEvent) => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  });
}

/** What a session tells of its relay. */
export function tellRelay(event: ClusterRelayEvent, emit: (event: SessionEvent) => void, warn: (error: unknown) => void): void {
  if (event.kind === "failed") {
    warn(event.error);
    return;
  }
  const { kind, name, namespace, selfRemoving } = event;
  const says = {
    deploying: `deploying a relay into namespace ${namespace}: ${name}`,
    ready: `the relay ${name} is ready${selfRemoving ? ", and removes itself a minute after this machine has gone" : "; you may not create Roles there, so only `shipside clean` removes it if this machine goes away"}`,
    removed: `the relay ${name} is removed`,
  };
  emit({ step: "notice", message: says[kind] });
}

/** The services that only a relay reaches, in a few words each. */
export function relayed(services: Iterable<TunneledService>): string[] {
  return [...services].flatMap(({ name, namespace, facts, ports }) => {
    // The API server's own, in every cluster: nobody waits for that.
    if (namespace === "default" && name === "kubernetes") return [];
    if (facts.type === "ExternalName") return [`${name}.${namespace} (ExternalName)`];
    const udp = ports.some(({ protocol, state }) => protocol === "UDP" && state !== "unsupported");
    const elsewhere = ports.some(({ protocol, endpoints }) => protocol === "TCP" && endpoints.some(({ pod }) => !pod));
    return [...(elsewhere ? [`${name}.${namespace} (no pods)`] : []), ...(udp ? [`${name}.${namespace} (UDP)`] : [])];
  });
}

const NAMED = 4;

/** Said before anything is deployed. */
export function relayNotice(services: readonly string[]): string {
  const more = services.length > NAMED ? ` and ${services.length - NAMED} more` : "";
  return `${services.slice(0, NAMED).join(", ")}${more}: reached through a relay, deployed when one is first connected to (\`--via port-forward\`: never)`;
}
