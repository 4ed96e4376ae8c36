import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { abortError, type Closable, hasCode, type Logger, silentLogger } from "@shipside/core";
import { relayError } from "./errors.ts";
import { type Greeting, HEADERS, PROTOCOL, type Welcome } from "./protocol.ts";
import { acceptConnect, connectQuestion, openConnect, openConnectAhead, refuseConnect } from "./wire/connect.ts";
import { askControl } from "./wire/control.ts";
import { createLanes, type Lanes } from "./wire/lanes.ts";
import { readLine, writeLine } from "./wire/line.ts";
import { type Asked, createMux, type Mux } from "./wire/mux.ts";

/** A connection that the relay brings: to be accepted or refused. Until then nothing of it has been read from whoever called. */
export interface IncomingConnection {
  readonly authority: string;
  /** Of `HEADERS`, by their names on the wire. */
  readonly headers: Readonly<Record<string, string>>;
  /** Fires when the relay has given it up. */
  readonly signal: AbortSignal;
  /** Its bytes. */
  accept(): Duplex;
  /** Tells the relay why not: by the code where that is `DIAL_REFUSED`, `DIAL_GONE` or `DIAL_FAILED`. */
  refuse(error: unknown): void;
}

export interface RelayLinkOptions {
  /** A stream to `CONTROL_PORT` of a relay's pod. Called for each stream of each attempt. */
  open(signal: AbortSignal): Promise<Duplex>;
  /** As the relay was deployed with. */
  secret: string;
  /** Called for each connection that the relay brings. Without it the link has no way back. */
  onConnection?(connection: IncomingConnection): void;
  /** `false` with the reason whenever the link is lost, `true` when it stands (again). */
  onState?(linked: boolean, error?: Error): void;
  /** How long the link may be silent until it is taken for dead, in ms. Default 10,000. */
  silenceMs?: number;
  /** How long a relay may take to greet, in ms; it is tried again then. Default 10,000. */
  greetingMs?: number;
  /** Closes it. */
  signal?: AbortSignal;
  logger?: Logger;
}

/** The link to one relay. It reconnects by itself until it is closed, or the relay refuses it. */
export interface RelayLink extends Closable {
  /** It stands now. */
  readonly linked: boolean;
  /** Resolves when it stands for the first time; rejects where it ends before. */
  readonly ready: Promise<void>;
  /**
   * The relay has become reachable, as far as one knows: the pause until the next try is cut short, and a try that is under way, which may
   * hang where it began too early, has 2 s.
   */
  retry(): void;
  /**
   * A connection from inside the cluster, once the link stands. Rejects with `DIAL_REFUSED`, `DIAL_GONE`, `DIAL_FAILED`, and `RELAY_LINK_LOST` where
   * the link ends before it is known. Where this authority has taken connections before, it resolves at once, and those `DIAL_` codes are
   * the stream's error: then no byte of it has been read by anybody.
   */
  connect(authority: string, options?: { protocol?: "tcp" | "udp"; signal?: AbortSignal }): Promise<Duplex>;
  /** The control API. Rejects with the relay's own error where it answers with one. */
  request(method: string, path: string, body?: unknown, options?: { signal?: AbortSignal }): Promise<unknown>;
  /** Resolves when it is over for good: with the reason, unless it was closed. */
  readonly ended: Promise<Error | undefined>;
}

/** For a try that was under way when the relay became reachable, in ms. */
const TRY_MS = 2_000;
/** More are forgotten: addresses come and go. */
const MOST_PROVEN = 10_000;
const REQUEST_MS = 15_000;
const HOPELESS = ["RELAY_REFUSED", "RELAY_PROTOCOL", "KUBE_FORBIDDEN", "KUBE_UNAUTHORIZED", "KUBE_CLOSED"];

/** Opens the link in the background: see {@link RelayLink.ready}. */
export function openRelayLink(options: RelayLinkOptions): RelayLink {
  const { logger = silentLogger, silenceMs = 10_000, greetingMs = 10_000 } = options;
  const client = randomBytes(12).toString("hex");
  const lifetime = new AbortController();
  const closedError = relayError("RELAY_LINK_LOST", "the link was closed");
  let lanes: Lanes | undefined;
  let waiting = new Set<() => void>();
  /** What has taken connections, by protocol and authority. */
  const proven = new Set<string>();
  let over: Error | undefined;
  /** Cuts the pause after a try that failed, and bounds the try. */
  let again = new AbortController();
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => {});
  const ended = Promise.withResolvers<Error | undefined>();

  const wake = (): void => {
    const woken = waiting;
    waiting = new Set();
    for (const go of woken) go();
  };

  const openStream = async (role: Greeting["role"], signal: AbortSignal): Promise<Duplex> => {
    const stream = await options.open(signal);
    stream.on("error", () => {});
    const onAbort = (): void => void stream.destroy();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      signal.throwIfAborted();
      writeLine(stream, { shipside: PROTOCOL, role, secret: options.secret, client } satisfies Greeting);
      const welcome = (await readLine(stream, greetingMs)) as Welcome;
      if (typeof welcome?.ok !== "boolean") throw relayError("RELAY_PROTOCOL", "what answers on the control port is no relay");
      if (!welcome.ok) {
        const hint = "Where another version of Shipside put this relay there, end it with that version, or delete its Deployment.";
        throw relayError("RELAY_REFUSED", welcome.message, { hint });
      }
      signal.throwIfAborted();
      return stream;
    } catch (error) {
      stream.destroy();
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  };

  const take = (asked: Asked): void => {
    const wanted = connectQuestion(asked);
    if (!wanted || !options.onConnection) {
      refuseConnect(asked, new Error("only connections are taken here"));
      return;
    }
    const given = new AbortController();
    asked.stream.once("close", () => given.abort());
    options.onConnection({
      ...wanted,
      signal: given.signal,
      accept: () => acceptConnect(asked),
      refuse: (error) => refuseConnect(asked, error),
    });
  };

  /** One life of the link. Resolves when it is lost after it stood, rejects where it never did. */
  const live = async (): Promise<Error | undefined> => {
    const attempt = new AbortController();
    const signal = AbortSignal.any([lifetime.signal, attempt.signal]);
    let tooLong: NodeJS.Timeout | undefined;
    const onAgain = (): void => {
      const hangs = relayError("RELAY_LINK_LOST", `the relay is there again, and what was begun before hung for ${TRY_MS} ms more`);
      tooLong = setTimeout(() => attempt.abort(hangs), TRY_MS);
    };
    again.signal.addEventListener("abort", onAgain, { once: true });
    const roles: Greeting["role"][] = options.onConnection ? ["dial", "accept"] : ["dial"];
    const results = await Promise.allSettled(
      roles.map((role) =>
        openStream(role, signal).catch((error: unknown) => {
          attempt.abort(error);
          throw error;
        }),
      ),
    );
    again.signal.removeEventListener("abort", onAgain);
    clearTimeout(tooLong);
    const failed = results.find((result) => result.status === "rejected");
    const wires = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    if (failed) {
      for (const wire of wires) wire.destroy();
      throw attempt.signal.reason ?? failed.reason;
    }
    const [dialWire, acceptWire] = wires as [Duplex, Duplex?];
    const dial = createMux({ wire: dialWire, end: "ours", silenceMs });
    const dials = createLanes(dial, async () =>
      createMux({ wire: await openStream("dial", lifetime.signal), end: "ours", silenceMs }),
    );
    const sessions = [dial];
    if (acceptWire) sessions.push(createMux({ wire: acceptWire, end: "ours", silenceMs, onOpen: take }));
    const onEnd = (): void => {
      for (const each of [dials, ...sessions]) each.destroy();
    };
    lifetime.signal.addEventListener("abort", onEnd, { once: true });
    if (lifetime.signal.aborted) onEnd();
    else {
      lanes = dials;
      options.onState?.(true);
      ready.resolve();
      wake();
    }
    const reason = await Promise.race(sessions.map(({ closed }) => closed));
    lanes = undefined;
    lifetime.signal.removeEventListener("abort", onEnd);
    onEnd();
    return reason;
  };

  const run = async (): Promise<void> => {
    for (let failures = 0; !lifetime.signal.aborted; ) {
      let reason: Error | undefined;
      again = new AbortController();
      try {
        const began = performance.now();
        reason = (await live()) ?? relayError("RELAY_LINK_LOST", "the relay ended the link");
        failures = performance.now() - began > 10_000 ? 0 : failures + 1;
      } catch (error) {
        reason = error as Error;
        failures++;
      }
      if (lifetime.signal.aborted) break;
      options.onState?.(false, reason);
      logger.debug("the link to the relay is lost", { error: reason.message, failures });
      if (hasCode(reason, ...HOPELESS)) {
        over = reason;
        break;
      }
      await sleep(Math.min(100 * 2 ** Math.min(failures - 1, 6), 3_000) * (0.5 + Math.random() / 2), undefined, {
        signal: AbortSignal.any([lifetime.signal, again.signal]),
      }).catch(() => {});
    }
    lifetime.abort(over ?? closedError);
    ready.reject(over ?? closedError);
    wake();
    ended.resolve(over);
  };

  /** The session that stands, as soon as one does. */
  const standing = async (signal: AbortSignal): Promise<Mux> => {
    for (;;) {
      if (lifetime.signal.aborted) throw over ?? closedError;
      if (signal.aborted) throw abortError(signal);
      const picked = lanes?.pick();
      if (picked && !picked.isClosed) return picked;
      await new Promise<void>((resolve) => {
        const go = (): void => {
          signal.removeEventListener("abort", go);
          waiting.delete(go);
          resolve();
        };
        waiting.add(go);
        signal.addEventListener("abort", go, { once: true });
      });
    }
  };

  const running = run();
  const onAbort = (): void => void close();
  const close = async (): Promise<void> => {
    options.signal?.removeEventListener("abort", onAbort);
    lifetime.abort(closedError);
    await running;
  };
  if (options.signal?.aborted) onAbort();
  else options.signal?.addEventListener("abort", onAbort, { once: true });

  return {
    get linked() {
      return lanes !== undefined;
    },
    ready: ready.promise,
    retry() {
      if (lanes === undefined) again.abort();
    },
    async connect(authority, { protocol = "tcp", signal = lifetime.signal } = {}) {
      const on = await standing(signal);
      const request = { authority, ...(protocol === "udp" && { headers: { [HEADERS.protocol]: protocol } }), signal };
      const key = `${protocol} ${authority}`;
      if (proven.has(key)) return openConnectAhead(on, request, () => proven.delete(key));
      const stream = await openConnect(on, request);
      if (proven.size >= MOST_PROVEN) proven.clear();
      proven.add(key);
      return stream;
    },
    async request(method, path, body, { signal } = {}) {
      const limit = AbortSignal.timeout(REQUEST_MS);
      const until = signal ? AbortSignal.any([signal, limit]) : limit;
      return askControl(await standing(until), { method, path, body }, until);
    },
    ended: ended.promise,
    close,
    [Symbol.asyncDispose]: close,
  };
}
