import { createHash } from "node:crypto";

/** RFC 1035 labels, which Services' names must be: at most 63, beginning with a letter. */
const MOST = 63;
/** A Deployment's pods append 17: a pod's host name is then still a label. */
const MOST_OF_DEPLOYMENT = MOST - 17;

/** Always the same for the same parts and, by a hash, different for others, however long they are or whatever they are made of. */
function bounded(prefix: string, readable: string, unique: string, most: number): string {
  const hash = createHash("sha256").update(unique).digest("hex").slice(0, 8);
  const room = most - prefix.length - hash.length - 2;
  const middle = readable
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .slice(0, room)
    .replace(/^-+|-+$/g, "");
  return middle === "" ? `${prefix}-${hash}` : `${prefix}-${middle}-${hash}`;
}

/** The relay of an intercepted Service: one for each, so that of two developers who begin at once one finds the other's. */
export const interceptRelayName = (service: { name: string; uid: string }): string =>
  bounded("shipside", service.name, `intercept ${service.uid} ${service.name}`, MOST_OF_DEPLOYMENT);

/** The relay of an exposed Service. */
export const exposeRelayName = (namespace: string, name: string): string =>
  bounded("shipside-x", name, `expose ${namespace}/${name}`, MOST_OF_DEPLOYMENT);

/** The Service by which the relay reaches the pods that the intercepted one selects. */
export const backendName = (relay: string): string => bounded(relay.slice(0, 40), "backend", `backend ${relay}`, MOST);
