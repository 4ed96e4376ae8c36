import { isIP } from "node:net";
import { hasCode } from "@shipside/core";
import type { CallerFacts } from "@shipside/inspector";
import { type Cluster, PODS } from "@shipside/kube";

/** Who has an address in the cluster: `namespace/pod`, or why nobody is known by it. A promise where that has to be asked. */
export type CallerOf = (peer: string) => CallerFacts | Promise<CallerFacts>;

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
  const known = new Map<string, { caller: CallerFacts; until: number }>();
  const asked = new Map<string, Promise<CallerFacts>>();
  /** Who may not look there now isn't asked for it again with every caller. */
  const refused = { home: false, everywhere: false };

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
  /** Undefined where it isn't known: the cluster doesn't answer, or doesn't tell. */
  const look = async (ip: string, where: keyof typeof refused): Promise<string[] | undefined> => {
    if (refused[where]) return undefined;
    try {
      return await podsAt(ip, where === "home" ? home : undefined);
    } catch (error) {
      refused[where] = hasCode(error, "KUBE_FORBIDDEN");
      return undefined;
    }
  };
  const find = async (ip: string): Promise<CallerFacts> => {
    const here = await look(ip, "home");
    const found = here?.length ? here : ((await look(ip, "everywhere")) ?? here);
    if (found?.length === 1) return { caller: found[0]! };
    if (found && found.length > 1) return { callerNote: "several pods have it, of a node's own network" };
    if (refused.home) return { callerNote: `you may not list pods in the namespace ${home}, nor in all` };
    if (refused.everywhere)
      return { callerNote: `no pod of the namespace ${home} has it, and you may not list pods of all namespaces` };
    return { callerNote: found ? "no pod has it" : "the cluster didn't say whose it is" };
  };

  return (peer) => {
    const ip = hostOf(peer);
    if (ip === undefined) return {};
    const found = known.get(ip);
    if (found && now() < found.until) return found.caller;
    const asking =
      asked.get(ip) ??
      find(ip).then((caller) => {
        asked.delete(ip);
        known.delete(ip);
        known.set(ip, { caller, until: now() + (caller.caller === undefined ? UNKNOWN_MS : KNOWN_MS) });
        for (const oldest of known.keys()) if (known.size > MOST_KEPT) known.delete(oldest);
        return caller;
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
