import type { IncomingInfo } from "@shipside/daemon/client";

const leadsHere = (incoming: IncomingInfo): boolean => !("switched" in incoming) || incoming.switched;

/** Whether the cluster's traffic can come here now: every pod of the relay that is ready knows whose it is. */
export const isArriving = (incoming: IncomingInfo): boolean =>
  leadsHere(incoming) && incoming.relays.ready > 0 && incoming.relays.leased === incoming.relays.ready;

const timeOf = (iso: string): string => new Date(iso).toTimeString().slice(0, 8);

/** How an exposed or intercepted Service stands, a line for each thing. */
export function incomingFacts(incoming: IncomingInfo): string[] {
  const { service, relay, relays, ports } = incoming;
  return [
    leadsHere(incoming)
      ? `by the relay ${relay}, ${relays.leased} of ${relays.ready} pods linked`
      : `${service} leads to its own pods for now: no relay is ready`,
    ...("switched" in incoming && incoming.switched
      ? [`connections opened before ${timeOf(incoming.switchedAt)} stay with their pods until they end`]
      : []),
    ...ports.map(({ port, localPort, protocol, open, connections, refused, lastError }) => {
      const from = `port ${port}${protocol === "UDP" ? "/udp" : ""} → 127.0.0.1:${localPort}`;
      return `${from}: ${connections} ${connections === 1 ? "connection" : "connections"}, ${open} open, ${refused} refused${lastError ? ` (${lastError})` : ""}`;
    }),
  ];
}
