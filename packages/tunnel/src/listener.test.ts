import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { ask, dial } from "./fixtures/servers.ts";
import { listenError, localListeners } from "./listener.ts";

test("a socket that listens, hands over paused half-open connections, and is gone when closed", async () => {
  await using listeners = localListeners();
  const listener = await listeners.listen({ address: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${listener.port}`;
  const client = dial(address);
  client.end("hello");
  const [accepted] = await once(listener.server, "connection");
  expect(accepted.isPaused()).toBe(true);
  expect(accepted.allowHalfOpen).toBe(true);
  await listener.close();
  await expect(ask(address)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  // What was accepted goes on.
  accepted.resume();
  expect(String((await once(accepted, "data"))[0])).toBe("hello");
  accepted.destroy();
  client.destroy();
});

test("closing the factory closes its listeners", async () => {
  const listeners = localListeners();
  const { port } = await listeners.listen({ address: "127.0.0.1", port: 0 });
  await listeners.close();
  await expect(ask(`127.0.0.1:${port}`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("a port that is taken: who holds it", async () => {
  await using listeners = localListeners();
  const { port } = await listeners.listen({ address: "127.0.0.1", port: 0 });
  const error = await listeners.listen({ address: "127.0.0.1", port }).catch((cause) => cause);
  expect(error).toMatchObject({ code: "LISTEN_IN_USE", cause: { code: "EADDRINUSE" } });
  if (process.platform === "linux") expect(error.details).toMatchObject({ holder: { address: "127.0.0.1", pid: process.pid } });
});

test("an address that isn't this machine's: what to do about it", async () => {
  await using listeners = localListeners();
  await expect(listeners.listen({ address: "192.0.2.1", port: 80 })).rejects.toMatchObject({
    code: "LISTEN_FAILED",
    hint: expect.stringContaining("192.0.2.1"),
  });
});

test("a privileged port without the privilege", async () => {
  const cause = Object.assign(new Error("listen EACCES"), { code: "EACCES" });
  expect(await listenError({ address: "127.72.0.1", port: 80 }, cause)).toMatchObject({
    code: "LISTEN_FORBIDDEN",
    cause,
    hint: expect.stringContaining("local"),
  });
});

test.runIf(process.platform === "linux")("a user without the privilege is told, by the system's own rule", async () => {
  const program = `
    const { localListeners } = await import(${JSON.stringify(new URL("./listener.ts", import.meta.url).href)});
    if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534); }
    const listeners = localListeners();
    const code = await listeners.listen({ address: "127.72.0.1", port: 79 }).then(() => "listening", (error) => error.code);
    console.log(code);
    await listeners.close();
  `;
  const child = spawn(process.execPath, ["--conditions=@shipside/source", "--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const first = Number(await readFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
  expect((await text(child.stdout)).trim()).toBe(first > 79 ? "LISTEN_FORBIDDEN" : "listening");
});
