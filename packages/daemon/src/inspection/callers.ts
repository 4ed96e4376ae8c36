import { isIP } from "node:net";
import { type Cluster, PODS } from "@shipside/kube";

/** Who has an address in the cluster: `namespace/pod`; undefined where nobody is known by it. A promise where that has to be asked. */
export type CallerOf = (peer: string) => string | undefined | Promise<string | undefined>;

/** An address is given to another pod when its own is gone, and a new pod is known a moment after it has called. */
const KNOWN_MS = 60_000;
const UNKNOWN_MS = 5_000;
const ASK_MS = 5_000;
/** Callers from outside may be many. */
const MOST_KEPT = 1_000;

/**
 * Finds pods by their IPs: in `home`, and in the whole cluster where this user may look there. An address that several pods have (of a
 * node's own network) is nobody's.
 */
export function createCallers(cluster: Cluster, home: string, now: () => number = () => performance.now()): CallerOf {
  const known = new Map<string, { name: string | undefined; until: number }>();
  const asked = new Map<string, Promise<string | undefined>>();
  let everywhere = true;

  const podsAt = async (ip: string, namespace?: string): Promise<string[]> => {
    const pods = await cluster.list(PODS, {
      ...(namespace !== undefined && { namespace }),
      fieldSelector: `status.podIP=${ip}`,
      signal: AbortSignal.timeout(ASK_MS),
    });
    return pods
      .filter(({ status }) => status?.phase !== "Succeeded" && status?.phase !== "Failed")
      .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  };
  const find = async (ip: string): Promise<string | undefined> => {
    let names = await podsAt(ip, home).catch(() => []);
    if (names.length === 0 && everywhere)
      names = await podsAt(ip).catch(() => {
        // Who may not look there now isn't asked for it again with every caller.
        everywhere = false;
        return [];
      });
    return names.length === 1 ? names[0] : undefined;
  };

  return (peer) => {
    const ip = hostOf(peer);
    if (ip === undefined) return undefined;
    const found = known.get(ip);
    if (found && now() < found.until) return found.name;
    const asking =
      asked.get(ip) ??
      find(ip).then((name) => {
        asked.delete(ip);
        known.delete(ip);
        known.set(ip, { name, until: now() + (name === undefined ? UNKNOWN_MS : KNOWN_MS) });
        for (const oldest of known.keys()) if (known.size > MOST_KEPT) known.delete(oldest);
        return name;
      });
    asked.set(ip, asking);
    return asking;
  };
}

/** `[::ffff:10.1.2.3]:40000` as `10.1.2.3:40000`: a socket that takes both families writes IPv4 so (RFC 4291, 2.5.5.2). */
export const plainPeer = (peer: string): string => peer.replace(/^\[::ffff:(\d+(?:\.\d+){3})\](?=:)/i, "$1");

/** Of `10.1.2.3:40000` and `[fd00::1]:40000`. */
function hostOf(peer: string): string | undefined {
  const plain = plainPeer(peer);
  const host = plain.slice(0, plain.lastIndexOf(":")).replace(/^\[|\]$/g, "");
  return isIP(host) ? host : undefined;
}
