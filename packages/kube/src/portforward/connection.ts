import type { CarrierFactory } from "./carrier.ts";
import type { ConnectionFacts } from "./choice.ts";
import { portForwardError } from "./errors.ts";
import type { PoolLimits } from "./limits.ts";
import { createSpdySession, SERVER_WORKERS, type SpdySession } from "./spdy-session.ts";

/** One SPDY connection of a pool, with what is known of its health. */
export interface Connection {
  readonly session: SpdySession;
  /** A stream has been opened on it. */
  used: boolean;
  readonly facts: ConnectionFacts;
  /** Heard of recently, and nothing stands still: a stream may be opened without waiting for an answer. */
  readonly trusted: boolean;
  /** Called once a second: pings, ends it where it is dead, or idle and not to be spared. Says whether it is idle for long. */
  tick(spare: boolean): boolean;
  /** Ends it where nothing is heard until `deadline` after a ping now. */
  revalidate(signal: AbortSignal): Promise<void>;
  /** Resolves when it is closed. */
  readonly gone: Promise<void>;
}

export interface ConnectionOptions {
  carrier: CarrierFactory;
  /** "pod ns/name" */
  label: string;
  limits: PoolLimits;
  moved(bytes: number): void;
  /** `cause` is undefined where we closed it. */
  closed(cause: Error | undefined): void;
  /** Whether the pod has ended. Asked where dials hang: those of a pod whose network is gone do so for minutes. */
  podEnded(): Promise<boolean>;
}

/** A ping unanswered for this long makes a connection one to avoid. */
const SLOW_PING_MS = 1_500;
/** A ping unanswered for this long, while other things arrive: a part of the connection is blocked for good. */
const WEDGED_MS = 30_000;
/** A backlog of which nothing was taken for this long means that the server isn't reading. */
const SLOW_WRITE_MS = 200;
const TRUSTED_MS = 15_000;
const REVALIDATE_MS = 1_500;
const LOOK_EVERY_MS = 25;
/** Dials that hang for this long are a reason to look whether the pod has ended. */
const HANGING_MS = 700;
/** The pod is looked at once a second at first, then ever more seldom, down to this. */
const MAX_LOOK_GAP_MS = 30_000;

export function createConnection({ carrier, label, limits, moved, closed, podEnded }: ConnectionOptions): Connection {
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  let idleSince = performance.now();
  let pingedAt = idleSince;
  // For the rate: where the current second began, and what had moved then.
  let secondAt = idleSince;
  let secondBytes = 0;
  let lastRate = 0;

  const session = createSpdySession(carrier, {
    endings: limits,
    maxBufferedPerStream: limits.maxBufferedPerStream,
    moved,
    closed(cause) {
      closed(cause);
      resolve();
    },
    released() {
      if (session.streams > 0) return;
      idleSince = performance.now();
      if (session.retired) session.close();
    },
  });

  const ageOf = (since: number | undefined): number => (since === undefined ? 0 : performance.now() - since);
  const isStuck = (): boolean =>
    session.stalled || session.suspect || ageOf(session.backlogSince) > SLOW_WRITE_MS || ageOf(session.pingSince) > SLOW_PING_MS;

  const rate = (): number => {
    const elapsed = ageOf(secondAt);
    const bytes = session.bytes - secondBytes;
    if (elapsed >= 1_000) {
      lastRate = (bytes * 1_000) / elapsed;
      secondAt = performance.now();
      secondBytes = session.bytes;
    } else lastRate = Math.max(lastRate, bytes);
    return lastRate;
  };

  const die = (why: string): void => session.destroy(portForwardError("PORTFORWARD_LOST", `a connection to ${label} ${why}`));

  let lookAt = 0;
  const lookAfterDials = (): void => {
    const hanging = session.hangingDials();
    if (hanging < HANGING_MS || performance.now() < lookAt) return;
    lookAt = performance.now() + Math.min(hanging, MAX_LOOK_GAP_MS);
    podEnded().then(
      (ended) => {
        if (!ended || session.isClosed || session.hangingDials() < HANGING_MS) return;
        session.destroy(portForwardError("DIAL_GONE", `${label} has ended`));
      },
      () => {},
    );
  };

  return {
    session,
    used: false,
    gone,
    get facts() {
      return {
        streams: session.streams,
        retired: session.retired || session.isClosed,
        stuck: isStuck(),
        busy: session.streams > 0 && rate() > limits.busyBytesPerSecond,
      };
    },
    get trusted() {
      return ageOf(session.heardAt) < TRUSTED_MS && !isStuck();
    },
    tick(spare) {
      rate();
      if (session.isClosed) return false;
      lookAfterDials();
      const unanswered = ageOf(session.pingSince);
      // Where we have stopped reading ourselves, silence says nothing.
      if (!session.stalled && unanswered > limits.deadMs && ageOf(session.heardAt) > limits.deadMs) {
        die(`has been silent for ${Math.round(unanswered)} ms after a ping`);
        return false;
      }
      if (!session.stalled && unanswered > WEDGED_MS) session.retire();
      const idle = session.streams === 0 && ageOf(idleSince) >= limits.idleMs;
      // What blocks an empty one belongs to a stream that is gone: only an end frees the pod of it.
      if (session.streams === 0 && (session.retired || unanswered > SLOW_PING_MS || (idle && !spare))) session.close();
      if (!session.isClosed && session.pingSince === undefined && ageOf(pingedAt) >= limits.pingMs) {
        pingedAt = performance.now();
        session.ping(session.streams > 0 ? SERVER_WORKERS : 1);
      }
      return idle;
    },
    async revalidate(signal) {
      const since = performance.now();
      const waits = (): boolean => !session.isClosed && !session.stalled && session.heardAt < since;
      session.ping(1);
      while (waits() && ageOf(since) < REVALIDATE_MS && !signal.aborted) {
        await new Promise((wake) => setTimeout(wake, LOOK_EVERY_MS));
      }
      if (waits()) die(`gave no sign of life within ${REVALIDATE_MS} ms`);
    },
  };
}
