import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

/** The addresses of names, with as few questions as will do. */
export interface Names {
  /** Rejects as `lookup` of node:dns, where the name was never found. */
  addresses(host: string): Promise<string[]>;
}

/** Until it is asked anew, behind the back of who wants to know now, in ms. */
const FRESH_MS = 1_000;
/** Until it is asked anew before anybody is told, in ms. */
const KNOWN_MS = 30_000;

interface Known {
  addresses: string[];
  at: number;
}

/**
 * Every new connection needs the backend's address, and in a pod a question for it is up to six by the search list and both families, each
 * of which may be lost and takes 5 s then (resolv.conf: timeout). A Service's address doesn't change while it is there, and what a
 * headless one leads to is tried in turn: so nobody waits for an answer that is known, and where there is none the last one counts.
 */
export function createNames(
  ask: (host: string) => Promise<string[]> = async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
  now: () => number = () => performance.now(),
): Names {
  const known = new Map<string, Known>();
  const asking = new Map<string, Promise<Known>>();

  const find = (host: string): Promise<Known> => {
    const found =
      asking.get(host) ??
      ask(host)
        .then((addresses) => {
          const answer = { addresses, at: now() };
          known.set(host, answer);
          return answer;
        })
        .finally(() => asking.delete(host));
    asking.set(host, found);
    return found;
  };

  return {
    async addresses(host) {
      if (isIP(host)) return [host];
      const last = known.get(host);
      const age = last ? now() - last.at : Number.POSITIVE_INFINITY;
      if (last && age < FRESH_MS) return last.addresses;
      const found = find(host).catch((error: unknown) => {
        if (last) return last;
        throw error;
      });
      return (last && age < KNOWN_MS ? last : await found).addresses;
    },
  };
}
