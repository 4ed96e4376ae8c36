import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";

/** The server's end of a WebSocket, written from RFC 6455 and with nothing of the code under test. */
export interface ServerSocket {
  message(payload: Buffer, fragments?: number): void;
  ping(payload: Buffer): void;
  close(): void;
}

export const acceptHeaders = (request: IncomingMessage): Record<string, string> => ({
  Upgrade: "websocket",
  "Sec-WebSocket-Accept": createHash("sha1")
    .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64"),
  "Sec-WebSocket-Protocol": String(request.headers["sec-websocket-protocol"]),
});

export function serverFrame(first: number, payload: Buffer): Buffer {
  const size = payload.length;
  const head = Buffer.alloc(size < 126 ? 2 : size < 65_536 ? 4 : 10);
  head[0] = first;
  head[1] = size < 126 ? size : size < 65_536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(size, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(size), 2);
  return Buffer.concat([head, payload]);
}

export interface ClientFrame {
  opcode: number;
  payload: Buffer;
}

/** Reads a client's frames, whole, and insists that they are masked and in one piece. */
export function clientFrameReader(take: (frame: ClientFrame) => void): (chunk: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  return (chunk) => {
    held = Buffer.concat([held, chunk]);
    for (;;) {
      if (held.length < 2) return;
      const short = (held[1] as number) & 0x7f;
      const at = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
      if (held.length < at + 4) return;
      const size = short < 126 ? short : short === 126 ? held.readUInt16BE(2) : Number(held.readBigUInt64BE(2));
      if (held.length < at + 4 + size) return;
      if (((held[1] as number) & 0x80) === 0) throw new Error("a client's frame must be masked");
      if (((held[0] as number) & 0x80) === 0) throw new Error("a frame that is not in one piece");
      const payload = Buffer.from(held.subarray(at + 4, at + 4 + size));
      for (let i = 0; i < size; i++) payload[i] = (payload[i] as number) ^ (held[at + (i % 4)] as number);
      take({ opcode: (held[0] as number) & 0x0f, payload });
      held = held.subarray(at + 4 + size);
    }
  };
}

export function serveWebSocket(socket: Duplex, handler: { message(payload: Buffer): void; closed(): void }): ServerSocket {
  const write = (bytes: Buffer): void => void (socket.writable && socket.write(bytes));
  socket.on(
    "data",
    clientFrameReader(({ opcode, payload }) => {
      if (opcode === 2) handler.message(payload);
      if (opcode === 8) socket.end(serverFrame(0x88, payload));
    }),
  );
  socket.on("close", handler.closed);
  return {
    message(payload, fragments = 1) {
      const size = Math.max(1, Math.ceil(payload.length / fragments));
      for (let at = 0; at === 0 || at < payload.length; at += size) {
        const opcode = at === 0 ? 2 : 0;
        write(serverFrame((at + size >= payload.length ? 0x80 : 0) | opcode, payload.subarray(at, at + size)));
      }
    },
    ping: (payload) => write(serverFrame(0x89, payload)),
    close: () => void (socket.writable && socket.end(serverFrame(0x88, Buffer.from([0x03, 0xe8])))),
  };
}

/** The bytes inside the messages, as a duplex stream; every other message goes out in pieces, with a ping between messages. */
export function webSocketBytes(socket: Duplex): Duplex {
  let sent = 0;
  const inner = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      ws.ping(Buffer.from("are you there"));
      ws.message(chunk, 1 + (sent++ % 3));
      if (socket.writableNeedDrain) socket.once("drain", () => done());
      else done();
    },
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  const ws = serveWebSocket(socket, {
    message: (payload) => {
      if (!inner.push(payload)) socket.pause();
    },
    closed: () => inner.destroy(),
  });
  inner._read = () => void socket.resume();
  return inner;
}
