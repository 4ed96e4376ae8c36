import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { createServer, type Server } from "node:net";
import { daemonError } from "../errors.ts";
import { LIMITS } from "./requests.ts";
import type { Machine } from "./undo.ts";

/** A listening TCP socket, or a bound UDP one. */
export type HandedSocket = Server | DatagramSocket;
export type Protocol = "tcp" | "udp";

/** What is made for the daemon and handed over; what stays here is a count. */
export interface Sockets {
  /**
   * `hand` is called in the turn in which the socket is made, with its port and what is to be called when it has left this process.
   * Rejects with `HELPER_LIMIT` and the system's own codes.
   */
  open(
    protocol: Protocol,
    address: string,
    port: number,
    hand: (socket: HandedSocket, port: number, sent: () => void) => void,
  ): Promise<void>;
  /** The daemon has closed it. Rejects with `HELPER_REFUSED` where none was made there. */
  close(protocol: Protocol, address: string, port: number): Promise<void>;
}

export function createSockets({ ledger, aliases }: Pick<Machine, "ledger" | "aliases">): Sockets {
  /** How many were handed over and not given back. */
  const open = new Map<string, number>();
  const held = new Map<string, number>();
  let count = 0;
  /** Those that have not yet left this process: each is a descriptor of root's. */
  let handing = 0;

  const letGo = async (address: string): Promise<void> => {
    if (held.has(address) || !ledger.owed.aliases.includes(address)) return;
    await aliases.remove(address);
    await ledger.owe({ aliases: ledger.owed.aliases.filter((each) => each !== address) });
  };

  return {
    async open(protocol, address, port, hand) {
      if (count >= LIMITS.listeners) throw daemonError("HELPER_LIMIT", `${count} listeners are open, and no more are made`);
      if (handing >= LIMITS.handing) throw daemonError("HELPER_LIMIT", `${handing} sockets wait to be taken`);
      if (aliases.isMissing(address)) {
        await ledger.owe({ aliases: [...new Set([...ledger.owed.aliases, address])] });
        await aliases.add(address);
      }
      const failure = await new Promise<Error | undefined>((resolve) => {
        const socket = make(protocol, address, port, () => {
          socket.off("error", failed);
          socket.on("error", () => {});
          const bound = socket.address() as { port: number };
          count++;
          handing++;
          add(open, `${protocol} ${address} ${bound.port}`, 1);
          add(held, address, 1);
          // In the same turn as it was made, so that the loop never polls it: only then is nothing that comes to it ever ours.
          hand(socket, bound.port, () => {
            handing--;
            socket.close();
          });
          resolve(undefined);
        });
        const failed = (error: Error): void => {
          socket.close();
          resolve(error);
        };
        socket.once("error", failed);
      });
      if (!failure) return;
      await letGo(address);
      throw failure;
    },
    async close(protocol, address, port) {
      const key = `${protocol} ${address} ${port}`;
      if (!open.has(key)) throw daemonError("HELPER_REFUSED", `no ${protocol} listener was made on ${address}:${port}`);
      count--;
      add(open, key, -1);
      add(held, address, -1);
      await letGo(address);
    },
  };
}

/** Exclusive: never shared with workers of Node's cluster module. `onBound` isn't called before this returns. */
function make(protocol: Protocol, address: string, port: number, onBound: () => void): HandedSocket {
  if (protocol === "udp") return createSocket("udp4").bind({ address, port, exclusive: true }, onBound);
  const server = createServer();
  // If it can't be sent at once, who comes in between is turned away.
  server.on("connection", (socket) => socket.destroy());
  return server.listen({ host: address, port, exclusive: true }, onBound);
}

function add(counts: Map<string, number>, key: string, change: number): void {
  const now = (counts.get(key) ?? 0) + change;
  if (now > 0) counts.set(key, now);
  else counts.delete(key);
}
