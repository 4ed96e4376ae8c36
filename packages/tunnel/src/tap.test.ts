import { once } from "node:events";
import { expect, test } from "vitest";
import { fakeCluster } from "./fixtures/fake-cluster.ts";
import { service, slice } from "./fixtures/objects.ts";
import { dial, tcpServer } from "./fixtures/servers.ts";
import { openTunnel, type TunnelOptions } from "./index.ts";

const PORT = 18_081;

async function tapped(tap: NonNullable<TunnelOptions["tap"]>) {
  const cluster = fakeCluster();
  const pod = await tcpServer((socket) => socket.on("data", (chunk) => socket.end(`got ${chunk}`)));
  cluster.put("services", service("web", [{ port: PORT, targetPort: 80 }]));
  cluster.put("endpointslices", slice("web", [{ port: 80 }], [{ pod: "a" }, { pod: "b" }]));
  cluster.route("a", 80, "refuse late");
  cluster.route("b", 80, pod);
  const tunnel = await openTunnel({ cluster, pool: { stateFile: false }, tap });
  const ask = async (): Promise<string> => {
    const client = dial(tunnel.address("web"));
    client.write("hello");
    let said = "";
    client.on("data", (chunk) => (said += chunk));
    await once(client, "end");
    client.end();
    return said;
  };
  return {
    ask,
    async [Symbol.asyncDispose]() {
      await tunnel.close();
      await pod[Symbol.asyncDispose]();
    },
  };
}

test("a tap sees what was said before a pod had taken the connection, once, and which pod it was", async () => {
  const seen: unknown[] = [];
  const bytes = { in: "", out: "" };
  await using web = await tapped(({ service: name, port, endpoint }) => {
    seen.push({ name, port, endpoint });
    return {
      data: (direction, chunk) => (bytes[direction] += Buffer.from(chunk).toString()),
      end: (direction) => seen.push(`${direction} ended`),
      close: (error) => seen.push(error ?? "closed"),
    };
  });
  expect(await web.ask()).toBe("got hello");
  await expect.poll(() => seen.at(-1)).toBe("closed");
  expect(seen[0]).toEqual({ name: "web", port: PORT, endpoint: "home/b" });
  expect(seen.slice(1).sort()).toEqual(["closed", "in ended", "out ended"]);
  expect(bytes).toEqual({ in: "hello", out: "got hello" });
});

test("a tap that throws, at once or later, costs no connection", async () => {
  let taps = 0;
  await using web = await tapped(() => {
    if (++taps === 1) throw new Error("at once");
    return {
      data: () => {
        throw new Error("later");
      },
    };
  });
  expect(await web.ask()).toBe("got hello");
  expect(await web.ask()).toBe("got hello");
  expect(taps).toBe(2);
});
