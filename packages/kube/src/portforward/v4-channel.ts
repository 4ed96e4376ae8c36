import type { Upgraded } from "./carrier.ts";
import { portForwardError } from "./errors.ts";
import type { ForwardTarget } from "./failure.ts";
import { ForwardStream, type StreamEndings } from "./stream.ts";
import { createWebSocketPipe } from "./websocket-pipe.ts";

export const V4_CHANNEL = "v4.channel.k8s.io";

const DATA = Buffer.from([0]);
const DATA_CHANNEL = 0;
const ERROR_CHANNEL = 1;
/** Each channel begins with the port as 16 bits. */
const PORT_LENGTH = 2;
const MAX_BACKLOG = 256 * 1024;
const MAX_MESSAGE = 64 * 1024;

export interface ChannelStream {
  stream: ForwardStream;
  /** Resolves when its WebSocket is gone. */
  gone: Promise<void>;
}

/**
 * One stream on a WebSocket of its own, `v4.channel.k8s.io`: each message begins with a byte that says data or error. Neither side
 * can end one direction, so our end closes the connection, after the same bounds as elsewhere.
 */
export function openChannel(
  upgraded: Pick<Upgraded, "socket" | "head">,
  target: ForwardTarget,
  endings: StreamEndings,
  released: () => void,
): ChannelStream {
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  const waiting: Array<() => void> = [];
  const headLeft = [PORT_LENGTH, PORT_LENGTH];
  let channel = -1;
  let paused = false;

  const pipe = createWebSocketPipe(upgraded, {
    payload(chunk, first) {
      let rest = chunk;
      if (first) {
        channel = chunk[0] as number;
        rest = rest.subarray(1);
      }
      if (channel !== DATA_CHANNEL && channel !== ERROR_CHANNEL) {
        pipe.destroy();
        stream.lost(portForwardError("PORTFORWARD_PROTOCOL", `the server sent a message for channel ${channel}`));
        return;
      }
      const skip = Math.min(headLeft[channel] as number, rest.length);
      if (skip > 0) {
        headLeft[channel] = (headLeft[channel] as number) - skip;
        rest = rest.subarray(skip);
        stream.accepted();
      }
      if (rest.length === 0) return;
      if (channel === ERROR_CHANNEL) stream.receivedReason(rest);
      else if (!stream.received(rest) && !paused) {
        paused = true;
        pipe.pause();
      }
    },
    flushed() {
      if (pipe.backlog > MAX_BACKLOG / 2) return;
      for (const resume of waiting.splice(0)) resume();
    },
    closed(cause) {
      if (cause) stream.lost(cause);
      stream.dataEnded();
      stream.reasonEnded();
      for (const resume of waiting.splice(0)) resume();
      resolve();
    },
  });

  const stream: ForwardStream = new ForwardStream(
    {
      send(chunks, taken) {
        for (const chunk of chunks) {
          for (let at = 0; at < chunk.length; at += MAX_MESSAGE) pipe.send([DATA, chunk.subarray(at, at + MAX_MESSAGE)]);
        }
        if (pipe.backlog <= MAX_BACKLOG) taken();
        else waiting.push(taken);
      },
      finish: pipe.end,
      cancel: pipe.end,
      wanted() {
        if (!paused) return;
        paused = false;
        pipe.resume();
      },
      release: () => {
        if (paused) pipe.resume();
        released();
      },
    },
    target,
    endings,
  );
  return { stream, gone };
}
