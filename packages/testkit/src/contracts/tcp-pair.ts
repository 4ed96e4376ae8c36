import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** Two ends of a real TCP connection, half-open allowed. What they fail with is for who waits for it. */
export async function tcpPair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const near = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  const [[far]] = await Promise.all([once(server, "connection"), once(near, "connect")]);
  server.close();
  for (const each of [near, far]) each.on("error", () => {});
  return [near, far];
}
