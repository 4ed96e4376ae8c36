import { open } from "node:fs/promises";
import type { ListeningSocket } from "./requests.ts";

/** How often is looked what listens, in ms. */
const LOOK_MS = 250;
/** proc_pid_net(5): the state of a socket that listens. */
const LISTEN = "0A";
const CONNECTED = /^\s*\d+:\s+\S+\s+\S+\s+(?!0A)[\dA-F]{2}\s/m;
/** Of `tcp6`, which has the longer ones, at most; in bytes. */
const LINE = 300;
const PIECE = 16 << 10;

/** Tells which TCP sockets listen in this network namespace, whenever that has changed. */
export function watchListening(changed: (sockets: ListeningSocket[]) => void): void {
  let told = "[]";
  const look = async (): Promise<void> => {
    const tables = await Promise.all(["tcp", "tcp6"].map((name) => readListening(`/proc/self/net/${name}`).catch(() => "")));
    const sockets = tables.flatMap(parseSocketTable);
    const now = JSON.stringify(sockets);
    if (now === told) return;
    told = now;
    changed(sockets);
  };
  setInterval(() => void look().catch(() => {}), LOOK_MS).unref();
}

/** A table as far as it is of sockets that listen: they come first, and after them those that are connected, or were: thousands. */
export async function readListening(path: string): Promise<string> {
  await using table = await open(path);
  const piece = Buffer.alloc(PIECE);
  for (let text = ""; ; ) {
    const { bytesRead } = await table.read(piece, 0, PIECE, null);
    text += piece.toString("latin1", 0, bytesRead);
    if (bytesRead === 0 || CONNECTED.test(text.slice(-2 * LINE))) return text;
  }
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
