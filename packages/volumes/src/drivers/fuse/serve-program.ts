import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Closable, createCloser, splice } from "@shipside/core";
import type { DriveOptions } from "../drive.ts";
import { openDoor } from "./door.ts";
import type { FromProgram, ToProgram } from "./messages.ts";

const BEAT_MS = 1_000;
/** Having stood still for longer, in ms, this process may have been given up: it is sooner patient than the program is. */
const STANDSTILL_MS = 4_000;
/** A program that hasn't answered for so long, in ms, is frozen, and so is who looks at its mount. */
const FROZEN_MS = 10_000;
const OPEN_MS = 5_000;

/** Nothing where it is gone. */
export function tell(child: ChildProcess, message: ToProgram): void {
  if (child.connected) child.send(message, undefined, {}, () => {});
}

/** Gives the program of a mount its streams, and signs of life; ends it where it gives none. */
export function serveProgram(child: ChildProcess, { open, logger }: Pick<DriveOptions, "open" | "logger">): Closable {
  const closer = createCloser();
  const lifetime = new AbortController();
  const carried = new Set<Socket>();
  let beaten = performance.now();
  /** Unknown until it has begun: how long that may take isn't decided here. */
  let answered: number | undefined;

  /** A program that has heard nothing for a while has told that what it sent has failed: it mustn't come later, over what is newer. */
  const cutAfterStandstill = (): void => {
    if (performance.now() - beaten <= STANDSTILL_MS) return;
    if (answered !== undefined) answered = performance.now();
    for (const socket of carried) socket.destroy();
  };
  const timer = setInterval(() => {
    cutAfterStandstill();
    beaten = performance.now();
    if (answered !== undefined && beaten - answered > FROZEN_MS && child.exitCode === null) {
      logger.warn("the process of a mount stands still, and is ended: its mount fails until it is closed", { pid: child.pid });
      child.kill("SIGKILL");
      clearInterval(timer);
    }
    tell(child, { beat: true });
  }, BEAT_MS);
  timer.unref();
  closer.defer(() => clearInterval(timer));

  const carry = async (id: number): Promise<void> => {
    const until = AbortSignal.any([lifetime.signal, AbortSignal.timeout(OPEN_MS)]);
    let stream: Duplex | undefined;
    try {
      stream = await open(until);
      stream.on("error", () => {});
      const near = await openDoor((path) => tell(child, { stream: id, path }), until);
      carried.add(near);
      near.once("close", () => carried.delete(near));
      near.on("data", cutAfterStandstill);
      const { error } = await splice(near, stream, { signal: lifetime.signal });
      if (error && !lifetime.signal.aborted) logger.debug("a stream to a volume was lost", { error: error.message });
    } catch (error) {
      stream?.destroy();
      logger.debug("no stream to a volume", { error: (error as Error).message });
      tell(child, { stream: id });
    }
  };
  child.on("message", (message: FromProgram) => {
    answered = performance.now();
    if ("want" in message && !lifetime.signal.aborted) void carry(message.want);
  });
  closer.defer(() => lifetime.abort());
  return closer;
}
