import { type IncomingInfo, leadsHere } from "@shipside/daemon/client";

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
