import { isIPv6 } from "node:net";
import type { Redirection } from "./agent/redirect.ts";
import type { CallAgent } from "./agent-client.ts";

/**
 * Has the ports of services elsewhere than they seem: a program inside that listens on a port of all addresses would be refused if a socket
 * listened on that port of any. Each address has its own ports from here on, where nobody looks.
 */
export interface Redirects {
  /** Where to listen in a port's stead; undefined where that can't be hidden. Rejects with `EADDRINUSE` where it is led elsewhere already. */
  claim(place: Place): Promise<Claim | undefined>;
}

export interface Place {
  protocol: "tcp" | "udp";
  address: string;
  port: number;
}

export interface Claim {
  readonly port: number;
  /** It listens: what goes to the port seen comes here. */
  lead(): Promise<void>;
  /** Gives both ports free. */
  release(): Promise<void>;
}

/** Above the ports that Linux gives to connections (32,768 to 60,999), and that programs are known for. */
const FIRST = 64_000;

export function redirects(call: CallAgent): Redirects {
  const seen = new Set<string>();
  const hidden = new Set<string>();
  const families = { 4: family(4, call), 6: family(6, call) };

  return {
    async claim({ protocol, address, port }) {
      if (port === 0 || address === "127.0.0.1" || address === "::1") return undefined;
      const { possible, add, remove } = families[isIPv6(address) ? 6 : 4];
      if (!(await possible())) return undefined;
      const key = (of: number): string => `${protocol} ${address} ${of}`;
      if (seen.has(key(port))) throw Object.assign(new Error("it is led elsewhere already"), { code: "EADDRINUSE" });
      let to = FIRST;
      while (hidden.has(key(to)) && to < 65_535) to++;
      seen.add(key(port));
      hidden.add(key(to));
      const rule = { protocol, address, port, to };
      let leads = false;
      return {
        port: to,
        async lead() {
          await add(rule);
          leads = true;
        },
        async release() {
          seen.delete(key(port));
          if (leads) await remove(rule);
          hidden.delete(key(to));
        },
      };
    },
  };
}

function family(number: 4 | 6, call: CallAgent) {
  const give = (action: "add" | "delete") => (rules: readonly Redirection[]) => call("redirect", { family: number, rules, action });
  let asked: Promise<boolean> | undefined;
  return {
    possible: (): Promise<boolean> =>
      (asked ??= give("add")([]).then(
        () => true,
        () => false,
      )),
    add: batches(give("add")),
    remove: batches(give("delete")),
  };
}

/** Those that come while some are under way go together then: each time takes a process. */
function batches(give: (rules: readonly Redirection[]) => Promise<unknown>): (rule: Redirection) => Promise<void> {
  let wanted: Redirection[] = [];
  let next: Promise<unknown> | undefined;
  let running: Promise<unknown> = Promise.resolve();
  return async (rule) => {
    wanted.push(rule);
    if (!next) {
      next = running.then(() => {
        const rules = wanted;
        wanted = [];
        next = undefined;
        return give(rules);
      });
      running = next.catch(() => {});
    }
    await next;
  };
}
