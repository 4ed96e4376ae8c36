import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { hasCode } from "@shipside/core";

/** A client's bytes are kept for another pod up to this many; one that sends more before any answer has chosen its pod. */
const REPLAY_LIMIT = 64 * 1024;

/**
 * What a client sends before a pod has answered: read from the moment the client is accepted (so that it is noticed when the client
 * goes away), given to each pod that is tried, and kept for the next one.
 */
export interface Intake {
  /** Some of the client's bytes were given to the pod that is being tried. */
  readonly fed: boolean;
  /** What the client has sent so far; the same until it is released. */
  readonly taken: readonly Uint8Array[];
  /** Gives `upstream` everything so far and what follows. */
  feed(upstream: Duplex): void;
  /** No more to `upstream`; the next pod gets all of it again. */
  withdraw(): void;
  /** Ends the keeping: whoever calls this reads the client from here on. */
  release(): void;
  /** Called once when more has come than is kept. */
  onOverflow: (() => void) | undefined;
}

export function createIntake(client: Socket): Intake {
  const chunks: Buffer[] = [];
  let size = 0;
  let upstream: Duplex | undefined;
  let ended = false;
  const resume = (): void => void client.resume();

  const intake = {
    fed: false,
    onOverflow: undefined as (() => void) | undefined,
    taken: chunks as readonly Uint8Array[],
    feed(to: Duplex) {
      upstream = to;
      intake.fed = chunks.length > 0;
      to.on("drain", resume);
      let room = true;
      for (const chunk of chunks) room = to.write(chunk);
      if (room) resume();
      else client.pause();
      if (ended) to.end();
      if (size > REPLAY_LIMIT) intake.onOverflow?.();
    },
    withdraw() {
      upstream?.off("drain", resume);
      upstream = undefined;
      intake.fed = false;
    },
    release() {
      upstream?.off("drain", resume);
      client.off("data", onData);
      client.off("end", onEnd);
      chunks.length = 0;
    },
  };
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk);
    size += chunk.length;
    if (!upstream) {
      if (size > REPLAY_LIMIT) client.pause();
      return;
    }
    intake.fed = true;
    if (!upstream.destroyed && !upstream.write(chunk)) client.pause();
    if (size > REPLAY_LIMIT) intake.onOverflow?.();
  };
  const onEnd = (): void => {
    ended = true;
    upstream?.end();
  };
  client.on("data", onData);
  client.on("end", onEnd);
  client.resume();
  return intake;
}

/** The trial of a silent pod ends after this long: what was kept is freed, and a failure from then on is the client's to see. */
const TRIAL_MS = 5_000;

/**
 * Whether a stream stands. The port-forward path opens it before the pod has accepted, and tells of a refusal by an error on the stream:
 * so it is on trial until its first byte or its end, until more was sent than is kept, or for {@link TRIAL_MS}.
 * Resolves with the error where it failed before.
 */
export function standsTrial(upstream: Duplex, intake: Intake, signal: AbortSignal): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const done = (error?: Error): void => {
      clearTimeout(timer);
      intake.onOverflow = undefined;
      upstream.off("readable", stands);
      upstream.off("close", stands);
      upstream.off("error", done);
      signal.removeEventListener("abort", stands);
      // Until somebody else listens, a late error must not end the process.
      upstream.on("error", ignore);
      resolve(error);
    };
    const stands = (): void => done();
    const timer = setTimeout(stands, TRIAL_MS);
    timer.unref();
    intake.onOverflow = stands;
    upstream.on("error", done);
    upstream.on("close", stands);
    upstream.on("readable", stands);
    signal.addEventListener("abort", stands);
    intake.feed(upstream);
  });
}

/**
 * Whether another pod may be given the same bytes, after a stream failed that had been open. Nothing listened, or there was no pod: then
 * nobody has seen them. A dial that failed otherwise may have reached a pod that acted on them, so it is tried again only where there
 * were none. Everything else, a reset above all, is an answer, and the client's.
 */
export function mayTryAnother(error: Error, fed: boolean): boolean {
  return hasCode(error, "DIAL_REFUSED", "DIAL_GONE") || (!fed && hasCode(error, "DIAL_FAILED"));
}

function ignore(): void {}
