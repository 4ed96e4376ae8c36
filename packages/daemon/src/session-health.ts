import type { IncomingInfo } from "./session-info.ts";

/** Whether an intercepted Service leads to its relay now; an exposed one always does. */
export const leadsHere = (incoming: IncomingInfo): boolean => !("switched" in incoming) || incoming.switched;

/** Whether the cluster's traffic can come here now: every pod of the relay that is ready knows whose it is. */
export const isArriving = (incoming: IncomingInfo): boolean =>
  leadsHere(incoming) && incoming.relays.ready > 0 && incoming.relays.leased === incoming.relays.ready;
