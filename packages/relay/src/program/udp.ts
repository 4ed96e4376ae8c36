import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { Duplex } from "node:stream";
import { type Closable, createCloser, datagramReader, encodeDatagram } from "@shipside/core";
import { relayError } from "../errors.ts";
import { backendAddresses } from "./backend.ts";
import type { ConnectionInfo } from "./developers.ts";
import { openDeveloper, type PortContext } from "./upstream.ts";

/** Who sends from one address and port is one flow; one that is silent for this long is over, in ms. */
const FLOW_MS = 60_000;
/** Flows at a time: for another one, the longest silent ends. */
const FLOWS = 1024;
/** What waits for a developer's stream, in bytes; more is lost, as datagrams may be. */
const WAITING = 262_144;

interface Flow {
  send(datagram: Buffer): void;
  end(): void;
}

export interface Datagrams extends Closable {
  readonly port: number;
}

/** Datagrams of one port: each sender's to who takes the whole port, else to the real pods; what comes back goes to the sender. */
export async function serveDatagrams(
  context: PortContext,
  { host, flowMs = FLOW_MS }: { host?: string | undefined; flowMs?: number },
): Promise<Datagrams> {
  const closer = createCloser();
  const address = host ?? "::";
  const socket = createSocket({ type: isIPv6(address) ? "udp6" : "udp4" });
  closer.defer(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  await bind(socket, context, address);
  socket.on("error", (error) =>
    context.logger.warn("a UDP port of the relay's", { port: context.port.port, error: error.message }),
  );

  /** In the order in which they were last heard of. */
  const flows = new Map<string, Flow & { timer: NodeJS.Timeout }>();
  closer.defer(() => {
    for (const key of [...flows.keys()]) drop(key);
  });
  const drop = (key: string): void => {
    const flow = flows.get(key);
    if (!flow) return;
    flows.delete(key);
    clearTimeout(flow.timer);
    flow.end();
  };

  socket.on("message", (datagram, { address: from, port }) => {
    const key = `${from}|${port}`;
    let flow = flows.get(key);
    if (!flow) {
      if (flows.size >= FLOWS) drop(flows.keys().next().value!);
      const back = (answer: Buffer): void => {
        flows.get(key)?.timer.refresh();
        socket.send(answer, port, from, () => {});
      };
      const over = (): void => drop(key);
      flow = { ...openFlow(context, { from, port }, back, over), timer: setTimeout(over, flowMs).unref() };
    }
    flows.delete(key);
    flows.set(key, flow);
    flow.timer.refresh();
    flow.send(datagram);
  });

  return { port: socket.address().port, close: () => closer.close(), [Symbol.asyncDispose]: () => closer.close() };
}

function bind(socket: Socket, { port }: PortContext, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (cause: Error): void =>
      reject(
        relayError("RELAY_OPTIONS", `the relay can't listen on UDP ${port.listen} for the Service's port ${port.port}`, { cause }),
      );
    socket.once("error", refused);
    socket.bind({ port: port.listen, address }, () => {
      socket.off("error", refused);
      resolve();
    });
  });
}

function openFlow(
  context: PortContext,
  peer: { from: string; port: number },
  back: (answer: Buffer) => void,
  over: () => void,
): Flow {
  const held = context.leases.whole(context.port.port);
  const gone = new AbortController();
  let waiting: Buffer[] | undefined = [];
  let bytes = 0;
  let target: Flow | undefined;

  const begin = (to: Flow | undefined): void => {
    const first = waiting ?? [];
    waiting = undefined;
    if (!to || gone.signal.aborted) {
      to?.end();
      over();
      return;
    }
    target = to;
    for (const datagram of first) to.send(datagram);
  };
  const info = {
    port: context.port.port,
    peer: `${peer.from.includes(":") ? `[${peer.from}]` : peer.from}:${peer.port}`,
    protocol: "udp" as const,
  };
  const opening = held ? openDeveloper(context, held, info, gone.signal) : Promise.resolve(undefined);
  void opening.then(async (stream) => begin(stream ? overStream(stream, back, over) : await toBackend(context, info, back, over)));

  return {
    send(datagram) {
      if (target) {
        target.send(datagram);
        return;
      }
      bytes += datagram.length;
      if (bytes <= WAITING) waiting?.push(datagram);
    },
    end() {
      gone.abort();
      target?.end();
    },
  };
}

async function toBackend(
  context: PortContext,
  info: ConnectionInfo,
  back: (answer: Buffer) => void,
  over: () => void,
): Promise<Flow | undefined> {
  const { port, logger } = context;
  const [backend] = await backendAddresses(context, info).catch(() => []);
  if (!backend) return undefined;
  const socket = createSocket(isIPv6(backend.host) ? "udp6" : "udp4");
  socket.on("error", (error) => {
    logger.debug("a UDP flow", { port: port.port, error: error.message });
    over();
  });
  socket.on("message", back);
  return { send: (datagram) => socket.send(datagram, backend.port, backend.host), end: () => socket.close() };
}

function overStream(stream: Duplex, back: (answer: Buffer) => void, over: () => void): Flow {
  const read = datagramReader();
  stream.on("data", (chunk: Buffer) => read(chunk).forEach(back));
  stream.on("close", over);
  stream.on("end", over);
  return {
    send(datagram) {
      if (stream.writable && stream.writableLength <= WAITING) stream.write(encodeDatagram(datagram));
    },
    end: () => stream.destroy(),
  };
}
