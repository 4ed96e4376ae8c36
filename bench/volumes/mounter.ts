// A process of the benchmark: a driver's own mount, over a link to a relay. `mounter.ts '{"port":N,…}'` prints a line when it stands,
// and takes it off when its stdin ends.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { silentLogger } from "@shipside/core";
import { FILES_AUTHORITY, openRelayLink } from "@shipside/relay";
import { mountFuse, mountSshfs } from "@shipside/volumes";
import { createRelief } from "../../packages/kube/src/portforward/relief.ts";

export interface MounterOptions {
  port: number;
  host: string;
  tls: boolean;
  driver: "sshfs" | "fuse";
  secret: string;
  remotePath: string;
  localPath: string;
}

const { port, host, tls, driver, secret, remotePath, localPath } = JSON.parse(process.argv[2]!) as MounterOptions;
const to = { port, host, noDelay: true, allowHalfOpen: true };

/** What a way through an API server does by itself: see `relieveGarbage`. */
function relieved(socket: Socket): Socket {
  const relief = createRelief();
  const write = socket.write.bind(socket);
  socket.write = (chunk: Buffer, ...more: never[]) => {
    relief(chunk.length);
    return write(chunk, ...more);
  };
  // As `data`, without which it would flow before anybody listens.
  const push = socket.push.bind(socket);
  socket.push = (chunk: Buffer | null, ...more: never[]) => {
    relief(chunk?.length ?? 0);
    return push(chunk, ...more);
  };
  return socket;
}

await using link = openRelayLink({
  secret,
  async open(signal) {
    const socket = tls ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to);
    socket.on("error", () => {});
    await once(socket, tls ? "secureConnect" : "connect", { signal });
    return relieved(socket);
  },
});
await link.ready;
const mount = driver === "fuse" ? mountFuse : mountSshfs;
await using _mount = await mount({
  name: "bench",
  ...{ remotePath, localPath, readOnly: false, logger: silentLogger, signal: new AbortController().signal },
  open: (signal) => link.connect(FILES_AUTHORITY, { signal }),
});
console.log("mounted");
await once(process.stdin.resume(), "end");
