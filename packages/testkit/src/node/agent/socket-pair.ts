import { rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";

/**
 * Two connected stream sockets, of which one can be sent to another process. `directory` is private to the caller; a relative path
 * keeps the socket's name within the 107 bytes that the system allows.
 */
export function socketPair(directory: string): Promise<[Socket, Socket]> {
  return new Promise((resolve, reject) => {
    const path = join(directory, `pair-${process.pid}-${counter++}`);
    const ends: Socket[] = [];
    const done = (end: Socket): void => {
      end.on("error", () => {});
      ends.push(end);
      if (ends.length < 2) return;
      server.close();
      rmSync(path, { force: true });
      resolve(ends as [Socket, Socket]);
    };
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, done);
    server.on("error", reject);
    server.listen(path, () => {
      const end = connect({ path, allowHalfOpen: true });
      end.pause();
      end.once("connect", () => done(end));
      end.once("error", reject);
    });
  });
}

let counter = 0;
