import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { describeHolder, findHolder, listeningSockets } from "./holder.ts";

test("rows of /proc/net/tcp and tcp6", () => {
  const table = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0 100 0 0 10 0",
    "   1: 0100007F:1F91 0100007F:1F92 01 00000000:00000000 00:00000000 00000000  1000        0 12346 1 0 100 0 0 10 0",
    "   2: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 77 1",
    "   3: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 78 1",
    "   4: 000080FE00000000000000000100000A:0052 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 79 1",
    "",
  ].join("\n");
  expect(listeningSockets(table)).toEqual([
    { address: "127.0.0.1", port: 8080, inode: "12345" },
    { address: "::", port: 80, inode: "77" },
    { address: "127.0.0.1", port: 81, inode: "78" },
    { address: "fe80:0:0:0:0:0:a00:1", port: 82, inode: "79" },
  ]);
});

test.runIf(process.platform === "linux")("finds this process, on the address and on all addresses", async () => {
  for (const [host, asked] of [
    ["127.0.0.1", "127.0.0.1"],
    ["0.0.0.0", "127.72.9.9"],
    ["::", "127.72.9.9"],
  ] as const) {
    const server = createServer().listen(0, host);
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const holder = await findHolder(asked, port);
    expect(holder).toMatchObject({ address: host, pid: process.pid });
    expect(describeHolder(holder)).toContain(`pid ${process.pid}`);
    server.close();
    await once(server, "close");
    expect(await findHolder(asked, port)).toBeUndefined();
  }
});

test("where there is no /proc nobody is found", async () => {
  const empty = await mkdtemp(`${tmpdir()}/shipside-proc-`);
  expect(await findHolder("127.0.0.1", 80, empty)).toBeUndefined();
  await rm(empty, { recursive: true });
  expect(describeHolder(undefined)).toBe("another process");
  expect(describeHolder({ address: "0.0.0.0" })).toBe("another user's process, on all addresses (0.0.0.0)");
});
