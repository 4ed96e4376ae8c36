import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { expect, it, vi } from "vitest";
import type { ListeningSocket } from "./agent/requests.ts";
import { forwardOpenedPorts, type OpenedPort } from "./opened-ports.ts";

const listening = async (reply: string, port = 0) => {
  const server = createServer((socket) => socket.on("error", () => {}).end(reply));
  await once(server.listen(port, "127.0.0.1"), "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
};

it("a port is here under its number, or another where that is taken, and goes when it goes", async () => {
  await using program = await listening("from inside");
  let sockets: ListeningSocket[] = [];
  let tell: (sockets: ListeningSocket[]) => void = () => {};
  const opened: OpenedPort[] = [];
  const closed: OpenedPort[] = [];
  await using free = await listening("");
  const { port } = free;
  await free[Symbol.asyncDispose]();
  await using taken = await listening("somebody else's");
  const forwards = forwardOpenedPorts({
    namespace: {
      get listening() {
        return sockets;
      },
      onListening(listener) {
        tell = listener;
        return () => {};
      },
      // Inside, each of them is the program's.
      async connect() {
        const socket = connect(program.port, "127.0.0.1");
        await once(socket, "connect");
        return socket;
      },
    },
    opened: (one) => void opened.push(one),
    closed: (one) => void closed.push(one),
  });
  const change = (ports: number[]): void => {
    sockets = ports.map((each) => ({ address: "::", port: each }));
    tell(sockets);
  };
  change([port, taken.port, 80]);
  await vi.waitFor(() => expect(opened).toHaveLength(3), 5_000);
  const hostPort = (inside: number): number => opened.find((one) => one.port === inside)!.hostPort;
  expect(hostPort(port)).toBe(port);
  expect(hostPort(taken.port)).not.toBe(taken.port);
  expect(hostPort(80)).toBeGreaterThan(1023);
  for (const inside of [port, taken.port, 80]) expect(await text(connect(hostPort(inside), "127.0.0.1"))).toBe("from inside");

  change([taken.port, 80]);
  await vi.waitFor(() => expect(closed).toEqual([{ port, hostPort: port }]), 5_000);
  await expect(text(connect(port, "127.0.0.1"))).rejects.toMatchObject({ code: "ECONNREFUSED" });
  await forwards.close();
  await expect(text(connect(hostPort(80), "127.0.0.1"))).rejects.toMatchObject({ code: "ECONNREFUSED" });
});
