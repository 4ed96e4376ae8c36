import { connect, createServer, type Socket } from "node:net";
import { createBackendChoice } from "./backend-choice.ts";
import type { Backend, ServiceRoute } from "./endpoints.ts";
import type { ServicePort } from "./service-listeners.ts";

/** Passes each connection to a backend; where that refuses, to the next. */
export function createTcpPort(route: ServiceRoute, handOver: ((client: Socket) => void) | undefined): ServicePort {
  const sockets = new Set<Socket>();
  const choice = createBackendChoice();
  let stopped = false;

  const serve = (client: Socket): void => {
    if (handOver && self.route.handOver && !stopped) {
      handOver(client);
      return;
    }
    client.on("error", () => client.destroy());
    sockets.add(client);
    client.once("close", () => sockets.delete(client));
    const attempt = ([backend, ...others]: Backend[]): void => {
      if (!backend) return void client.resetAndDestroy();
      const upstream = connect({ host: backend.ip, port: backend.port, allowHalfOpen: true, noDelay: true });
      const failed = (): void => attempt(others);
      upstream.once("error", failed);
      upstream.once("connect", () => {
        upstream.off("error", failed);
        join(client, upstream);
      });
    };
    attempt(stopped ? [] : choice.order(self.route, client.remoteAddress ?? ""));
  };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, serve);

  const self: ServicePort = {
    route,
    listen: (address) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(self.route.port, address, resolve);
      }),
    stop() {
      stopped = true;
      // Connections that are open stay, as through conntrack; they end when one of their ends does.
      return new Promise<void>((resolve) => {
        server.close(() => resolve());
        setImmediate(resolve);
      });
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
  };
  return self;
}

/** Bytes, half-closes and resets both ways. The agents import no other package, so core's `splice` is not at hand here. */
function join(a: Socket, b: Socket): void {
  const oneWay = (from: Socket, to: Socket): void => {
    from.on("error", () => to.resetAndDestroy());
    from.on("close", () => {
      if (!from.readableEnded) to.destroy();
    });
    from.pipe(to);
  };
  oneWay(a, b);
  oneWay(b, a);
}
