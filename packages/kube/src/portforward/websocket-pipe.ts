import type { Upgraded } from "./carrier.ts";
import { createSocketPipe, type SocketPipe } from "./socket-pipe.ts";
import { createWebSocketDecoder, encodeFrame, OPCODE } from "./websocket.ts";

export interface WebSocketPipeHandler {
  payload(chunk: Buffer, first: boolean): void;
  flushed(): void;
  /** Called once. `cause` is undefined where the far side said goodbye. */
  closed(cause: Error | undefined): void;
}

/** A WebSocket's bytes on a socket: each `send` is one message. */
export interface WebSocketPipe extends Omit<SocketPipe, "write"> {
  send(parts: readonly Buffer[]): void;
}

const NORMAL_CLOSURE = Buffer.from([0x03, 0xe8]);
const MAX_REPLY_BACKLOG = 1024 * 1024;

export function createWebSocketPipe(upgraded: Pick<Upgraded, "socket" | "head">, handler: WebSocketPipeHandler): WebSocketPipe {
  let failure: Error | undefined;
  let saidGoodbye = false;
  const decoder = createWebSocketDecoder({
    payload: handler.payload,
    ping: (payload) => {
      if (pipe.backlog < MAX_REPLY_BACKLOG) pipe.write(encodeFrame(OPCODE.PONG, [payload]));
    },
    close() {
      saidGoodbye = true;
      farewell();
    },
  });
  let ended = false;
  const farewell = (): void => {
    if (ended) return;
    ended = true;
    pipe.write(encodeFrame(OPCODE.CLOSE, [NORMAL_CLOSURE]));
    pipe.end();
  };
  const pipe = createSocketPipe(upgraded, {
    data(chunk) {
      if (saidGoodbye) return;
      try {
        decoder.push(chunk);
      } catch (error) {
        failure = error as Error;
        pipe.destroy();
      }
    },
    flushed: handler.flushed,
    closed: (cause) =>
      handler.closed(failure ?? (saidGoodbye ? undefined : (cause ?? new Error("the WebSocket ended without a close frame")))),
  });

  return {
    get backlog() {
      return pipe.backlog;
    },
    send: (parts) => {
      if (!ended) pipe.write(encodeFrame(OPCODE.BINARY, parts));
    },
    pause: pipe.pause,
    resume: pipe.resume,
    end: farewell,
    destroy: pipe.destroy,
  };
}
