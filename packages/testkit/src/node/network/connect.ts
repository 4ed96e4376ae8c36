import { connect, type Socket } from "node:net";

/**
 * A connected socket, ready for whoever gets it. `handedOn`: nothing may be read here, since it goes on to another process with all
 * its bytes.
 */
export function connectTo(host: string, port: number, handedOn = false): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    if (handedOn) socket.pause();
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}
