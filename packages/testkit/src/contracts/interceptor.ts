import assert from "node:assert/strict";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ArrivedConnection, Interceptor } from "@shipside/core";
import type { ContractCase } from "./contract.ts";
import { inTime, rejection } from "./settle.ts";
import { tcpPair } from "./tcp-pair.ts";

export interface InterceptorSubject extends AsyncDisposable {
  readonly interceptor: Interceptor;
  /**
   * One exchange as a caller has it with what is behind the interceptor: writes, reads, and throws where the answer isn't what it should be.
   * Leaves the stream open.
   */
  exchange(caller: Duplex): Promise<void>;
  /** What is behind `next`. Default: an echo. */
  serve?(local: Duplex): void;
}

export interface InterceptorContractOptions {
  /** Shown before each case. Default "interceptor". */
  name?: string;
  /** A fresh subject for each case. */
  open(): Promise<InterceptorSubject>;
  /** Whether it lets connections through to `next`. Default true; false for one that answers in the process's place. */
  passes?: boolean;
}

const CONNECTION: ArrivedConnection = {
  namespace: "shop",
  service: "core",
  port: 80,
  protocol: "TCP",
  peer: "10.1.2.3:40000",
  localPort: 8080,
};

/** What every {@link Interceptor} must do. */
export function interceptorContract(options: InterceptorContractOptions): ContractCase[] {
  const { passes = true } = options;
  interface Bench extends InterceptorSubject {
    /** A connection through it, and the far ends that it opened by `next`. */
    arrive(signal?: AbortSignal): Promise<{ caller: Duplex; locals: Socket[] }>;
  }
  const contract = (name: string, run: (bench: Bench) => Promise<void>): ContractCase => ({
    name: `${options.name ?? "interceptor"}: ${name}`,
    async run() {
      await using subject = await options.open();
      const sockets: Duplex[] = [];
      const track = <T extends Duplex>(stream: T): T => {
        stream.on("error", () => {});
        sockets.push(stream);
        return stream;
      };
      const arrive: Bench["arrive"] = async (signal = new AbortController().signal) => {
        const locals: Socket[] = [];
        const next = async (): Promise<Duplex> => {
          const [near, far] = await tcpPair();
          locals.push(track(far));
          if (subject.serve) subject.serve(far);
          else far.pipe(far);
          return track(near);
        };
        const caller = await inTime(subject.interceptor.connect({ ...CONNECTION }, next, { signal }), "connect");
        assert.equal(typeof caller?.pipe, "function", "connect resolves to a stream");
        return { caller: track(caller), locals };
      };
      try {
        await run(Object.assign(Object.create(subject), { arrive }) as Bench);
      } finally {
        for (const stream of sockets) stream.destroy();
      }
    },
  });
  const over = (stream: Duplex, what: string): Promise<void> =>
    inTime(new Promise<void>((resolve) => (stream.closed ? resolve() : stream.once("close", () => resolve()))), what);

  const cases = [
    contract("has a name", async ({ interceptor }) => {
      assert.match(interceptor.name, /^\S.*$/);
    }),

    contract("a connection works, and one after the other", async ({ arrive, exchange }) => {
      for (let i = 0; i < 3; i++) {
        const { caller } = await arrive();
        await inTime(exchange(caller), "an exchange");
        caller.destroy();
      }
    }),

    contract("half-open is allowed: our end doesn't end theirs", async ({ arrive }) => {
      const { caller } = await arrive();
      assert.equal(caller.allowHalfOpen, true, "allowHalfOpen");
    }),

    contract("many at once, each by itself", async ({ arrive, exchange }) => {
      const callers = await Promise.all(Array.from({ length: 20 }, async () => (await arrive()).caller));
      callers[0]!.destroy();
      await inTime(Promise.all(callers.slice(1).map((caller) => exchange(caller))), "19 exchanges while one was destroyed");
    }),

    contract("our end is answered by an end", async ({ arrive, exchange }) => {
      const { caller } = await arrive();
      await inTime(exchange(caller), "an exchange");
      const ended = new Promise<void>((resolve) => caller.once("end", resolve).once("close", resolve));
      caller.end();
      caller.resume();
      await inTime(ended, "the end");
    }),

    contract("a signal that has fired: it rejects, and opens nothing", async ({ interceptor }) => {
      let opened = 0;
      const next = async (): Promise<Duplex> => {
        opened++;
        throw new Error("nothing was to be opened");
      };
      await rejection(
        interceptor.connect({ ...CONNECTION }, next, { signal: AbortSignal.abort() }),
        "connect after the caller has gone",
      );
      assert.equal(opened, 0, "calls of next");
    }),
  ];
  if (!passes) return cases;
  return [
    ...cases,
    contract(
      "what is behind refuses: so does it, with the same code, and works again after",
      async ({ interceptor, arrive, exchange }) => {
        for (const code of ["DIAL_REFUSED", "DIAL_FAILED"]) {
          const next = (): Promise<Duplex> => Promise.reject(Object.assign(new Error(code), { code }));
          const { signal } = new AbortController();
          assert.equal(await rejection(interceptor.connect({ ...CONNECTION }, next, { signal }), "connect"), code);
        }
        const { caller } = await arrive();
        await inTime(exchange(caller), "an exchange");
      },
    ),

    contract("destroying it closes what it opened", async ({ arrive, exchange }) => {
      const { caller, locals } = await arrive();
      await inTime(exchange(caller), "an exchange");
      caller.destroy();
      await Promise.all(locals.map((local) => over(local, "the local end closes")));
    }),

    contract("a reset behind it is an error, ECONNRESET", async ({ arrive, exchange }) => {
      const { caller, locals } = await arrive();
      await inTime(exchange(caller), "an exchange");
      const failed = new Promise<NodeJS.ErrnoException>((resolve) => caller.once("error", resolve));
      caller.resume();
      for (const local of locals) local.resetAndDestroy();
      assert.equal((await inTime(failed, "the error")).code, "ECONNRESET");
    }),

    contract("a caller that doesn't read holds what is behind back", async ({ arrive, exchange }) => {
      const { caller, locals } = await arrive();
      await inTime(exchange(caller), "an exchange");
      caller.pause();
      const local = locals[0]!;
      local.unpipe(local);
      local.resume();
      let written = 0;
      while (written < TOO_MUCH && local.write(Buffer.alloc(65_536))) written += 65_536;
      for (let still = 0, before = -1; still < 3 && written < TOO_MUCH; ) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        still = local.bytesWritten === before ? still + 1 : 0;
        before = local.bytesWritten;
        while (written < TOO_MUCH && local.writableLength === 0 && local.write(Buffer.alloc(65_536))) written += 65_536;
      }
      assert.ok(written < TOO_MUCH, `it took ${written} bytes that nobody read`);
    }),
  ];
}

/** More than any path may hold for a reader that has stalled, in bytes. */
const TOO_MUCH = 64 * 1024 * 1024;
