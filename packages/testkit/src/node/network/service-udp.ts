import { createSocket } from "node:dgram";
import { createBackendChoice, isSame } from "./backend-choice.ts";
import type { Backend, ServiceRoute } from "./endpoints.ts";
import type { ServicePort } from "./service-listeners.ts";

/** Clients of one port at once; the one that has been there longest makes room for another. */
const MOST_CLIENTS = 4_096;

/** What one client (address and port) sends goes to one backend, and what that answers comes back. */
interface Flow {
  backend: Backend;
  send(datagram: Buffer): void;
  close(): void;
}

/**
 * Passes datagrams to a backend and its answers back. A client keeps its backend until nothing has gone either way for `idleMs`, or the
 * backend is none any more.
 */
export function createUdpPort(route: ServiceRoute, idleMs: number): ServicePort {
  const flows = new Map<string, Flow>();
  const choice = createBackendChoice();
  const server = createSocket("udp4");
  let current = route;
  let open = false;

  const flowTo = (backend: Backend, client: { address: string; port: number }, ended: () => void): Flow => {
    const upstream = createSocket("udp4");
    let waiting: Buffer[] | undefined = [];
    const idle = setTimeout(ended, idleMs).unref();
    upstream.on("error", ended);
    upstream.on("message", (datagram) => {
      idle.refresh();
      // What can't be sent is lost, as datagrams are.
      if (open) server.send(datagram, client.port, client.address, () => {});
    });
    const pass = (datagram: Buffer): void => upstream.send(datagram, (error) => error && ended());
    upstream.connect(backend.port, backend.ip, () => {
      for (const datagram of waiting ?? []) pass(datagram);
      waiting = undefined;
    });
    return {
      backend,
      send(datagram) {
        idle.refresh();
        if (waiting) waiting.push(datagram);
        else pass(datagram);
      },
      close() {
        clearTimeout(idle);
        upstream.close();
      },
    };
  };
  const end = (key: string, flow = flows.get(key)): void => {
    if (!flow || flows.get(key) !== flow) return;
    flows.delete(key);
    flow.close();
  };

  server.on("error", () => {});
  server.on("message", (datagram, client) => {
    const key = `${client.address}:${client.port}`;
    let flow = flows.get(key);
    if (!flow) {
      const [backend] = choice.order(current, client.address);
      if (!backend) return;
      if (flows.size >= MOST_CLIENTS) end(flows.keys().next().value!);
      const made: Flow = flowTo(backend, client, () => end(key, made));
      flows.set(key, made);
      flow = made;
    }
    flow.send(datagram);
  });
  const cut = (): void => {
    for (const key of [...flows.keys()]) end(key);
  };

  return {
    get route() {
      return current;
    },
    set route(next) {
      current = next;
      // Else a client that never falls silent would talk to a pod that is gone.
      for (const [key, { backend }] of [...flows]) if (!next.backends.some((each) => isSame(each, backend))) end(key);
    },
    listen: (address) =>
      new Promise((resolve, reject) => {
        server.once("error", (error) => {
          if (!open) server.close();
          reject(error);
        });
        server.bind(current.port, address, () => {
          open = true;
          resolve();
        });
      }),
    stop() {
      cut();
      if (!open) return Promise.resolve();
      open = false;
      return new Promise((resolve) => server.close(() => resolve()));
    },
    cut,
  };
}
