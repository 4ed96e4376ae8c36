import type { Socket } from "node:dgram";
import type { Duplex } from "node:stream";
import { datagramReader, encodeDatagram, type Logger } from "@shipside/core";
import type { Route } from "./forward.ts";
import { bindDatagrams } from "./listener.ts";
import { hostPort } from "./names.ts";
import type { Reception } from "./reception.ts";

/** A client that has been silent for this long, in ms, is forgotten: longer than resolvers and most protocols wait for an answer. */
const IDLE_MS = 60_000;
/** More clients than this at once: the one that has been silent longest is forgotten. */
const MOST_CLIENTS = 1_000;
/** What a client sends while its stream is being opened is kept up to this many datagrams; others are lost, as UDP may. */
const MOST_WAITING = 64;

/** A client's datagrams, on a stream of their own. */
interface Flow {
  send(datagram: Buffer): void;
  close(): void;
}

/**
 * Takes datagrams: each client (address and port) has a stream to one endpoint, for as long as it isn't silent. What can't be delivered
 * is lost without a word, as on any network.
 */
export function datagramReception(options: { logger: Logger; idleMs?: number }): Reception {
  const { logger, idleMs = IDLE_MS } = options;
  const flows = new Map<string, Flow>();
  const counts = { total: 0, failed: 0 };
  const bytes = { sent: 0, received: 0 };

  const openFlow = (socket: Socket, client: { address: string; port: number }, route: Route): Flow => {
    const key = hostPort(client.address, client.port);
    const over = new AbortController();
    let waiting: Buffer[] = [];
    let stream: Duplex | undefined;
    let release: (() => void) | undefined;
    const idle = setTimeout(() => flow.close(), idleMs).unref();
    const flow: Flow = {
      send(datagram) {
        idle.refresh();
        bytes.sent += datagram.length;
        if (!stream) {
          if (waiting.length < MOST_WAITING) waiting.push(datagram);
        } else if (stream.writable && !stream.writableNeedDrain) stream.write(encodeDatagram(datagram));
      },
      close() {
        if (over.signal.aborted) return;
        over.abort();
        clearTimeout(idle);
        if (flows.get(key) === flow) flows.delete(key);
        waiting = [];
        stream?.destroy();
        release?.();
      },
    };
    const answer = (datagram: Buffer): void => {
      idle.refresh();
      bytes.received += datagram.length;
      // The client, or the socket, may be gone.
      if (!over.signal.aborted) socket.send(datagram, client.port, client.address, () => {});
    };
    const open = async (): Promise<void> => {
      const candidate = route.pick(client.address, { tried: new Set(), draining: true });
      if (!candidate) throw new Error("nothing serves it now");
      release = route.chosen(client.address, candidate);
      const opened = await route.dial(candidate, over.signal);
      opened.on("error", () => {});
      if (over.signal.aborted) return void opened.destroy();
      stream = opened;
      const read = datagramReader();
      opened.on("data", (chunk: Buffer) => read(chunk).forEach(answer));
      opened.on("close", () => flow.close());
      for (const datagram of waiting) opened.write(encodeDatagram(datagram));
      waiting = [];
    };
    open().catch((error: Error) => {
      if (over.signal.aborted) return;
      counts.failed++;
      logger.debug("datagrams are lost", { to: route.label, from: key, error: error.message });
      flow.close();
    });
    return flow;
  };

  return {
    async listen(listeners, request, route) {
      const listener = await (listeners.listenDatagrams?.(request) ?? bindDatagrams(request));
      const { socket, address, port } = listener;
      socket.on("message", (datagram, client) => {
        const key = hostPort(client.address, client.port);
        let flow = flows.get(key);
        if (!flow) {
          counts.total++;
          if (flows.size >= MOST_CLIENTS) [...flows.values()][0]?.close();
          flow = openFlow(socket, client, route);
        }
        // Last in the map is who was heard last.
        flows.delete(key);
        flows.set(key, flow);
        flow.send(datagram);
      });
      const close = async (): Promise<void> => {
        for (const flow of flows.values()) flow.close();
        await listener.close();
      };
      return { address, port, close, [Symbol.asyncDispose]: close };
    },
    counts: () => ({ open: flows.size, ...counts }),
    bytes: () => ({ ...bytes }),
  };
}
