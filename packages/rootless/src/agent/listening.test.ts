import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseSocketTable, readListening } from "./listening.ts";

const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const line = (local: string, state: string): string =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 41 1 0000000000000000 100 0 0 10 0\n`;

describe("the kernel's table of sockets", () => {
  it("tells those that listen, IPv4 and IPv6", () => {
    expect(
      parseSocketTable(`${HEAD}${line("0100007F:1F90", "0A")}${line("00000000:0050", "0A")}${line("0100007F:1F91", "01")}`),
    ).toEqual([
      { address: "127.0.0.1", port: 8080 },
      { address: "0.0.0.0", port: 80 },
    ]);
    const ipv6 = line("000000FD000096000000000007000000:0050", "0A");
    expect(parseSocketTable(`${HEAD}${line(`${"0".repeat(32)}:0BB8`, "0A")}${ipv6}`)).toEqual([
      { address: "::", port: 3000 },
      { address: "fd00:0:96::7", port: 80 },
    ]);
  });

  it("takes any text", () => {
    fc.assert(fc.property(fc.string(), (text) => void expect(parseSocketTable(text)).toEqual([])));
  });

  it.runIf(process.platform === "linux")("is read as far as sockets listen, however many are connected", async () => {
    const server = createServer((socket) => socket.on("error", () => {}));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as { port: number };
    const clients = Array.from({ length: 400 }, () => connect(port, "127.0.0.1"));
    await Promise.all(clients.map((client) => once(client, "connect")));
    const [whole, part] = [readFileSync("/proc/self/net/tcp", "utf8"), await readListening("/proc/self/net/tcp")];
    expect(parseSocketTable(part)).toContainEqual({ address: "127.0.0.1", port });
    expect(whole.length - part.length).toBeGreaterThan(40_000);
    for (const client of clients) client.resetAndDestroy();
    server.close();
  });

  it.runIf(process.platform === "linux")("is read as this kernel writes it", async () => {
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as { port: number };
    expect(parseSocketTable(readFileSync("/proc/self/net/tcp", "utf8"))).toContainEqual({ address: "127.0.0.1", port });
    server.close();
  });
});
