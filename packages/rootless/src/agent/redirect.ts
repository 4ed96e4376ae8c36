import { isIPv6 } from "node:net";
import { run } from "./program.ts";

/** What goes to an address and a port in here comes to another port of the same address. */
export interface Redirection {
  protocol: "tcp" | "udp";
  address: string;
  port: number;
  to: number;
}

let last: Promise<unknown> = Promise.resolve();

export interface Redirections {
  family: 4 | 6;
  /** All or none; none: tries whether there could be one. */
  rules: readonly Redirection[];
  action: "add" | "delete";
}

/** Rejects with what `iptables-restore` says. */
export function redirect({ family, rules, action }: Redirections): Promise<void> {
  const lines = rules.map((rule) => `${action === "add" ? "-A" : "-D"} ${ruleOf(rule)}`);
  const text = `${["*nat", ...lines, "COMMIT"].join("\n")}\n`;
  const turn = last.then(() => run(family === 4 ? "iptables-restore" : "ip6tables-restore", ["--noflush"], text));
  last = turn.catch(() => {});
  return turn;
}

function ruleOf({ protocol, address, port, to }: Redirection): string {
  const [bits, place] = isIPv6(address) ? [128, `[${address}]:${to}`] : [32, `${address}:${to}`];
  return `OUTPUT -d ${address}/${bits} -p ${protocol} -m ${protocol} --dport ${port} -j DNAT --to-destination ${place}`;
}
