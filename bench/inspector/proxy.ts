// A process of its own between callers and a server: on one port as it is, on the other with an inspector looking on and its page open.
import { get } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { splice } from "@shipside/core";
import { createInspector, serveInspector } from "@shipside/inspector";

const inspector = createInspector();
const served = await serveInspector({ inspector, port: 0 });
const listen = (target: { listen(port: number, host: string, done: () => void): unknown; address(): unknown }): Promise<number> =>
  new Promise((resolve) => target.listen(0, "127.0.0.1", () => resolve((target.address() as { port: number }).port)));
const upstream = Number(process.argv[2]);
const forward = (join: (client: Socket, onward: Socket) => Promise<unknown>): Promise<number> =>
  listen(
    createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const onward = connect({ port: upstream, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
      for (const socket of [client, onward]) socket.on("error", () => {});
      void join(client, onward);
    }),
  );
const plain = await forward((client, onward) => splice(client, onward));
const tapped = await forward((client, onward) => inspector.join(client, onward, { direction: "incoming", service: "bench" }));

// Somebody looks at the page all the time.
get({ port: served.port, host: "127.0.0.1", path: "/api/events", headers: { authorization: `Bearer ${served.token}` } }, (events) =>
  events.resume(),
);

process.on("message", async (word) => {
  if (word === "end") process.exit(0);
  await inspector.settled();
  const { user, system } = process.cpuUsage();
  process.send!({ cpuMs: (user + system) / 1000, stats: inspector.stats(), memory: process.memoryUsage().rss });
});
process.send!({ plain, tapped });
