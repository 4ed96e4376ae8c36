import { read, writeSync } from "node:fs";
import type { Asker } from "./file-system.ts";
import { REQUEST_ROOM } from "./protocol.ts";
import { parseRequest, type Request } from "./requests.ts";

/** The kernel's end of a mount: `/dev/fuse`, open. */
export interface DeviceOptions {
  fd: number;
  /** Answers a request, which is a view that holds for this moment. */
  serve(request: Request, asker: Asker): unknown;
}

/** To read is to wait, and a waiting read has a thread of its own: so many may wait, and no request waits for another's being read. */
const READERS = 2;

/** Reads requests and writes their answers. Resolves when the mount is gone. */
export function serveDevice({ fd, serve }: DeviceOptions): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const free: Buffer[] = [];

  const respond = (reply: Buffer): void => {
    try {
      writeSync(fd, reply);
    } catch {
      // Nobody waits for it any more, or the mount is gone, which the next read will say.
    }
  };
  const next = (): void => {
    const buffer = free.pop() ?? Buffer.allocUnsafeSlow(REQUEST_ROOM);
    read(fd, buffer, 0, REQUEST_ROOM, null, (error, length) => {
      // One was taken back before it was read.
      if (error && ["ENOENT", "EINTR", "EAGAIN"].includes(error.code ?? "")) {
        free.push(buffer);
        return next();
      }
      // ENODEV: unmounted. ECONNABORTED: ended by force.
      if (error) return resolve();
      next();
      let kept = false;
      serve(parseRequest(buffer.subarray(0, length)), {
        respond,
        tell: respond,
        keep() {
          kept = true;
          return () => void free.push(buffer);
        },
      });
      if (!kept) free.push(buffer);
    });
  };
  for (let reader = 0; reader < READERS; reader++) next();
  return promise;
}
