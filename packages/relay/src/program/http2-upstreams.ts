import { type ClientHttp2Session, connect, type Http2Session } from "node:http2";
import type { Duplex } from "node:stream";
import { dialBackend } from "./backend.ts";
import type { ConnectionInfo } from "./developers.ts";
import type { HeldLease } from "./lease.ts";
import { openDeveloper, type PortContext } from "./upstream.ts";

/** The sessions that one client's session has behind it, each made when it is first needed. */
export interface SessionUpstreams {
  /** Rejects as `dialBackend`. */
  backend(): Promise<ClientHttp2Session>;
  developer(held: HeldLease): Promise<ClientHttp2Session | undefined>;
  close(): void;
}

/** Raised from 64 KiB, in bytes: a stream is not to wait for its window on a link with some milliseconds to the far end. */
const STREAM_WINDOW = 1024 * 1024;
export const SETTINGS = { initialWindowSize: STREAM_WINDOW, maxHeaderListSize: 65_536, enablePush: false };
/** What one session may hold, in MiB. */
export const SESSION_MEMORY = 64;

export function createSessionUpstreams(context: PortContext, info: ConnectionInfo, signal: AbortSignal): SessionUpstreams {
  const sessions = new Map<HeldLease | undefined, Promise<ClientHttp2Session | undefined>>();
  const open = new Set<ClientHttp2Session>();

  const make = async (held: HeldLease | undefined): Promise<ClientHttp2Session | undefined> => {
    const stream = held ? await openDeveloper(context, held, info, signal) : await dialBackend(context, info, signal);
    if (!stream) return undefined;
    const session = connect("http://upstream", {
      createConnection: () => stream,
      settings: SETTINGS,
      maxSessionMemory: SESSION_MEMORY,
    });
    session.once("connect", () => session.setLocalWindowSize(16 * STREAM_WINDOW));
    open.add(session);
    endTogether(session, stream);
    const forget = (): void => void sessions.delete(held);
    session.on("error", forget);
    session.once("goaway", forget);
    session.once("close", () => {
      forget();
      open.delete(session);
    });
    return session;
  };
  const get = (held: HeldLease | undefined): Promise<ClientHttp2Session | undefined> => {
    const known = sessions.get(held);
    if (known) return known;
    const made = make(held);
    sessions.set(held, made);
    // A failure is not remembered.
    made.then(
      (session) => session ?? sessions.delete(held),
      () => sessions.delete(held),
    );
    return made;
  };

  return {
    backend: async () => (await get(undefined))!,
    developer: get,
    close() {
      for (const session of open) session.destroy();
    },
  };
}

/** A session's connection has no half-open state: with the far side's FIN no stream of it can be answered any more. */
export function endTogether(session: Http2Session, stream: Duplex): void {
  stream.allowHalfOpen = false;
  stream.on("error", () => {});
  stream.once("end", () => session.destroy());
  stream.once("close", () => session.destroy());
  session.once("close", () => stream.destroy());
}
