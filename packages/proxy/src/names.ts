import { createHash } from "node:crypto";
import { relayName } from "@shipside/relay";

/** The relay of an intercepted Service: one for each, so that of two developers who begin at once one finds the other's. */
export const interceptRelayName = (service: { name: string; uid: string }): string =>
  relayName(service.name, `intercept ${service.uid}`);

/** The relay of an exposed Service. */
export const exposeRelayName = (namespace: string, name: string): string => relayName(`expose ${name}`, namespace);

/** The Service by which the relay reaches the pods that the intercepted one selects: an RFC 1035 label of at most 63 characters. */
export const backendName = (relay: string): string =>
  `${relay.slice(0, 40)}-backend-${createHash("sha256").update(relay).digest("hex").slice(0, 8)}`;
