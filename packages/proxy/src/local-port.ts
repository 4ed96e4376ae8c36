import { createSocket, type Socket } from "node:dgram";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { abortError, codeOf, datagramReader, encodeDatagram, hasCode } from "@shipside/core";
import { relayError } from "@shipside/relay";

/** Never a name: `localhost` may be `::1`, where another program listens. */
const HOST = "127.0.0.1";
/** How long a port is looked at, in ms: one that doesn't answer by then isn't one that refuses. */
const LOOK_MS = 500;

/** Connects to a port of this machine. Rejects with `DIAL_REFUSED` where nothing listens, `DIAL_FAILED` for any other reason. */
export function connectLocalPort(port: number, { signal }: { signal: AbortSignal }): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortError(signal));
    const socket = connect({ host: HOST, port, allowHalfOpen: true, noDelay: true });
    const onAbort = (): void => void socket.destroy(abortError(signal));
    const settle = (): void => {
      signal.removeEventListener("abort", onAbort);
      socket.off("connect", onConnect);
    };
    const onConnect = (): void => {
      settle();
      resolve(socket);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("connect", onConnect);
    // Stays: a socket that was destroyed may report late. After `connect` the promise is settled.
    socket.on("error", (cause) => {
      settle();
      const refused = codeOf(cause) === "ECONNREFUSED";
      const message = refused ? `nothing listens on ${HOST}:${port}` : `could not connect to ${HOST}:${port}: ${cause.message}`;
      reject(signal.aborted ? abortError(signal) : relayError(refused ? "DIAL_REFUSED" : "DIAL_FAILED", message, { cause }));
    });
  });
}

/** Of these ports of this machine, those on which nothing listens now. Says nothing to those that do: it connects, and lets go. */
export async function refusedPorts(ports: readonly number[], { signal }: { signal: AbortSignal }): Promise<number[]> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]);
  const looked = [...new Set(ports)].map(async (port) => {
    try {
      (await connectLocalPort(port, { signal: limit })).destroy();
      return [];
    } catch (error) {
      return hasCode(error, "DIAL_REFUSED") ? [port] : [];
    }
  });
  return (await Promise.all(looked)).flat();
}

/** Those that can be looked at: a UDP port says nothing of who listens. */
export const localPortsOf = (ports: ReadonlyArray<{ localPort: number; protocol: "TCP" | "UDP" }>): number[] =>
  ports.flatMap(({ localPort, protocol }) => (protocol === "TCP" ? [localPort] : []));

/** Said at once, and no error: the process may be started later. */
export const nothingListens = (ports: readonly number[], until: string): string =>
  `nothing listens on ${ports.map((port) => `${HOST}:${port}`).join(" and ")} yet: until your process does, ${until}`;

/** Joins a stream of datagrams with a UDP port of this machine, or of where `socket` is, until the stream is closed; then that is, too. */
export function joinUdpPort(
  stream: Duplex,
  port: number,
  count: (direction: "in" | "out", bytes: number) => void,
  socket: Socket = createSocket("udp4"),
): Promise<void> {
  return new Promise((resolve) => {
    // A port where nobody listens answers by ICMP: as on any network, the datagram is lost.
    socket.on("error", () => {});
    socket.on("message", (datagram) => {
      count("out", datagram.length);
      // Where the way back is full a datagram is dropped, as UDP may.
      if (stream.writable && !stream.writableNeedDrain) stream.write(encodeDatagram(datagram));
    });
    socket.connect(port, HOST, () => {
      const read = datagramReader();
      stream.on("data", (chunk: Buffer) => {
        for (const datagram of read(chunk)) {
          count("in", datagram.length);
          socket.send(datagram);
        }
      });
      stream.on("end", () => stream.end());
    });
    stream.on("error", () => {});
    stream.once("close", () => {
      socket.close();
      resolve();
    });
  });
}
