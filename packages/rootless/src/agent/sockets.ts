import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { connect, createServer, isIPv6, type Server, type Socket } from "node:net";

interface Place {
  address: string;
  port: number;
}

/** `made` is called in the turn in which it listens. Rejects with the system's codes. */
export function listenSocket({ address, port }: Place, made: (server: Server, port: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    // If it can't be sent at once, who comes in between is turned away.
    server.on("connection", (socket) => socket.destroy());
    server.once("error", (error) => {
      server.close();
      reject(error);
    });
    server.listen({ host: address, port, exclusive: true }, () => {
      made(server, (server.address() as { port: number }).port);
      resolve();
    });
  });
}

/** The same for UDP. */
export function bindSocket({ address, port }: Place, made: (socket: DatagramSocket, port: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address, port, exclusive: true }, () => {
      made(socket, socket.address().port);
      resolve();
    });
  });
}

export function connectSocket({ address, port }: Place, made: (socket: Socket) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, allowHalfOpen: true });
    // Never read here: what comes first is for whoever gets it.
    socket.pause();
    socket.once("error", reject);
    socket.once("connect", () => {
      made(socket);
      resolve();
    });
  });
}
