import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { Socket } from "node:net";
import { buffer, text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { datagramReader, encodeDatagram, type Interceptor, type Tap } from "@shipside/core";
import { expect, test, vi } from "vitest";
import { arrive, freePort, serve } from "./fixtures/incoming.ts";
import { createLocalEnd, type LocalEndOptions } from "./local-end.ts";

const localEnd = (localPort: number, options: Partial<LocalEndOptions> = {}) =>
  createLocalEnd({ namespace: "shop", service: "core", ports: [{ port: 80, localPort, protocol: "TCP" }], ...options });

/** `once` would reject for a reset. */
const gone = (socket: Socket): Promise<void> =>
  new Promise((resolve) => (socket.closed ? resolve() : socket.once("close", () => resolve())));

const echo = () => serve((socket) => socket.pipe(socket));

test("bytes go both ways, and are counted", async () => {
  await using local = await echo();
  await using end = localEnd(local.port);
  const { incoming, caller, outcome } = await arrive({ port: 80 });
  end.take(incoming);
  const sent = Buffer.alloc(3_000_000, "abcdefg");
  caller.end(sent);
  expect((await buffer(caller)).equals(sent)).toBe(true);
  expect(await outcome).toBe("accepted");
  await vi.waitFor(
    () =>
      expect(end.stats()[0]).toMatchObject({ open: 0, connections: 1, refused: 0, bytesIn: sent.length, bytesOut: sent.length }),
    10_000,
  );
});

test("a half-close is one: an answer long after our FIN, and sending after theirs", async () => {
  await using late = await serve((socket) => {
    socket.resume();
    socket.once("end", () => setTimeout(() => socket.end("at last"), 1200));
  });
  await using end = localEnd(late.port);
  const one = await arrive({ port: 80 });
  end.take(one.incoming);
  one.caller.end("question");
  expect(await text(one.caller)).toBe("at last");

  const heard = Promise.withResolvers<string>();
  await using early = await serve((socket) => {
    socket.end();
    heard.resolve(text(socket) as unknown as string);
  });
  await using other = localEnd(early.port);
  const two = await arrive({ port: 80 });
  other.take(two.incoming);
  two.caller.resume();
  await once(two.caller, "end");
  await delay(50);
  two.caller.end("still here");
  expect(await heard.promise).toBe("still here");
});

test("a reset is one, either way", async () => {
  await using resetting = await serve((socket) => void socket.once("data", () => socket.resetAndDestroy()));
  await using end = localEnd(resetting.port);
  const one = await arrive({ port: 80 });
  end.take(one.incoming);
  one.caller.write("x");
  await gone(one.caller);
  expect(one.caller.errored).toMatchObject({ code: "ECONNRESET" });

  const seen = Promise.withResolvers<string | undefined>();
  await using local = await serve((socket) => {
    socket.resume();
    socket.once("error", (error: NodeJS.ErrnoException) => seen.resolve(error.code));
    socket.once("end", () => seen.resolve("end"));
  });
  await using other = localEnd(local.port);
  const two = await arrive({ port: 80 });
  other.take(two.incoming);
  two.caller.write("x");
  await vi.waitFor(() => expect(other.stats()[0]!.bytesIn).toBe(1), 10_000);
  two.caller.resetAndDestroy();
  expect(await seen.promise).toBe("ECONNRESET");
});

test("nothing listens: the relay is told, and the developer once until something does", async () => {
  const port = await freePort();
  const onRefused = vi.fn();
  await using end = localEnd(port, { onRefused });
  for (let i = 0; i < 2; i++) {
    const { incoming, outcome } = await arrive({ port: 80 });
    end.take(incoming);
    expect(await outcome).toMatchObject({ refused: { code: "DIAL_REFUSED", message: `nothing listens on 127.0.0.1:${port}` } });
  }
  expect(onRefused).toHaveBeenCalledTimes(1);
  const lastError = `nothing listens on 127.0.0.1:${port}`;
  await vi.waitFor(() => expect(end.stats()[0]).toMatchObject({ open: 0, connections: 2, refused: 2, lastError }), 10_000);
});

test("a port that isn't ours is refused", async () => {
  await using end = localEnd(await freePort());
  for (const headers of [{ port: 81 }, { port: 80, protocol: "udp" as const }]) {
    const { incoming, outcome } = await arrive(headers);
    end.take(incoming);
    expect(await outcome).toMatchObject({ refused: { message: expect.stringContaining("no local port") } });
  }
});

test("close resets what is open and takes nothing more", async () => {
  await using local = await echo();
  const end = localEnd(local.port);
  const { incoming, caller } = await arrive({ port: 80 });
  end.take(incoming);
  caller.write("x");
  await once(caller, "data");
  await Promise.all([end.close(), end.close()]);
  await gone(caller);
  const late = await arrive({ port: 80 });
  end.take(late.incoming);
  expect(await late.outcome).toMatchObject({ refused: { message: "the local end is closed" } });
});

test("a slow reader holds the local process back, and no other connection", async () => {
  let written = 0;
  await using local = await serve((socket) => {
    socket.once("data", (first: Buffer) => {
      if (first[0] === 1) return socket.write("quick");
      const more = (): void => {
        while (written < 256 << 20) {
          written += 65_536;
          if (!socket.write(Buffer.alloc(65_536))) return;
        }
      };
      socket.on("drain", more);
      more();
    });
  });
  await using end = localEnd(local.port);
  const slow = await arrive({ port: 80 });
  end.take(slow.incoming);
  slow.caller.pause();
  slow.caller.write(Buffer.from([0]));
  let last = -1;
  await vi.waitFor(
    () => {
      const now = written;
      const still = now === last;
      last = now;
      expect(still && now > 0).toBe(true);
    },
    { timeout: 10_000, interval: 200 },
  );
  expect(written).toBeLessThan(64 << 20);
  const quick = await arrive({ port: 80 });
  end.take(quick.incoming);
  quick.caller.write(Buffer.from([1]));
  expect(String((await once(quick.caller, "data"))[0])).toBe("quick");
});

test("a tap sees all of it and can't disturb it", async () => {
  await using local = await echo();
  const seen: string[] = [];
  const tap: Tap = ({ service, port, peer }) => {
    seen.push(`${service}:${port} from ${peer}`);
    return {
      data: (direction, chunk) => seen.push(`${direction} ${Buffer.from(chunk)}`),
      end: (direction) => seen.push(`${direction} end`),
      close: (error) => seen.push(`close ${error?.message ?? "well"}`),
    };
  };
  await using end = localEnd(local.port, { tap });
  const one = await arrive({ port: 80 });
  end.take(one.incoming);
  one.caller.end("hello");
  expect(await text(one.caller)).toBe("hello");
  await vi.waitFor(() => expect(seen.at(-1)).toBe("close well"), 10_000);
  expect(seen).toEqual(["core:80 from 10.1.2.3:40000", "in hello", "in end", "out hello", "out end", "close well"]);

  const broken: Tap = () => ({
    data() {
      throw new Error("broken");
    },
  });
  const warn = vi.fn();
  await using other = localEnd(local.port, { tap: broken, logger: { debug() {}, info() {}, warn, error() {} } });
  const two = await arrive({ port: 80 });
  other.take(two.incoming);
  two.caller.end("hello");
  expect(await text(two.caller)).toBe("hello");
  expect(warn).toHaveBeenCalledTimes(1);
});

test("interceptors: the first is the outermost, and one may answer in the process's place", async () => {
  await using local = await echo();
  const order: string[] = [];
  const passing = (name: string): Interceptor => ({
    name,
    connect(connection, next) {
      order.push(`${name} ${connection.localPort === local.port}`);
      return next();
    },
  });
  await using end = localEnd(local.port, { interceptors: [passing("a"), passing("b")] });
  const one = await arrive({ port: 80 });
  end.take(one.incoming);
  one.caller.end("hello");
  expect(await text(one.caller)).toBe("hello");
  expect(order).toEqual(["a true", "b true"]);

  const refusing: Interceptor = {
    name: "no",
    connect: () => Promise.reject(Object.assign(new Error("not now"), { code: "DIAL_REFUSED" })),
  };
  await using other = localEnd(local.port, { interceptors: [refusing] });
  const two = await arrive({ port: 80 });
  other.take(two.incoming);
  expect(await two.outcome).toMatchObject({ refused: { code: "DIAL_REFUSED" } });
});

test("UDP: datagrams keep their bounds, both ways", async () => {
  await using end = await (async () => {
    const server = createSocket("udp4");
    server.on("message", (datagram, { port, address }) =>
      server.send(Buffer.concat([Buffer.from("re:"), datagram]), port, address),
    );
    server.bind(0, "127.0.0.1");
    await once(server, "listening");
    const made = createLocalEnd({
      namespace: "shop",
      service: "dns",
      ports: [{ port: 53, localPort: server.address().port, protocol: "UDP" }],
    });
    return Object.assign(made, {
      async [Symbol.asyncDispose]() {
        await made.close();
        server.close();
      },
    });
  })();
  const { incoming, caller } = await arrive({ port: 53, protocol: "udp" });
  end.take(incoming);
  const got: string[] = [];
  const read = datagramReader();
  caller.on("data", (chunk: Buffer) => got.push(...read(chunk).map(String)));
  const frames = Buffer.concat([
    encodeDatagram(Buffer.from("a")),
    encodeDatagram(Buffer.from("")),
    encodeDatagram(Buffer.from("bc")),
  ]);
  for (const byte of frames) {
    caller.write(Buffer.from([byte]));
    await delay(1);
  }
  await vi.waitFor(() => expect(got.sort()).toEqual(["re:", "re:a", "re:bc"]), 10_000);
  caller.end();
  await vi.waitFor(() => expect(end.stats()[0]).toMatchObject({ open: 0, connections: 1, bytesIn: 3, bytesOut: 12 }), 10_000);
});
