// A process of the benchmark: a server as cheap as one can be, so that what is between is what is measured. With `--relay HOST POD ID PORT…`
// it is a developer's machine as well: its link brings connections to the same server, and what connects to its `tunnel` goes by the link to
// the port POD. Prints its ports; ends with its stdin.
import { createServer as createHttp2Server } from "node:http2";
import { connect, createServer, type Socket } from "node:net";
import { splice } from "@shipside/core";
import { CONTROL_PORT, openRelayLink } from "@shipside/relay";

const SMALL = Buffer.from("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nhello world\n");
const CHUNK = Buffer.alloc(65_536, "x");

function serve(socket: Socket): void {
  socket.on("error", () => {});
  let upload = 0;
  socket.on("data", (chunk) => {
    if (upload > 0) {
      upload -= chunk.length;
      if (upload <= 0) socket.write(SMALL);
      return;
    }
    const head = chunk.toString("latin1", 0, 2048);
    const bulk = /^GET \/bulk\/(\d+)/.exec(head);
    const length = /content-length: (\d+)/i.exec(head);
    if (/upgrade: websocket/i.test(head)) {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
      socket.removeAllListeners("data");
      socket.resume();
    } else if (bulk) send(socket, Number(bulk[1]));
    else if (length) {
      upload = Number(length[1]) - (chunk.length - (head.indexOf("\r\n\r\n") + 4));
      if (upload <= 0) socket.write(SMALL);
    } else socket.write(SMALL);
  });
}

function send(socket: Socket, bytes: number): void {
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`);
  let left = bytes;
  const pump = (): void => {
    while (left > 0 && !socket.destroyed) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
      left -= chunk.length;
      if (!socket.write(chunk)) {
        socket.once("drain", pump);
        return;
      }
    }
  };
  pump();
}

const listen = (server: { listen(port: number, host: string, done: () => void): unknown; address(): unknown }): Promise<number> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)));

const http1 = await listen(createServer({ noDelay: true }, serve));
const grpc = createHttp2Server();
grpc.on("session", (session) => session.on("error", () => {}));
grpc.on("stream", (stream) => {
  stream.on("error", () => {});
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.pipe(stream);
});
const http2 = await listen(grpc);

const [flag, host, pod, id, ...ports] = process.argv.slice(2);
let tunnel: number | undefined;
if (flag === "--relay") {
  const link = openRelayLink({
    secret: "s",
    open: async () => connect({ host: host!, port: CONTROL_PORT, allowHalfOpen: true, noDelay: true }),
    onConnection(connection) {
      const service = connection.headers["shipside-port"];
      const local = connect({ host: "127.0.0.1", port: service === "81" ? http2 : http1, allowHalfOpen: true, noDelay: true });
      local.once("error", (error) => connection.refuse(error));
      local.once("connect", () => void splice(local, connection.accept()));
    },
  });
  await link.ready;
  tunnel = await listen(
    createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on("error", () => {});
      link.connect(`127.0.0.1:${pod}`).then(
        (stream) => void splice(socket, stream),
        () => socket.destroy(),
      );
    }),
  );
  const match = { headers: [{ name: "x-user", value: id }] };
  await link.request("PUT", `/leases/${id}`, { id, holder: `${id}@bench`, ports: ports.map(Number), match, holdMs: 0 });
}
console.log(JSON.stringify({ http1, http2, tunnel }));
process.stdin.resume();
process.stdin.once("end", () => process.exit());
