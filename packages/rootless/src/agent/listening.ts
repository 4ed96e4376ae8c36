import { readFile } from "node:fs/promises";
import type { ListeningSocket } from "./requests.ts";

/** How often is looked what listens, in ms. */
const LOOK_MS = 250;
/** proc_pid_net(5): the state of a socket that listens. */
const LISTEN = "0A";

/** Tells which TCP sockets listen in this network namespace, whenever that has changed. */
export function watchListening(changed: (sockets: ListeningSocket[]) => void): void {
  let told = "[]";
  const look = async (): Promise<void> => {
    const tables = await Promise.all(["tcp", "tcp6"].map((name) => readFile(`/proc/self/net/${name}`, "utf8").catch(() => "")));
    const sockets = tables.flatMap(parseSocketTable);
    const now = JSON.stringify(sockets);
    if (now === told) return;
    told = now;
    changed(sockets);
  };
  setInterval(() => void look().catch(() => {}), LOOK_MS).unref();
}

/** The sockets that listen, of `/proc/net/tcp` or `tcp6`: hexadecimal, the address as 32-bit words in this machine's byte order. */
export function parseSocketTable(table: string): ListeningSocket[] {
  return table.split("\n").flatMap((line) => {
    const [, address = "", port = "", state] = /^\s*\d+:\s+([\dA-F]+):([\dA-F]{4})\s+\S+\s+([\dA-F]{2})\s/.exec(line) ?? [];
    return state === LISTEN
      ? { address: address.length === 8 ? ipv4(address) : ipv6(address), port: Number.parseInt(port, 16) }
      : [];
  });
}

/** Little-endian: what Node runs on is. */
const bytesOf = (word: string): number[] => (word.match(/../g) ?? []).map((hex) => Number.parseInt(hex, 16)).reverse();

const ipv4 = (word: string): string => bytesOf(word).join(".");

function ipv6(words: string): string {
  const bytes = (words.match(/.{8}/g) ?? []).flatMap(bytesOf);
  const groups = Array.from({ length: 8 }, (_, at) => ((bytes[at * 2]! << 8) | bytes[at * 2 + 1]!).toString(16));
  // The URL parser knows the shortest form (RFC 5952).
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
