import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { echoApp, startApp } from "./fixtures/app.ts";
import { frame } from "./fixtures/kubelet.ts";
import { exchange, POD, setUp } from "./fixtures/pool.ts";
import { upgradeTo } from "./fixtures/upgrade.ts";
import { createPortForwardPool } from "./pool.ts";

describe("the pool", () => {
  test("opens one connection for many that ask at once, and spreads those that follow", async () => {
    await using server = await startApp(echoApp);
    await using it = await setUp();
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => exchange(it.pool, server.port, `n${i}`)));
    expect(answers).toEqual(Array.from({ length: 50 }, (_, i) => `n${i}`));
    expect(it.kubelet.upgrades).toBeLessThanOrEqual(4);
    expect(it.pool.stats().carrier).toBe("spdy");
  });

  test("closes what is idle", async () => {
    await using server = await startApp(echoApp);
    await using it = await setUp({ pool: { idleMs: 500 } });
    expect(await exchange(it.pool, server.port, "x")).toBe("x");
    await expect.poll(() => it.kubelet.connections.length, { timeout: 5_000 }).toBe(0);
    expect(it.pool.stats().connections).toBe(0);
    expect(await exchange(it.pool, server.port, "again")).toBe("again");
  });

  test("uses a fresh connection after a GOAWAY, while what is open goes on", async () => {
    await using server = await startApp(echoApp);
    await using it = await setUp({ pool: { spread: 1 } });
    const old = await it.pool.open(POD, server.port);
    it.kubelet.connections[0]?.write(frame.goAway());
    await sleep(50);
    expect(await exchange(it.pool, server.port, "new")).toBe("new");
    expect(it.kubelet.upgrades).toBe(2);
    old.write("old");
    expect(String((await once(old, "data"))[0])).toBe("old");
    old.destroy();
  });

  test("notices a connection that died in silence, and replaces it", async () => {
    await using server = await startApp(echoApp);
    let alive = true;
    await using it = await setUp({ pong: () => alive, pool: { pingMs: 500, deadMs: 1_000, spread: 1 } });
    const stream = await it.pool.open(POD, server.port);
    alive = false;
    const [error] = await once(stream, "error");
    expect(error).toMatchObject({ code: "ECONNRESET", cause: { code: "PORTFORWARD_LOST" } });
    alive = true;
    expect(await exchange(it.pool, server.port, "fresh")).toBe("fresh");
  });

  test("revalidates: keeps what lives, drops what doesn't", async () => {
    await using server = await startApp(echoApp);
    let alive = true;
    await using it = await setUp({ pong: () => alive });
    const stream = await it.pool.open(POD, server.port);
    await it.pool.revalidate();
    stream.write("x");
    expect(String((await once(stream, "data"))[0])).toBe("x");
    alive = false;
    const failed = once(stream, "error");
    await it.pool.revalidate();
    expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
  });

  test("tries again by itself where an old connection leads to a pod that was replaced", async () => {
    await using server = await startApp(echoApp);
    let gone = 0;
    await using it = await setUp({
      pool: { spread: 1 },
      podPort: (_pod, port, upgrade) => (upgrade <= gone ? "gone" : port),
    });
    expect(await exchange(it.pool, server.port, "x")).toBe("x");
    gone = 1;
    await using other = await startApp(echoApp);
    expect(await exchange(it.pool, other.port, "new pod")).toBe("new pod");
    expect(it.kubelet.upgrades).toBe(2);
  });

  test("tells a stream that was not waited for when its pod is gone, so that it can go elsewhere with the same bytes", async () => {
    await using server = await startApp(echoApp);
    let gone = 0;
    await using it = await setUp({ podPort: (_pod, port, upgrade) => (upgrade <= gone ? "gone" : port) });
    expect(await exchange(it.pool, server.port, "x")).toBe("x");
    gone = Number.POSITIVE_INFINITY;
    const stream = await it.pool.open(POD, server.port);
    stream.write("to whom it may concern");
    expect((await once(stream, "error"))[0]).toMatchObject({ code: "DIAL_GONE" });
    await expect(it.pool.open(POD, server.port)).rejects.toMatchObject({ code: "DIAL_GONE" });
  });

  test("closes everything, once, and opens nothing after", async () => {
    await using server = await startApp(echoApp);
    await using it = await setUp();
    const stream = await it.pool.open(POD, server.port);
    const failed = once(stream, "error");
    await Promise.all([it.pool.close(), it.pool.close()]);
    expect((await failed)[0]).toMatchObject({ code: "ECONNRESET", cause: { code: "PORTFORWARD_CLOSED" } });
    await expect(it.pool.open(POD, server.port)).rejects.toMatchObject({ code: "PORTFORWARD_CLOSED" });
    await expect.poll(() => it.kubelet.connections.length).toBe(0);
  });

  test.each([{ spread: 0 }, { idleMs: Number.NaN }, { carriers: [] }, { maxBufferedPerStream: 5 }])("refuses %o", (options) => {
    expect(() => createPortForwardPool({ upgrade: upgradeTo(() => 1), ...options })).toThrowError(
      expect.objectContaining({ code: "PORTFORWARD_OPTIONS" }),
    );
  });

  test.each([0, 65_536, 1.5])("refuses port %d", async (port) => {
    await using pool = createPortForwardPool({ upgrade: upgradeTo(() => 1) });
    await expect(pool.open(POD, port)).rejects.toMatchObject({ code: "DIAL_FAILED" });
  });
});
